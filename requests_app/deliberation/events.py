"""What the ledger holds about it: each question and answer, and who took a request up."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register

_ABOUT = {"item_id": Field(Kind.ID), "group_name": Field()}

ASKED = EventType(
    "question.asked",
    "{actor} asked {about} a question about the request for {group_name}",
    _ABOUT,
    words=("question",),
)
ANSWERED = EventType(
    "question.answered",
    "{actor} answered a question about the request for {group_name}",
    _ABOUT,
    words=("answer",),
)
TAKEN_UP = EventType(
    "review.taken_up",
    "{actor} is looking at the request of {about} for {group_name}",
    _ABOUT,
)
PUT_DOWN = EventType(
    "review.put_down",
    "{actor} is not looking at the request of {about} for {group_name} any more",
    _ABOUT,
)


def register_all() -> None:
    """Called once, when the application starts."""
    register(ASKED, ANSWERED, TAKEN_UP, PUT_DOWN)
