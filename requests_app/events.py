"""The audit event types of the life cycle: one per edge of `lifecycle`, and those of outside writes."""

from __future__ import annotations

from audit.ledger.models import Outcome
from audit.ledger.registry import EventType, Field, Kind, register

_TEXT = Field(Kind.TEXT)
_TIME = Field(Kind.INSTANT)
_SPAN = Field(Kind.DURATION)
_COUNT = Field(Kind.NUMBER)
_ID = Field(Kind.ID)

# What a sign-in proved, where a rule wanted it of whoever asks or decides; instants are Entra's and the portal's.
_PROOF = {
    "proven_contexts": Field(Kind.TEXT, optional=True),
    "authenticated_at": Field(Kind.INSTANT, optional=True),
    "verified_at": Field(Kind.INSTANT, optional=True),
}
_WINDOW = {"starts_at": _TIME, "ends_at": _TIME}
_STEP = {"source": _TEXT, "target": _TEXT}


def _item(name: str, sentence: str, **fields: Field) -> EventType:
    return EventType(name=name, sentence=sentence, fields={**_STEP, "item_id": _ID, **fields})


def _grant(name: str, sentence: str, **fields: Field) -> EventType:
    return EventType(name=name, sentence=sentence, fields={**_STEP, **fields})


REQUEST_EVENTS = (
    EventType(
        name="request.submitted",
        sentence="{actor} asked for access",
        fields={"reference": _TEXT, "items": _COUNT, **_PROOF},
        words=("justification",),
    ),
    _item(
        "item.requested",
        "{actor} asked for {group_name} for {duration}",
        group_name=_TEXT,
        duration=_SPAN,
        wanted_start=Field(Kind.INSTANT, optional=True),
        rule_version=_TEXT,
        rule_hash=_TEXT,
        scope_hash=_TEXT,
        scope_digest=Field(Kind.TEXT, optional=True),  # of the rows themselves: `told.scope_digest`
        accounts=_COUNT,
        permission_sets=_COUNT,
        lapses_at=_TIME,
    ),
    _item(
        "item.approved",
        "The request of {about} for {group_name} was approved",
        group_name=_TEXT,
        approvals=_COUNT,
        duration=Field(Kind.DURATION, optional=True),
    ),
    _item("item.denied", "The request of {about} for {group_name} was denied", group_name=_TEXT),
    _item("item.withdrawn", "{actor} withdrew the request for {group_name}", group_name=_TEXT),
    _item(
        "item.closed",
        "The request of {about} for {group_name} was closed without a decision: {reason}",
        group_name=_TEXT,
        reason=_TEXT,
    ),
    _item(
        "item.drilled",
        "The drill of {about} for {group_name} came to its end; nothing was granted",
        group_name=_TEXT,
    ),
    _item(
        "item.lapsed",
        "The request of {about} for {group_name} lapsed: nobody decided in time",
        group_name=_TEXT,
    ),
)

CHASING_EVENTS = (
    EventType(
        name="item.reminded",
        sentence="The request of {about} for {group_name} waits: who may decide was reminded, time {number}",
        fields={"item_id": _ID, "group_name": _TEXT, "stage": _COUNT, "number": _COUNT},
    ),
    EventType(
        name="item.escalated",
        sentence="The request of {about} for {group_name} waits: others may decide on it too from now on",
        fields={"item_id": _ID, "group_name": _TEXT, "stage": _COUNT, "rule_hash": _TEXT},
    ),
)

DECISION_EVENTS = (
    EventType(
        name="decision.submitted",
        sentence="{actor} decided “{verdict}” on the request of {about} for {group_name}",
        fields={
            **_STEP,
            "item_id": _ID,
            "verdict": _TEXT,
            "duration": Field(Kind.DURATION, optional=True),
            "stage": _COUNT,
            "group_name": _TEXT,
            "shown": Field(Kind.TEXT, optional=True),
            "instead_of": Field(personal=True, optional=True),
            "instead_of_id": Field(Kind.ID, optional=True),
            "while_away": Field(Kind.FLAG, optional=True),
            **_PROOF,
        },
        words=("comment",),
    ),
    EventType(
        name="decision.counted",
        sentence="The decision “{verdict}” on the request of {about} was checked and counted",
        fields={**_STEP, "item_id": _ID, "verdict": _TEXT, "stage": _COUNT, "checked": _TEXT},
    ),
    EventType(
        name="decision.refused",
        sentence="The decision “{verdict}” on the request of {about} was not counted: {reason}",
        fields={**_STEP, "item_id": _ID, "verdict": _TEXT, "stage": _COUNT, "reason": _TEXT},
    ),
)

