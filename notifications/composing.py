"""From a kind and its facts to a letter: subject, text and HTML, in the recipient's language.

A text template is paragraphs between blank lines. The first is the subject; one whose lines begin with "> " is
somebody's words; one that begins with "-> " names the link. Facts are inert before they come here (`inert`), so the
templates render without escaping; the HTML around them escapes everything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.template import Context, Engine
from django.template.loader import render_to_string

from notifications import inert
from notifications.kinds import Kind
from notifications.languages import Language

LONGEST_SUBJECT = 150
PREFIX = "[Access Portal]"
_QUOTE, _LINK = "> ", "-> "


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain text, or somebody's words."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One occasion in a digest."""

    text: str
    address: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent: plain text, and the same as HTML."""

    subject: str
    text: str
    html: str


def compose(kind: Kind, facts: Mapping[str, str], path: str, language: Language) -> Letter:
    """The letter of one occasion; `path` is the page that its link leads to."""
    return _letter(_rendered(kind.value, facts, language), path, language)


def compose_notice(kind: Kind, facts: Mapping[str, str], language: Language) -> tuple[str, str]:
    """Title and text for a chat: without people's words, which would be read by more than they were meant for."""
    title, *rest = _paragraphs(_rendered(kind.value, facts, language))
    text = " ".join(" ".join(each.split()) for each in rest if not each.startswith((_QUOTE, _LINK)))
    return inert.for_chat(title), inert.for_chat(text)


def compose_digest(entries: Sequence[tuple[str, str]], language: Language) -> Letter:
    """One letter about several occasions: for each its line and the page that it leads to."""
    origin = settings.PORTAL_ORIGIN
    listed = [Entry(text, origin + path) for text, path in entries]
    return _letter(_rendered("digest", {"count": str(len(listed))}, language), "/", language, listed)


def subject_line(kind: Kind, facts: Mapping[str, str], language: Language) -> str:
    """What it says in one line."""
    return _paragraphs(_rendered(kind.value, facts, language))[0]


def _rendered(name: str, facts: Mapping[str, str], language: Language) -> str:
    # The engine's own template: the backend's wrapper takes no context that doesn't escape.
    template = Engine.get_default().get_template(f"notifications/{language.code}/{name}.txt")
    return template.render(Context(dict(facts), autoescape=False))


def _paragraphs(text: str) -> list[str]:
    return [each.strip() for each in re.split(r"\n\s*\n", text.strip())]


def _letter(rendered: str, path: str, language: Language, entries: Sequence[Entry] = ()) -> Letter:
    subject, *rest = _paragraphs(rendered)
    link = next((each.removeprefix(_LINK) for each in rest if each.startswith(_LINK)), "")
    body = [_paragraph(each) for each in rest if not each.startswith(_LINK)]
    footer = " ".join(_rendered("footer", {}, language).split())
    context: dict[str, Any] = {
        "language": language.code,
        "subject": inert.line(f"{PREFIX} {subject}", longest=LONGEST_SUBJECT),
        "paragraphs": body,
        "entries": entries,
        "link": link,
        "address": settings.PORTAL_ORIGIN + path,
        "footer": footer,
        "preferences": f"{settings.PORTAL_ORIGIN}/preferences/",
    }
    return Letter(
        subject=context["subject"],
        text=_text(body, entries, link, context["address"], footer, context["preferences"]),
        html=render_to_string("notifications/letter/letter.html", context),
    )


def _paragraph(text: str) -> Paragraph:
    if not text.startswith(_QUOTE):
        return Paragraph(" ".join(text.split()))
    return Paragraph("\n".join(each.removeprefix(_QUOTE) for each in text.splitlines()), quoted=True)


def _text(
    body: Sequence[Paragraph],
    entries: Sequence[Entry],
    link: str,
    address: str,
    footer: str,
    preferences: str,
) -> str:
    parts = ["\n".join(f"> {row}" for row in p.text.splitlines()) if p.quoted else p.text for p in body]
    parts += [f"{each.text}:\n{each.address}" for each in entries]
    return "\n\n".join([*parts, f"{link}:\n{address}", f"-- \n{footer}\n{preferences}"]) + "\n"


def quoted(text: str) -> str:
    """Somebody's words as a template takes them: inert, each line marked."""
    return "\n".join(f"{_QUOTE}{each}" for each in inert.words(text).splitlines())
