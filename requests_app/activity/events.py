"""What the ledger holds about it: who looked at somebody's activity."""

from __future__ import annotations

from audit.ledger.registry import EventType, register

VIEWED = EventType("activity.viewed", "{actor} looked at what {about} did in AWS with this access")


def register_all() -> None:
    """Called once, when the application starts."""
    register(VIEWED)
