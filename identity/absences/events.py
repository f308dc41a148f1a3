"""What the ledger holds about absences: declared, with or without somebody who decides meanwhile, and withdrawn."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register

_WHEN = {"begins_at": Field(Kind.INSTANT), "ends_at": Field(Kind.INSTANT)}

DECLARED = EventType(
    "absence.declared",
    "{actor} recorded that {about} is away from {begins_at} until {ends_at}; nobody decides for them",
    _WHEN,
)
DELEGATED = EventType(
    "absence.delegated",
    "{actor} recorded that {about} is away from {begins_at} until {ends_at} and that {delegate} decides for them",
    {**_WHEN, "delegate": Field(personal=True), "delegate_id": Field(Kind.ID)},
)
WITHDRAWN = EventType(
    "absence.withdrawn",
    "{actor} withdrew the absence of {about} from {begins_at} until {ends_at}; nobody decides for them by it any more",
    _WHEN,
)


def register_all() -> None:
    """Called once, when the application starts."""
    register(DECLARED, DELEGATED, WITHDRAWN)
