"""What the ledger holds about its own copies: who took what, and how it ended."""

from __future__ import annotations

from audit.ledger.models import Outcome
from audit.ledger.registry import EventType, Field, Kind, register

_OF = {"form": Field(), "export_id": Field(Kind.ID)}
_SENT = {**_OF, "rows": Field(Kind.NUMBER)}

BEGAN = EventType(
    "export.began", "{actor} began to export events of the audit trail as {form}", _OF, words=("filter",)
)
FINISHED = EventType(
    "export.finished",
    "An export by {actor} ended with {rows} events",
    # What its search found and its form doesn't hold; absent: nothing.
    {**_SENT, "left_out": Field(optional=True)},
)
CANCELLED = EventType(
    "export.cancelled",
    "An export by {actor} was broken off after {rows} events",
    {
        **_SENT,
        "how": Field(optional=True),
    },  # cancelled: on the portal's page; broken off: the browser went away
    outcome=Outcome.FAILED,
)
FAILED = EventType(
    "export.failed",
    "An export by {actor} failed after {rows} events: {reason}",
    {**_SENT, "reason": Field()},
    outcome=Outcome.FAILED,
)
PACKED = EventType(
    "export.packed",
    "{actor} took an evidence pack of {events} events",
    {"export_id": Field(Kind.ID), "events": Field(Kind.NUMBER), "sha256": Field()},
    words=("filter",),
)


def register_all() -> None:
    """Declare this app's event types."""
    register(BEGAN, FINISHED, CANCELLED, FAILED, PACKED)
