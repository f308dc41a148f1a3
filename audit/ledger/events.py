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


WORDS_ERASED = EventType(
    "ledger.words_erased",
    "{actor} erased {texts} texts and names beside events of before {before}, which are kept for {kept_days} days",
    {
        "types": Field(Kind.JSON),  # names of event types
        "since": Field(
            Kind.INSTANT, optional=True
        ),  # of the events' own time, included; none: from the first
        "before": Field(Kind.INSTANT),  # excluded
        "kept_days": Field(Kind.NUMBER),
        "texts": Field(Kind.NUMBER),
    },
)


def register_all() -> None:
    """Declare this app's event types."""
    register(KEY_ANNOUNCED, WORDS_ERASED)
