"""The exact text of an event, which is what gets sealed: one way to write each value.

Format 1: JSON, keys sorted, no blanks, characters unescaped, empty references left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from audit.ledger.registry import EventType, Field, Kind, LedgerError

FORMAT = 1
MAX_BYTES = 262_144

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

type JSON = str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None
# What callers may pass: JSON and the values that have one obvious way of writing.
type Value = JSON | datetime | timedelta | UUID


def instant(value: datetime) -> str:
    """ISO 8601 in UTC, always with microseconds, ending in Z. Raises LedgerError for a naive time."""
    if value.tzinfo is None:
        raise LedgerError("A time without a time zone can't be recorded.")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def clean(text: str) -> str:
    """The text as Postgres can keep it: neither NUL nor half a surrogate pair, whatever a browser sent."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def commitment(salt: bytes, words: str) -> str:
    """sha256(salt || words) in hex: proves the words while they are kept, nothing once they are gone."""
    return hashlib.sha256(salt + words.encode()).hexdigest()


def written(value: JSON) -> str:
    """Any value as JSON, of any length. Raises ValueError or TypeError when it is none."""
    return _ENCODER.encode(value)


def canonical(document: Mapping[str, JSON]) -> str:
    """The document's canonical text. Raises LedgerError when it is too long or not JSON."""
    try:
        text = written(document)
    except (TypeError, ValueError) as error:
        raise LedgerError(f"The event can't be written as JSON: {error}") from error
    if len(text.encode()) > MAX_BYTES:
        raise LedgerError(f"An event holds at most {MAX_BYTES} bytes.")
    return text


def check_fields(event: EventType, given: Mapping[str, Value]) -> dict[str, JSON]:
    """The fields, ready for JSON. Raises LedgerError unless they are exactly those that the type declares."""
    unknown = set(given) - set(event.fields)
    if unknown:
        raise LedgerError(f"{event.name} has no field {sorted(unknown)}; it has {sorted(event.fields)}.")
    checked = {
        name: _write(event, name, declared, given.get(name)) for name, declared in event.fields.items()
    }
    return {name: value for name, value in checked.items() if value is not None}


def _write(event: EventType, name: str, declared: Field, value: Value) -> JSON:
    if value is None:
        if declared.optional:
            return None
        raise LedgerError(f"{event.name} needs its field {name!r}.")
    match declared.kind, value:
        case (Kind.TEXT | Kind.ID, str()):
            return clean(value)
        case (Kind.ID, UUID()):
            return str(value)
        case (Kind.FLAG, bool()):
            return value
        case (Kind.NUMBER, int() | float()) if not isinstance(value, bool):
            return value
        case (Kind.INSTANT, datetime()):
            return instant(value)
        case (Kind.DURATION, timedelta()):
            return value.total_seconds()
        case (Kind.JSON, _):
            return clean_deep(value)
    raise LedgerError(f"{event.name}.{name} is a {declared.kind.value}, not {type(value).__name__}.")


def clean_deep(value: object) -> JSON:
    """Any value that has one obvious way of writing, as JSON. Raises LedgerError for another."""
    match value:
        case str():
            return clean(value)
        case datetime():
            return instant(value)
        case timedelta():
            return value.total_seconds()
        case UUID():
            return str(value)
        case Mapping():
            return {clean(str(key)): clean_deep(inner) for key, inner in value.items()}
        case Sequence() if not isinstance(value, bytes | bytearray):
            return [clean_deep(inner) for inner in value]
        case None | bool() | int() | float():
            return value
    raise LedgerError(f"{type(value).__name__} can't be written as JSON.")
