"""What the ledger holds about itself."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register

KEY_ANNOUNCED = EventType(
    "ledger.key_announced",
    "{actor} announced that key {key} seals the audit trail from now on: {reason}",
    {
        "key": Field(Kind.ID),
        "former": Field(Kind.ID, optional=True),  # the key of the newest seal; none in a new installation
        "after_batch": Field(Kind.NUMBER),  # the newest seal's
    },
    words=("reason",),
)


def register_all() -> None:
    """Declare this app's event types."""
    register(KEY_ANNOUNCED)
