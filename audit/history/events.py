"""What the ledger holds about the auditors' own things."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register

_SEARCH = {"search_id": Field(Kind.ID), "shared": Field(Kind.FLAG)}

SAVED = EventType(
    "search.saved",
    "{actor} saved the search “{name}” of the audit trail",
    _SEARCH,
    words=("name", "filter"),
)
REMOVED = EventType(
    "search.removed",
    "{actor} removed the saved search “{name}” of the audit trail",
    _SEARCH,
    words=("name",),
)


def register_all() -> None:
    """Declare this room's event types; called once when Django starts."""
    register(SAVED, REMOVED)
