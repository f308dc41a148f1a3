"""Events as lines of the Common Event Format, for log stores that read no JSON.

CEF:0|vendor|product|version|type|sentence|severity|extension. In the head, a backslash and a bar are escaped, in the
extension a backslash and an equals sign; a line feed is never part of either (Micro Focus, "ArcSight Common Event
Format", version 26, sections "Character encoding" and "Extension dictionary").
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from audit.forwarding.ocsf_classes import PORTAL, Severity, meaning_of
from audit.ledger import sentences
from audit.ledger.reading import Entry
from base.visible import without_hidden

LONGEST_NAME = 512  # the format's own limit
LONGEST = 1_000  # the limit of `msg` and most others is 1023
_SEVERITY = {
    Severity.INFORMATIONAL: 2,
    Severity.LOW: 4,
    Severity.MEDIUM: 6,
    Severity.HIGH: 8,
    Severity.CRITICAL: 10,
}


def line(entry: Entry, batch: int | None) -> str:
    """The event as one line, without a line feed and without a character that nobody sees."""
    event = entry.event
    head = "|".join((
        *("CEF:0", PORTAL, PORTAL, "1", _in_head(event.type)),
        _in_head(sentences.sentence(entry), LONGEST_NAME),
        str(_SEVERITY[meaning_of(event.type).severity]),
    ))  # fmt: skip
    return f"{head}|{' '.join(f'{name}={_in_extension(value)}' for name, value in _extension(entry, batch))}"


def _extension(entry: Entry, batch: int | None) -> Iterator[tuple[str, str]]:
    event = entry.event
    given = (
        ("rt", str(int(event.at.timestamp() * 1000))),
        ("end", str(int(event.business_at.timestamp() * 1000))),
        ("externalId", str(event.id)),
        ("outcome", event.outcome),
        ("suid", event.actor_oid),
        ("suser", sentences.actor_name(entry)),
        ("duid", event.about_oid),
        ("duser", entry.texts.get("about", "")),
        *_address(event.ip),
        *_labelled(1, "PIM group", event.group_oid),
        *_labelled(2, "request", str(event.request_id or "")),
        *_labelled(3, "grant", str(event.grant_id or "")),
        *_labelled(4, "sealed in batch", "" if batch is None else str(batch)),
        *_labelled(5, "facts", json.dumps(dict(entry.fields), sort_keys=True) if entry.fields else ""),
    )
    return ((name, value) for name, value in given if value)


def _address(text: str) -> tuple[tuple[str, str], ...]:
    """`src` is for IPv4 alone."""
    return (
        (("src", text),)
        if "." in text
        else (("c6a2", text), ("c6a2Label", "Source IPv6 Address"))
        if text
        else ()
    )


def _labelled(number: int, label: str, value: str) -> tuple[tuple[str, str], ...]:
    return ((f"cs{number}", value), (f"cs{number}Label", label)) if value else ()


def _plain(text: str, longest: int) -> str:
    shown = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return without_hidden(shown)


def _in_head(text: str, longest: int = LONGEST) -> str:
    return _plain(text, longest).replace("\\", "\\\\").replace("|", "\\|")


def _in_extension(text: str) -> str:
    return _plain(text, LONGEST).replace("\\", "\\\\").replace("=", "\\=")
