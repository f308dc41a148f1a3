"""People with browsers: requesters and approvers, each a thread with a session of its own, over real HTTP."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import requests

from tests.chaos.history import Action, History, Outcome

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
SHOWN = re.compile(r'name="shown" value="([^"]*)"')
ITEM = re.compile(r'href="/approvals/([0-9a-f-]{36})/"')
PATIENCE = 60.0  # seconds for an answer
EMERGENCIES = 0.15  # of the times that somebody asks: without an approval
SIGN_OUTS = 0.15  # of the times after somebody asked for something
_numbers = itertools.count(1)


class Lost(Exception):
    """No answer, or an error of the portal's own: whether it took effect is unknown."""


@dataclass
class Browser:
    """One person's session with the portal, and with Entra behind it."""

    origin: str
    object_id: str
    session: requests.Session = field(default_factory=requests.Session)
    token: str = ""

    def sign_in(self) -> None:
        """Through the simulated Entra's account picker. Raises Lost when something on the way doesn't answer."""
        self.session = requests.Session()
        self.session.trust_env = False
        page = self._send("GET", f"{self.origin}/signin/")
        picker = self._send("POST", f"{self.origin}/signin/start/", self._form(page))
        picked = self._send("POST", picker.url, {"account": self.object_id})
        if not picked.url.startswith(self.origin) or picked.status_code != 200:
            raise Lost(f"signing in ended at {picked.url} ({picked.status_code})")
        self.token = self._form(picked)["csrfmiddlewaretoken"]

    def get(self, path: str) -> str:
        """A page's text, signed in. Raises Lost."""
        answer = self._signed_in("GET", path)
        return answer.text if answer.status_code == 200 else ""

    def post(self, path: str, **fields: str) -> requests.Response:
        """A form's answer, not followed. Raises Lost."""
        return self._signed_in("POST", path, fields)

    def decide(self, item: str, verdict: str) -> requests.Response:
        """The answer to a decision on what the item's page shows now. Raises Lost."""
        shown = SHOWN.search(self.get(f"/approvals/{item}/"))
        fields = {"verdict": verdict, "comment": "Because", "shown": shown.group(1) if shown else ""}
        return self.post(f"/approvals/{item}/", **fields)

    def sign_out(self) -> None:
        """With it goes the token that workers had of them. Raises Lost."""
        self.post("/signout/")
        self.token = ""

    def _signed_in(self, method: str, path: str, fields: dict[str, str] | None = None) -> requests.Response:
        for _ in range(2):
            if not self.token:
                self.sign_in()
            data = None if fields is None else {**fields, "csrfmiddlewaretoken": self.token}
            answer = self._send(method, self.origin + path, data, follow=False)
            if "/signin" not in answer.headers.get("Location", ""):
                return answer
            self.token = ""
        raise Lost("signed out again and again")

    def _form(self, page: requests.Response) -> dict[str, str]:
        found = TOKEN.search(page.text)
        if found is None:
            raise Lost(f"no form at {page.url} ({page.status_code})")
        return {"csrfmiddlewaretoken": found.group(1)}

    def _send(
        self, method: str, address: str, data: dict[str, str] | None = None, *, follow: bool = True
    ) -> requests.Response:
        try:
            answer = self.session.request(
                method,
                address,
                data=data,
                timeout=PATIENCE,
                allow_redirects=follow,
                headers={"Origin": self.origin, "Referer": self.origin + "/"} if data is not None else None,
            )
        except requests.RequestException as error:
            raise Lost(type(error).__name__) from error
        if answer.status_code >= 500:
            raise Lost(str(answer.status_code))
        return answer


@dataclass
class Crowd:
    """Everybody, the notes of what they did, and when they stop."""

    origin: str
    history: History
    wanted: int  # requests
    pause: float  # seconds between two requests of one person
    asking: threading.Event = field(default_factory=threading.Event)
    deciding: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)
    _left: threading.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._left = threading.Semaphore(self.wanted)
        self.asking.set()
        self.deciding.set()

    def start(self, requesters: dict[str, list[str]], approvers: list[str]) -> None:
        """`requesters` are object ids with those of the groups that each may ask for."""
        for person, groups in requesters.items():
            self._start(lambda person=person, groups=groups: Requester(self, person, groups).live())  # type: ignore[misc]
        for person in approvers:
            self._start(lambda person=person: Approver(self, person).live())  # type: ignore[misc]

    def _start(self, live: Callable[[], None]) -> None:
        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        self.threads.append(thread)

    def take_one(self) -> bool:
        """Whether one more request is wanted."""
        return self._left.acquire(blocking=False)

    def give_back(self) -> None:
        """Nobody said yes to the request that was taken: it doesn't count."""
        self._left.release()

    def note(
        self, action: Action, send: Callable[[], requests.Response], expected: str
    ) -> requests.Response | None:
        """Send it and note what was answered; gives the answer when it was ok."""
        try:
            answer = send()
        except Lost:
            action.outcome = Outcome.UNKNOWN
            return None
        done = answer.status_code == 302 and answer.headers.get("Location", "").startswith(expected)
        action.outcome = Outcome.OK if done else Outcome.REFUSED
        return answer if done else None