GRANT_EVENTS = (
    _grant(
        "grant.scheduled",
        "Access of {about} through {group_name} is due",
        group_name=_TEXT,
        as_person=Field(Kind.FLAG, optional=True),
        **_WINDOW,
    ),
    _grant("grant.activation_started", "Activation of {group_name} for {about} began", group_name=_TEXT),
    _grant(
        "grant.cancelled",
        "Access of {about} through {group_name} was cancelled",
        group_name=_TEXT,
        reason=_TEXT,
    ),
    _grant(
        "grant.not_started",
        "Access of {about} through {group_name} was not started: {problem}",
        group_name=_TEXT,
        problem=_TEXT,
    ),
    _grant(
        "grant.assigned",
        "Entra holds the membership of {about} in {group_name} until {ends_at}",
        group_name=_TEXT,
        pim_request_id=_TEXT,
        pim_schedule_id=_TEXT,
        vendor_request_id=_TEXT,
        ends_at=_TIME,
    ),
    _grant(
        "grant.refused",
        "Entra did not grant {group_name} to {about}: {problem}",
        group_name=_TEXT,
        problem=_TEXT,
        code=_TEXT,
    ),
    _grant(
        "grant.activation_abandoned",
        "The activation of {group_name} for {about} is being undone: {reason}",
        group_name=_TEXT,
        reason=_TEXT,
    ),
    _grant(
        "grant.arrived",
        "{about} is a member of {group_name} in IAM Identity Center: access is ready",
        group_name=_TEXT,
        vendor_request_id=_TEXT,
    ),
    _grant(
        "grant.stopped_on_the_way",
        "Access of {about} through {group_name} is being removed before it was ready: {reason}",
        group_name=_TEXT,
        reason=_TEXT,
    ),
    _grant(
        "grant.removal_started",
        "Access of {about} through {group_name} is being removed: {reason}",
        group_name=_TEXT,
        reason=_TEXT,
    ),
    _grant(
        "grant.continued_on_the_way",
        "PIM let access of {about} through {group_name} end at {held_until}; the rest until {ends_at} is assigned anew",
        group_name=_TEXT,
        held_until=_TIME,
        ends_at=_TIME,
    ),
    _grant(
        "grant.continued",
        "PIM let access of {about} through {group_name} end at {held_until}; the rest until {ends_at} is assigned anew",
        group_name=_TEXT,
        held_until=_TIME,
        ends_at=_TIME,
    ),
    EventType(
        name="grant.extended",
        sentence="Access of {about} through {group_name} was extended from {before} to {ends_at}",
        fields={"group_name": _TEXT, "item_id": _ID, "before": _TIME, **_WINDOW, "revision": _COUNT},
    ),
    EventType(
        name="grant.extension_held",
        sentence="Read back: Entra holds the membership of {about} in {group_name} until {ends_at}",
        fields={
            "group_name": _TEXT,
            "revision": _COUNT,
            "pim_schedule_id": _TEXT,
            "vendor_request_id": _TEXT,
            "ends_at": _TIME,
        },
    ),
    EventType(
        name="grant.extension_not_sent",
        sentence="PIM was not asked to lengthen access of {about} through {group_name}, which ends at {ends_at}: {problem}",
        fields={"group_name": _TEXT, "revision": _COUNT, "ends_at": _TIME, "problem": _TEXT},
    ),
    EventType(
        name="grant.waits_for_sign_in",
        sentence="The activation of {group_name} for {about} waits for a sign-in of {whom}",
        fields={"group_name": _TEXT, "whom": _TEXT, "reason": _TEXT},
    ),
    EventType(
        name="grant.overdue",
        sentence="The removal of {about} from {group_name} is overdue in {hop} since {since}; it is tried on",
        fields={"group_name": _TEXT, "hop": _TEXT, "since": _TIME},
    ),
    EventType(
        name="grant.revoked",
        sentence="{actor} revoked the access of {about} through {group_name}: {kind}",
        fields={
            "group_name": _TEXT,
            "kind": _TEXT,
            "end_reason": Field(Kind.TEXT, optional=True),  # the same as the row has it
            "acting_as": _TEXT,
        },
        words=("reason",),
    ),
    _grant(
        "grant.out_of_entra",
        "Read back: {about} is out of {group_name} in Entra",
        group_name=_TEXT,
        vendor_request_id=_TEXT,
    ),
    _grant(
        "grant.out_of_aws",
        "Read back: {about} is out of {group_name} in IAM Identity Center; sessions possible until {last_possible_use_at}",
        group_name=_TEXT,
        vendor_request_id=_TEXT,
        last_possible_use_at=_TIME,
    ),
    _grant(
        "grant.never_arrived",
        "The membership of {about} in {group_name} never arrived in IAM Identity Center",
        group_name=_TEXT,
        vendor_request_id=_TEXT,
        cycle_id=_TEXT,
        cycle_began_at=_TIME,
    ),
    _grant(
        "grant.assigned_again",
        "The membership of {about} in {group_name} was seen in Entra again; it is being removed",
        group_name=_TEXT,
        vendor_request_id=_TEXT,
    ),
    _grant(
        "grant.ended",
        "Access of {about} through {group_name} ended; no session can be left",
        group_name=_TEXT,
    ),
    _grant(
        "grant.reappeared",
        "The membership of {about} in {group_name} was seen again after its removal; it is being removed",
        group_name=_TEXT,
        vendor_request_id=_TEXT,
    ),
    _grant(
        "grant.arrived_late",
        "The membership of {about} in {group_name} arrived after its end; it is being removed",
        group_name=_TEXT,
        vendor_request_id=_TEXT,
    ),
)


