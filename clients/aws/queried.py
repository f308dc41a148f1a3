"""Trails that answer a query: started once, looked at until it is done, then read page by page.

A query may last minutes, and no worker waits for it: what isn't there after a few looks is asked for again later, by a
`page` that names the query. The looks are paced by the shared limiter, as all calls are.
"""

from __future__ import annotations

import hashlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import timedelta

from clients.aws.accounts import EXPIRED, AccountCallers
from clients.aws.caller import AwsCaller
from clients.aws.trail_sql import checked
from clients.errors import NotPermitted, QueryFailed, Refused, StillRunning, Throttled, Unreachable
from clients.types import Reading, TrailEvent, TrailPage, TrailQuestion

PAGE = 50  # events, as a page of the event history has
_LOOKS = 5  # at a query within one call; paced about a second apart
_LONGEST = 600.0  # seconds that a query may last before it counts as one that doesn't answer
_AGAIN = timedelta(seconds=5)
_PAGE_TEXT = re.compile(
    r"(?P<query>\S{1,128}) (?P<since>\d{1,12}) (?P<about>[0-9a-f]{16}) (?P<token>.*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of rows; None in place of an event for a row that can't be read."""

    events: Sequence[TrailEvent | None]
    following: str  # the service's token of the next page, or ""


@dataclass(frozen=True, slots=True)
class _Position:
    """Which query, since when (seconds of the clock), about what, and the service's token of the page."""

    query_id: str
    since: int
    about: str
    token: str = ""

    @classmethod
    def read(cls, text: str, about: str) -> _Position:
        """Raises Refused for a page of another question, and for what is no page."""
        found = _PAGE_TEXT.fullmatch(text)
        if found is None or found["about"] != about:
            raise Refused("This page isn't one of this question. It is asked anew.", code="UnknownPage")
        return cls(found["query"], int(found["since"]), found["about"], found["token"])

    def text(self, token: str = "") -> str:
        """As a port's page."""
        return f"{self.query_id} {self.since} {self.about} {token}"


class QueriedTrail(ABC):
    """Implements clients.ports.ActivityTrail over one store. Safe between threads."""

    name: str  # as people know it
    settings: str  # that say which store
    family: str  # of the limiter

    def __init__(
        self,
        callers: AccountCallers,
        account_id: str,
        region: str,
        *,
        most_rows: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`most_rows` bounds what a query gives: one more than is read at most, so that what is cut off shows."""
        self._callers = callers
        self._account_id, self._region = account_id, region
        self._most_rows = most_rows
        self._now = now

    def look_up(self, question: TrailQuestion, *, page: str = "") -> Reading[TrailPage]:
        """See the port.

        Raises:
            StillRunning: the query isn't done; its `page` goes on with it.
        """
        checked(question)
        return self._callers.ask(self._account_id, lambda: self._ask(question, page))

    @abstractmethod
    def start(self, caller: AwsCaller, question: TrailQuestion) -> str:
        """Start a query; gives its id."""

    @abstractmethod
    def read(self, caller: AwsCaller, query_id: str, token: str) -> Reading[Answer | None]:
        """A page of a query, None while it runs. Raises QueryFailed."""

    def _ask(self, question: TrailQuestion, page: str) -> Reading[TrailPage]:
        about = hashlib.sha256(repr((self.name, astuple(question))).encode()).hexdigest()[:16]
        position = _Position.read(page, about) if page else None
        caller = self._callers.caller(
            self._account_id,
            self._region,
            bucket=f"{self.family}:{self._account_id}:{self._region}:queries",
            circuit=self.name,
        )
        try:
            if position is None:
                position = _Position(self._begin(caller, question), int(self._now()), about)
                return self._first_looks(caller, position)
            return self._looks(caller, position)
        except NotPermitted as error:
            if error.code in EXPIRED:
                raise
            raise self._refused(error) from error

    def _begin(self, caller: AwsCaller, question: TrailQuestion) -> str:
        try:
            return self.start(caller, question)
        except NotPermitted:
            raise
        except Refused as error:
            raise Refused(
                f"{self.name} doesn't take the question ({error.code}). An operator must check {self.settings}, and "
                "what they name.",
                code=error.code,
                receipt=error.receipt,
            ) from error

    def _first_looks(self, caller: AwsCaller, position: _Position) -> Reading[TrailPage]:
        """What has just been started isn't started again because a look at it fails."""
        try:
            return self._looks(caller, position)
        except StillRunning:
            raise
        except Unreachable as error:
            wait = error.retry_after if isinstance(error, Throttled) else _AGAIN
            raise self._running(position, wait) from error

    def _looks(self, caller: AwsCaller, position: _Position) -> Reading[TrailPage]:
        found = self.read(caller, position.query_id, position.token)
        for _ in range(_LOOKS - 1):
            if found.value is None:
                found = self.read(caller, position.query_id, position.token)
        if found.value is not None:
            return Reading(self._page(found.value, position), found.receipt)
        if self._now() - position.since > _LONGEST:
            raise Unreachable(
                f"{self.name} has worked on a query for more than {_LONGEST / 60:.0f} minutes.",
                code="QueryTooLong",
                receipt=found.receipt,
            )
        raise self._running(position, _AGAIN)

    def _page(self, answer: Answer, position: _Position) -> TrailPage:
        events = tuple(event for event in answer.events if event is not None)
        following = position.text(answer.following) if answer.following else ""
        return TrailPage(events, following, len(answer.events) - len(events))

    def _running(self, position: _Position, wait: timedelta) -> StillRunning:
        return StillRunning(
            f"{self.name} is still at work on the query.",
            page=position.text(position.token),
            retry_after=wait,
            code="QueryRunning",
        )

    def failed(self, query_id: str, state: str) -> QueryFailed:
        """The refusal for a query that has ended without an answer."""
        return QueryFailed(
            f"{self.name} has ended the query {query_id} without an answer ({state}). An operator finds the reason by "
            f"that id, in account {self._account_id}, Region {self._region}.",
            code=f"Query{state.title().replace('_', '')}",
        )

    def _refused(self, error: NotPermitted) -> NotPermitted:
        return NotPermitted(
            f"The role {self._callers.role} may not ask {self.name} in account {self._account_id}, Region "
            f"{self._region} ({error.code}). An operator must check its policy; docs/permissions.md has it.",
            code=error.code,
            receipt=error.receipt,
        )


__all__ = ["PAGE", "Answer", "QueriedTrail"]
