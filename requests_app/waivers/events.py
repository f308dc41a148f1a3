"""What the ledger holds about going without an approval, and about the reviews that are owed for it."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register

_STEP = {"source": Field(), "target": Field(), "item_id": Field(Kind.ID), "group_name": Field()}
_WAIVER = {**_STEP, "kind": Field(), "drill": Field(Kind.FLAG)}
_REVIEW = {
    "review_id": Field(Kind.ID),
    "item_id": Field(Kind.ID),
    "group_name": Field(),
    "kind": Field(),
    "panel": Field(Kind.NUMBER),
    "drill": Field(Kind.FLAG),
}

SUBMITTED = EventType(
    "waiver.submitted",
    "{actor} asked for {group_name} without an approval: {kind}",
    _WAIVER,
    words=("reason",),
)
GRANTED = EventType(
    "waiver.granted",
    "{about} needed no approval for {group_name}: {kind}. {conditions}",
    {**_WAIVER, "conditions": Field(), "checked": Field()},
)
REFUSED = EventType(
    "waiver.refused",
    "{about} was not let go without an approval for {group_name}: {reason}",
    {**_WAIVER, "reason": Field()},
)
OWED = EventType(
    "emergency.review_owed",
    "A review of the use of {group_name} by {about} ({kind}) is owed until {due_at}",
    {**_REVIEW, "due_at": Field(Kind.INSTANT), "blocks_at": Field(Kind.INSTANT)},
)
OVERDUE = EventType(
    "emergency.review_overdue",
    "The review of the use of {group_name} by {about} ({kind}) is overdue",
    _REVIEW,
)
REVIEWED = EventType(
    "emergency.reviewed",
    "{actor} reviewed the use of {group_name} by {about} ({kind}): {verdict}",
    {**_REVIEW, "verdict": Field()},
    words=("comment",),
)
LIFTED = EventType(
    "emergency.block_lifted",
    "{actor} lets {about} use emergencies again although a review about {group_name} is owed",
    _REVIEW,
    words=("reason",),
)


def register_all() -> None:
    """Called once, when the application starts."""
    register(SUBMITTED, GRANTED, REFUSED, OWED, OVERDUE, REVIEWED, LIFTED)