def _outside(name: str, sentence: str, **fields: Field) -> EventType:
    return EventType(
        name=name, sentence=sentence, fields={"client_request_id": _ID, "group_name": _TEXT, **fields}
    )


_ANSWER = {"outcome": _TEXT, "vendor_request_id": _TEXT, "code": _TEXT, "answer": _TEXT}

OUTSIDE_EVENTS = (
    _outside("outside.assignment_sent", "Asked Entra to put {about} into {group_name}", tag=_TEXT, **_WINDOW),
    _outside(
        "outside.assignment_answered", "Entra answered the assignment to {group_name}: {outcome}", **_ANSWER
    ),
    _outside(
        "outside.extension_sent",
        "Asked Entra to keep {about} in {group_name} until {ends_at}",
        tag=_TEXT,
        ends_at=_TIME,
    ),
    _outside(
        "outside.extension_answered", "Entra answered the extension of {group_name}: {outcome}", **_ANSWER
    ),
    _outside("outside.removal_sent", "Asked Entra to take {about} out of {group_name}", tag=_TEXT),
    _outside(
        "outside.removal_answered", "Entra answered the removal from {group_name}: {outcome}", **_ANSWER
    ),
    _outside(
        "outside.approval_sent",
        "Passed the approval for {about} in {group_name} on to PIM, as the approver {approver}",
        approver=_TEXT,
    ),
    _outside(
        "outside.approval_answered",
        "Entra answered the approval passed on for {group_name}: {outcome}",
        **_ANSWER,
    ),
    _outside(
        "outside.withdrawal_sent", "Withdrew the pending activation of {about} in {group_name}", tag=_TEXT
    ),
    _outside(
        "outside.withdrawal_answered", "Entra answered the withdrawal for {group_name}: {outcome}", **_ANSWER
    ),
    _outside("outside.provisioning_sent", "Asked Entra to provision {about} in {group_name} now", tag=_TEXT),
    _outside(
        "outside.provisioning_answered",
        "Entra answered the provisioning of {group_name}: {outcome}",
        **_ANSWER,
    ),
    EventType(
        name="action.refused",
        sentence="{actor} was refused: {reason}",
        fields={"action": _TEXT, "target": Field(Kind.TEXT, optional=True), "code": _TEXT, "reason": _TEXT},
        outcome=Outcome.REFUSED,
    ),
)

QUEUE_EVENTS = (
    EventType(
        name="queue.moved_to_front",
        sentence="{actor} moved {about} with {group_name} to the front of the queue for Entra",
        fields={"group_name": _TEXT, "waits_for": _TEXT, "front_at": Field(Kind.INSTANT, optional=True)},
    ),
)


def register_all() -> None:
    """Called once, when the application starts."""
    register(
        *REQUEST_EVENTS, *CHASING_EVENTS, *DECISION_EVENTS, *GRANT_EVENTS, *OUTSIDE_EVENTS, *QUEUE_EVENTS
    )
