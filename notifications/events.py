"""What the ledger holds about messages: who changed how they are told. That somebody was told isn't kept for ever."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register
from audit.ledger.rows import Watched

PREFERENCE = Watched(
    "notifications_preference",
    ("person_id", "language", "time_zone", "digest", "off", "changed_at"),
)

CHANGED = EventType(
    "preferences.changed",
    "{actor} changed how {about} is told: language {language}, time zone {time_zone}, digest {digest}",
    {"language": Field(), "time_zone": Field(), "digest": Field(), "off": Field(Kind.JSON)},
    tells=(PREFERENCE,),
)


def register_all() -> None:
    """Called once, when the application starts."""
    register(CHANGED)
