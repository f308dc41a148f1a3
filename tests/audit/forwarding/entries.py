"""Entries that were never recorded: events with every field of their type, for what only reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from audit.ledger.canonical import clean
from audit.ledger.models import ActorKind, Event
from audit.ledger.reading import Entry
from audit.ledger.registry import EventType, Kind, event_type, registered

AT = datetime(2026, 5, 1, 12, 30, 0, 123456, tzinfo=UTC)
OID = "00000000-0000-4000-8000-00000000ada1"
GROUP = "00000000-0000-4000-8000-000000000901"
REQUEST = UUID("00000000-0000-4000-8000-000000000001")


def product_types() -> list[str]:
    """Every event type that the product declares; tests declare more."""
    return [name for name in registered() if not name.startswith("trial.")]


def entry_of(name: str, text: str = "something", *, full: bool = True, **event: Any) -> Entry:
    """An event of that type in which every text is `text`; not `full`, and nothing optional is there."""
    declared = event_type(name)
    kept = clean(text)
    fields = {
        field: _value(declared, field, kept)
        for field, each in declared.fields.items()
        if not each.personal and (full or not each.optional)
    }
    personal = [field for field, each in declared.fields.items() if each.personal]
    texts = dict.fromkeys([*declared.words, *personal, "actor", "about"], kept) if full else {}
    given = {
        "id": 7,
        "at": AT,
        "business_at": AT,
        "type": name,
        "outcome": declared.outcome,
        "actor_kind": ActorKind.PERSON if full else ActorKind.ANONYMOUS,
        "actor_oid": OID if full else "",
        "about_oid": OID if full else "",
        "group_oid": GROUP if full else "",
        "request_id": REQUEST if full else None,
        "grant_id": REQUEST if full else None,
        "ip": "192.0.2.1" if full else "",
        "session": "0123456789abcdef" if full else "",
        "data": {"fields": fields},
    }
    return Entry(Event(**(given | event)), texts)


def _value(declared: EventType, field: str, text: str) -> Any:
    match declared.fields[field].kind:
        case Kind.NUMBER | Kind.DURATION:
            return 3600
        case Kind.FLAG:
            return True
        case Kind.INSTANT:
            return "2026-05-01T12:30:00.000000Z"
        case Kind.JSON:
            return {text[:100]: [text]}
        case _:
            return text
