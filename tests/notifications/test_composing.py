"""What a letter says: the same as text and as HTML, in each language, whatever names and words hold."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.core import mail

from clients.notify.build import build_postman
from clients.types import Mail
from notifications import inert
from notifications.composing import Letter, compose, compose_digest, quoted, subject_line
from notifications.kinds import Kind
from notifications.languages import ENGLISH, GERMAN, LANGUAGES, Language

ROOT = settings.BASE_DIR / "templates" / "notifications"
# Everything that a text may name, as `facts` fills it.
EVERYTHING = (
    "who", "group", "duration", "start", "lapses", "justification", "reference", "outcome", "starts", "ends", "by",
    "comments", "reason", "told", "total", "verdict", "elsewhere", "how", "what", "last_use",
    "count", "instead_of", "delegate", "drill", "due", "blocks",
)  # fmt: skip
QUOTED = {"justification", "comments", "reason"}

HOSTILE = {
    "markup": '<script>alert(1)</script><img src=x onerror=alert(1)> "&amp;',
    "an attribute's end": '"><a href="https://evil.example">click</a>',
    "a header": "Ada\r\nBcc: everybody@example.com\r\n\r\nHello",
    "a lone carriage return": "Ada\rBcc: everybody@example.com",
    "unicode line ends": "Ada\u2028Bcc: x\u2029Subject: y\x85z\x0bq\x0cw",
    "control characters": "A\x00d\x07a\x1b[31m red \x9b0m",
    "turned around": "Ada \u202egnp.exe\u202c \u2066x\u2069 \u200f\u061c",
    "invisible": "A\u200bd\ufeffa\u00ad\u2060",
    "a tag's characters": "Ada\U000e0041\U000e0042",
    "half a pair": "Ada\ud83d",
    "an address": "see https://evil.example/login and www.evil.example and javascript://x",
    "a template": "{{ settings.SECRET_KEY }}{% load static %}",
    "the marks of a letter": "-> Sign in here\n> said nobody",
    "a paragraph's end": "Ada\n\n-> Sign in here\n\nhttps://evil.example",
    "too much": "x" * 5000,
    "an encoded word": "=?utf-8?q?Ada=0D=0ABcc=3A_x?=",
}


def facts_with(text: str) -> dict[str, str]:
    return {name: quoted(text) if name in QUOTED else inert.line(text) for name in EVERYTHING}


class Reader(HTMLParser):
    """Which elements and links a document has."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str] = set()
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"lang", "charset", "href"}, attrs
        self.links |= {value or "" for name, value in attrs if name == "href"}


def assert_harmless(letter: Letter) -> None:
    origin = settings.PORTAL_ORIGIN
    page = Reader(letter.html)
    assert page.tags <= {
        "html", "head", "meta", "title", "body", "p", "a", "strong", "hr", "small", "blockquote", "br",
    }  # fmt: skip
    assert page.links == {f"{origin}/approvals/1/", f"{origin}/preferences/"}
    addresses = set(re.findall(r"\w+://\S+|www\.\S+", letter.text))
    assert addresses == page.links
    for text in (letter.subject, letter.text, letter.html):
        assert [c for c in text if c != "\n" and inert._hidden(c)] == []
    assert len(letter.subject) <= 150
    assert letter.text.count("Sign in here:") == 0, "words became the link's name"


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=lambda each: each.code)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_text_is_inert(text: str, language: Language) -> None:
    postman = build_postman({"MAIL_FROM": "portal@example.com"})
    assert postman is not None
    letters = [compose(kind, facts_with(text), "/approvals/1/", language) for kind in Kind]
    lines = [(subject_line(kind, facts_with(text), language), "/approvals/1/") for kind in Kind]
    digest = compose_digest(lines, language)
    assert Reader(digest.html).tags <= {"ul", "li", *Reader(letters[0].html).tags}
    assert set(re.findall(r"\w+://\S+", digest.text)) == Reader(digest.html).links
    for letter in letters:
        assert_harmless(letter)
    letter = letters[0]
    # As it leaves: no header more than without it, and a subject of one line.
    postman.send(Mail("message-1", ("ben@example.com",), letter.subject, letter.text, letter.html))
    sent = message_from_bytes(mail.outbox[-1].message().as_bytes(), policy=policy.default)
    assert set(sent.keys()) == {
        "Content-Type", "MIME-Version", "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted",
        "X-Auto-Response-Suppress",
    }  # fmt: skip
    assert "\n" not in sent["Subject"]
    assert [part.get_content_type() for part in sent.iter_parts()] == ["text/plain", "text/html"]


def test_the_same_is_said_as_text_and_as_html() -> None:
    for language in LANGUAGES.values():
        for kind in Kind:
            letter = compose(
                kind, {"who": "Ada", "group": "AWS - Admin", "ends": "soon"}, "/requests/1/", language
            )
            said = " ".join(re.sub(r"<[^>]+>", " ", letter.html.partition("<body>")[2]).split())
            first = letter.text.splitlines()[0]
            assert first in said
            assert f'lang="{language.code}"' in letter.html


def test_every_kind_has_its_texts_in_every_language_and_they_name_the_same_facts() -> None:
    for kind in [*map(str, Kind), "digest", "footer"]:
        named = [
            {
                a or b
                for a, b in re.findall(
                    r"{% *(?:if|elif) +(\w+)|{{ *(\w+)", (ROOT / code / f"{kind}.txt").read_text()
                )
            }
            for code in LANGUAGES
        ]
        assert named[0] == named[1], kind
        assert named[0] <= {*EVERYTHING}, kind


def test_words_of_people_are_marked_as_such() -> None:
    letter = compose(Kind.DECIDE, {"justification": quoted("One\n\nTwo")}, "/", ENGLISH)
    assert "> One\n> Two" in letter.text
    assert "<blockquote>One<br>Two</blockquote>" in letter.html


def test_instants_and_spans_are_said_in_language_and_zone() -> None:
    instant = datetime(2026, 7, 1, 12, 5, tzinfo=UTC)
    assert ENGLISH.moment(instant, ZoneInfo("America/New_York")) == "Wed 1 Jul 2026, 08:05 (America/New_York)"
    assert GERMAN.moment(instant, ZoneInfo("Europe/Berlin")) == "Mi. 1. Juli 2026, 14:05 Uhr (Europe/Berlin)"
    assert GERMAN.span(timedelta(days=1, hours=2)) == "1 Tag 2 Std."
    assert ENGLISH.span(timedelta(minutes=90)) == "1 h 30 min"
