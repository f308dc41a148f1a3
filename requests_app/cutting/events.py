"""The audit event types of fast removal and severing: an intent before each write to AWS, an answer after it."""

from __future__ import annotations

from audit.ledger.models import Outcome
from audit.ledger.registry import EventType, Field, Kind, register

_TEXT = Field(Kind.TEXT)
_TIME = Field(Kind.INSTANT)
_COUNT = Field(Kind.NUMBER)
_ID = Field(Kind.ID)
_ANSWER = {"outcome": _TEXT, "vendor_request_id": _TEXT, "code": _TEXT, "answer": _TEXT}
_SCOPE = {"group_name": _TEXT, "account_id": _TEXT, "permission_set_name": _TEXT}

EVENTS = (
    EventType(
        name="fast_removal.asked",
        sentence="{actor} asked to take {about} out of {group_name} in IAM Identity Center at once",
        fields={"group_name": _TEXT},
    ),
    EventType(
        name="fast_removal.sent",
        sentence="Asked IAM Identity Center to take {about} out of {group_name}: {reason}",
        fields={"client_request_id": _ID, "group_name": _TEXT, "reason": _TEXT, "membership_id": _TEXT},
    ),
    EventType(
        name="fast_removal.answered",
        sentence="IAM Identity Center answered the removal from {group_name}: {outcome}",
        fields={"client_request_id": _ID, "group_name": _TEXT, **_ANSWER},
    ),
    EventType(
        name="fast_removal.refused",
        sentence="{about} was not taken out of {group_name} at once: {reason}",
        fields={"group_name": _TEXT, "reason": _TEXT},
        outcome=Outcome.REFUSED,
    ),
    EventType(
        name="severance.wanted",
        sentence="Sessions of {about} in {permission_set_name} on {account_id} are to be denied",
        fields={**_SCOPE, "place": _TEXT},
    ),
    EventType(
        name="severance.limited",
        sentence="The denial of {about} in {permission_set_name} on {account_id} is for what was issued before {cut_before}",
        fields={**_SCOPE, "cut_before": _TIME},
    ),
    EventType(
        name="severance.unlimited",
        sentence="The denial of {about} in {permission_set_name} on {account_id} is for every session again",
        fields=_SCOPE,
    ),
    EventType(
        name="severance.confirmed",
        sentence="Read back: sessions of {about} in {permission_set_name} on {account_id} are denied",
        fields={**_SCOPE, "vendor_request_id": _TEXT},
    ),
    EventType(
        name="severance.lost",
        sentence="The denial of {about} in {permission_set_name} on {account_id} was taken away by somebody else",
        fields=_SCOPE,
        outcome=Outcome.FAILED,
    ),
    EventType(
        name="severance.refused",
        sentence="There is no room to deny the sessions of {about} in {permission_set_name} on {account_id}",
        fields={**_SCOPE, "place": _TEXT},
        outcome=Outcome.REFUSED,
    ),
    EventType(
        name="severance.lifted",
        sentence="The denial of {about} in {permission_set_name} on {account_id} is no longer needed",
        fields=_SCOPE,
    ),
    EventType(
        name="severing.sent",
        sentence="Asked AWS to write {statements} denials into {place}",
        fields={"client_request_id": _ID, "place": _TEXT, "statements": _COUNT, "document_hash": _TEXT},
    ),
    EventType(
        name="severing.answered",
        sentence="AWS answered the writing of denials into {place}: {outcome}",
        fields={"client_request_id": _ID, "place": _TEXT, **_ANSWER},
    ),
    EventType(
        name="grant.last_use_changed",
        sentence="By the denials read back, access of {about} through {group_name} can be used until {last_possible_use_at}",
        fields={"group_name": _TEXT, "last_possible_use_at": _TIME},
    ),
)


def register_all() -> None:
    """Called once, when the application starts."""
    register(*EVENTS)
