"""What the ledger holds about the auditors' own things."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register
from audit.ledger.rows import Watched

# Its name and what it looks for are an auditor's own words, which stand beside the event.
SEARCH = Watched(
    "history_savedsearch",
    ("owner_id", "shared", "saved_at"),
)

_SEARCH = {"search_id": Field(Kind.ID), "shared": Field(Kind.FLAG)}

SAVED = EventType(
    "search.saved",
    "{actor} saved the search “{name}” of the audit trail",
    _SEARCH,
    words=("name", "filter"),
    tells=(SEARCH,),
)
REMOVED = EventType(
    "search.removed",
    "{actor} removed the saved search “{name}” of the audit trail",
    _SEARCH,
    words=("name",),
    tells=(SEARCH,),
)


def register_all() -> None:
    """Declare this room's event types; called once when Django starts."""
    register(SAVED, REMOVED)
