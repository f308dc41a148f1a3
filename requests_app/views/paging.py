"""Keyset positions in addresses: an instant, or an instant and an id. Nonsense means the first page."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID


def read_instant(text: str) -> datetime | None:
    """An aware instant from an address, in UTC: an offset can lead out of the years that Postgres is told of."""
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo else None
    except (ValueError, OverflowError):
        return None


def read_place(text: str) -> tuple[datetime, UUID] | None:
    """An instant and an id from an address, written by `write_place`."""
    when, _, which = text.partition("_")
    instant, key = read_instant(when), read_id(which)
    return (instant, key) if instant and key else None


def read_id(text: str) -> UUID | None:
    """An id from an address."""
    try:
        return UUID(text)
    except ValueError:
        return None


def read_ids(texts: Iterable[str]) -> list[UUID]:
    """The ids among these, each once."""
    return list(dict.fromkeys(found for text in texts if (found := read_id(text))))


def write_place(instant: datetime, key: UUID) -> str:
    """The position of a row, for an address."""
    return f"{instant.isoformat()}_{key}"
