"""How many clicks it takes: counted over what the pages themselves offer, with nothing typed but what is told here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest

from notifications.telling import tell
from requests_app.models import Decision, RequestItem
from tests.notifications.conftest import Post, post
from tests.pages.conftest import Visitor, World
from tests.pages.moving import decide

__all__ = ["post"]

pytestmark = pytest.mark.django_db
WHY = "Fix the deployment that is stuck"


@dataclass
class Form:
    """A form as a browser would send it, were nothing typed into it; `typable` are fields that take words."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    typable: set[str] = field(default_factory=set)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class Page(HTMLParser):
    """What can be clicked on a page: links by their words, and forms with their buttons."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: dict[str, str] = {}
        self.forms: list[Form] = []
        self._inside: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(found.get("action", ""), found.get("method", "get")))
        if tag in ("a", "button", "textarea"):
            self._inside.append((tag, found, []))
        if tag == "input" and self.forms and (name := found.get("name")):
            kind, form = found.get("type", "text"), self.forms[-1]
            if kind not in ("radio", "checkbox") or "checked" in found:
                form.fields[name] = found.get("value", "")
            if kind in ("text", "search", "datetime-local", "number"):
                form.typable.add(name)

    def handle_data(self, data: str) -> None:
        for _, _, words in self._inside:
            words.append(data)

    def handle_endtag(self, tag: str) -> None:
        if not self._inside or self._inside[-1][0] != tag:
            return
        _, found, words = self._inside.pop()
        said = " ".join("".join(words).split())
        if tag == "a":
            self.links.setdefault(said, found.get("href", ""))
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.setdefault(said, (found.get("name", ""), found.get("value", "")))
        elif tag == "textarea":
            self.forms[-1].fields[found["name"]] = "".join(words).strip("\n")
            self.forms[-1].typable.add(found["name"])


@dataclass
class Clicker:
    """Somebody at a browser who can only do what the page before them offers."""

    visitor: Visitor
    address: str
    clicks: int = 0

    @property
    def page(self) -> Page:
        answer = self.visitor.get(self.address)
        assert answer.status_code == 200, self.address
        return Page(answer.content.decode())

    def follow(self, words: str) -> None:
        self.address = urljoin(self.address, self.page.links[words])
        self.clicks += 1

    def press(self, words: str, **typed: str) -> None:
        (form,) = [each for each in self.page.forms if words in each.buttons]
        assert typed.keys() <= form.typable
        name, value = form.buttons[words]
        fields = {**form.fields, **typed, **({name: value} if name else {})}
        assert form.method == "post"
        answer = self.visitor.post(urljoin(self.address, form.action), **fields)
        assert answer.status_code == 302, answer.content.decode()
        self.address = answer["Location"]
        self.clicks += 1


def test_a_first_request_takes_three_clicks_and_a_reason(world: World) -> None:
    ada = Clicker(world.sign_in(world.ada), "/")
    ada.follow("Request access")
    ada.follow(f"Request {world.group.display_name}")
    ada.press("Send the request", justification=WHY)
    item = RequestItem.objects.get()
    assert (ada.clicks, ada.address) == (3, f"/requests/{item.request_id}/")


def test_a_repeat_takes_one_click_and_a_reason(world: World) -> None:
    earlier = world.ask()
    decide(earlier, world.ben, "deny", world.as_role)
    ada = Clicker(world.sign_in(world.ada), "/")
    ada.press(f"Again: {world.group.display_name}", justification=WHY)
    item = RequestItem.objects.exclude(pk=earlier.pk).get()
    assert (ada.clicks, ada.address) == (1, f"/requests/{item.request_id}/")
    assert item.duration == earlier.duration


def test_an_approval_takes_two_clicks_from_the_mail(world: World, post: Post) -> None:
    item = world.ask()
    tell()
    (mail,) = [each for each in post.mails if each.to == (world.ben.mail,)]
    links = {urlsplit(each).path for each in re.findall(r'href="([^"]+)"', mail.html)}
    (link,) = [each for each in links if each.startswith("/approvals/")]
    ben = Clicker(world.sign_in(world.ben), link, clicks=1)
    ben.press("Approve")
    decision = Decision.objects.get()
    assert (decision.item, decision.verdict, ben.clicks) == (item, "approve", 2)
