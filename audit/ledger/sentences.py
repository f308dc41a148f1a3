"""Events as sentences: the type's wording, filled with names and values, in pieces that a page can dress."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from audit.ledger.models import ActorKind
from audit.ledger.reading import Entry
from audit.ledger.registry import EventType, Kind, LedgerError, event_type

ACTOR_NAMES = {
    ActorKind.WORKER: "The portal's worker",
    ActorKind.SYSTEM: "The portal",
    ActorKind.ANONYMOUS: "Somebody not signed in",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a sentence: `kind` is plain, name, value, words, instant or duration."""

    kind: str
    value: Any

    def __str__(self) -> str:
        match self.value:
            case datetime():
                return f"{self.value:%Y-%m-%d %H:%M:%S} UTC"
            case float() | int():
                return f"{self.value:g}"
            case _:
                return str(self.value)


def known_type(name: str) -> EventType | None:
    """The event type, or None for one that this version of the portal no longer declares."""
    try:
        return event_type(name)
    except LedgerError:
        return None


def actor_name(entry: Entry) -> str:
    """Who did it, by the name of that time; the object id where the name was erased."""
    declared = known_type(entry.event.type) if entry.event.actor_kind == ActorKind.ANONYMOUS else None
    nobody = declared.nobody if declared else ""
    return (
        entry.texts.get("actor")
        or nobody
        or ACTOR_NAMES.get(ActorKind(entry.event.actor_kind), entry.event.actor_oid or "Somebody")
    )


def about_name(entry: Entry) -> str:
    """Whom it concerns, by the name of that time."""
    return entry.texts.get("about") or entry.event.about_oid or "somebody"


def pieces(entry: Entry) -> Sequence[Piece]:
    """The entry's sentence in pieces. An undeclared type gives its bare name: nothing is hidden."""
    declared = known_type(entry.event.type)
    if declared is None:
        return [Piece("plain", f"{entry.event.type} (no longer declared)")]
    found: list[Piece] = []
    for plain, name, _, _ in string.Formatter().parse(declared.sentence):
        if plain:
            found.append(Piece("plain", plain))
        if name is not None:
            found.append(_piece(entry, declared, name))
    return found


def sentence(entry: Entry) -> str:
    """The entry's sentence as plain text."""
    return "".join(str(piece) for piece in pieces(entry))


def field_piece(declared: EventType | None, name: str, value: Any) -> Piece:
    """A field's value as its type says it is to be shown."""
    kind = declared.fields[name].kind if declared and name in declared.fields else Kind.JSON
    try:
        if kind is Kind.INSTANT and (moment := datetime.fromisoformat(value)).tzinfo is not None:
            return Piece("instant", moment.astimezone(UTC))
        if kind is Kind.DURATION:
            return Piece("duration", timedelta(seconds=value))
    except (TypeError, ValueError, OverflowError):
        return Piece("value", value)
    if kind is Kind.FLAG:
        return Piece("value", "yes" if value else "no")
    return Piece("value", value)


def _piece(entry: Entry, declared: EventType, name: str) -> Piece:
    if name == "actor":
        return Piece("name", actor_name(entry))
    if name == "about":
        return Piece("name", about_name(entry))
    if name in declared.words:
        return Piece("words", entry.texts.get(name) or ("(erased)" if name in entry.erased else "(nothing)"))
    if declared.fields[name].personal:
        return Piece("name", entry.texts.get(name, "(erased)"))
    if name not in entry.fields:
        return Piece("value", "(unknown)")
    return field_piece(declared, name, entry.fields[name])