class Requester:
    """Asks; withdraws, gives back and signs out now and then. What is activated in their name waits until they are back."""

    def __init__(self, crowd: Crowd, object_id: str, groups: list[str]) -> None:
        self.crowd, self.who, self.groups = crowd, object_id, groups
        self.browser = Browser(crowd.origin, object_id)
        self.mine: list[str] = []
        self.dice = random.Random(object_id)

    def live(self) -> None:
        """Asks about once a pause, by the clock: after a page that was slow the next one comes at once."""
        due = time.monotonic() + self.dice.random() * self.crowd.pause
        while self.crowd.asking.is_set():
            time.sleep(max(0.0, min(due - time.monotonic(), 0.5)))
            if time.monotonic() < due:
                continue
            due += self.crowd.pause
            if not self.crowd.take_one():
                continue
            if self.ask() != Outcome.OK:
                self.crowd.give_back()
            if self.mine and self.dice.random() < 0.35:
                self.change_mind(self.dice.choice(self.mine[-3:]))
            if self.dice.random() < SIGN_OUTS:
                with contextlib.suppress(Lost):
                    self.browser.sign_out()

    def ask(self) -> Outcome:
        """For one group after another until it isn't refused: what one has or waits for can't be asked for again."""
        for group in self.dice.sample(self.groups, len(self.groups)):
            if (outcome := self.ask_for(group)) != Outcome.REFUSED:
                return outcome
        return Outcome.REFUSED

    def ask_for(self, group: str) -> Outcome:
        """What was answered."""
        key = f"CHG{next(_numbers):07}"
        action = self.crowd.history.begin("request", key, self.who)
        fields = {
            "justification": f"Something is stuck there, see {key}",
            "length": "other",
            "hours": "0",
            "minutes": str(self.dice.choice((20, 30, 45))),
            "reference": key,
        }
        form = "request"
        if self.dice.random() < EMERGENCIES:
            form, fields["why"] = "emergency", "Customers can't pay, and nobody answers"
        answer = self.crowd.note(
            action, lambda: self.browser.post(f"/access/{group}/{form}/", **fields), "/requests/"
        )
        if answer is not None:
            self.mine.append(answer.headers["Location"].strip("/").rpartition("/")[2])
        return action.outcome

    def change_mind(self, request_id: str) -> None:
        kind, path = self.dice.choice((("withdrawal", "withdraw"), ("end", "end"), ("end", "end")))
        action = self.crowd.history.begin(kind, request_id, self.who)
        self.crowd.note(
            action, lambda: self.browser.post(f"/requests/{request_id}/{path}/"), f"/requests/{request_id}"
        )


class Approver:
    """Decides on whatever waits, mostly in favour."""

    def __init__(self, crowd: Crowd, object_id: str) -> None:
        self.crowd, self.who = crowd, object_id
        self.browser = Browser(crowd.origin, object_id)
        self.dice = random.Random(object_id)
        self.tried: dict[str, int] = {}

    def live(self) -> None:
        while self.crowd.deciding.is_set():
            try:
                waiting = list(dict.fromkeys(ITEM.findall(self.browser.get("/approvals/"))))
            except Lost:
                waiting = []
            for item in waiting[: self.dice.randint(1, 4)]:
                self.decide(item)
            time.sleep(self.dice.uniform(0.5, 2.0))

    def decide(self, item: str) -> None:
        # Each try has a key of its own word on the item; a second one is refused while the first stands.
        verdict = "deny" if self.dice.random() < 0.15 else "approve"
        action = self.crowd.history.begin("decision", f"{item} {self.who}", self.who)
        self.crowd.note(
            action,
            lambda: self.browser.decide(item, verdict),
            f"/approvals/{item}",
        )
