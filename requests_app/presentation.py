"""What a request looks like to people: its badge, its headline and the steps of its tracker.

Pure functions of rows that were already read; the words for statuses are in `lifecycle`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from base.clock import business_now
from requests_app.estimates import Hop
from requests_app.lifecycle import ENDABLE, EndReason, GrantStatus, ItemStatus
from requests_app.models import Grant, RequestItem
from requests_app.narrow_path import Waiting
from requests_app.overdue import overdue

STATE_WORDS = {
    "done": "done",
    "now": "in progress",
    "next": "to come",
    "skipped": "did not happen",
    "problem": "went wrong",
}
STATE_SHAPES = {
    "done": "check",
    "now": "ellipsis-horizontal",
    "skipped": "minus",
    "problem": "exclamation-triangle",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the tracker. `until` completes the note with an instant."""

    name: str
    state: str  # done, now, next, skipped, problem
    at: datetime | None = None
    note: str = ""
    until: datetime | None = None
    usual: str = ""  # how long it takes here, by measurement

    @property
    def shape(self) -> str:
        return STATE_SHAPES.get(self.state, "")

    @property
    def state_words(self) -> str:
        return STATE_WORDS[self.state]


@dataclass(frozen=True, slots=True)
class Phase:
    """Steps that belong together."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a request stands, in a few words for a badge and a sentence for its page."""

    tone: str  # live, moving, waiting, ending, ended, problem
    words: str
    sentence: str
    until: datetime | None = None  # completes the sentence


WAITS = "Waiting for a sign-in"
# The problem code of a removal that waits for PIM's first five minutes to be over.
QUEUED = "queued"

_ITEM_STANDING = {
    ItemStatus.PENDING: Standing("waiting", "Waiting for a decision", "Waiting for somebody to decide."),
    ItemStatus.APPROVED: Standing("moving", "Approved", "Approved. Access is being prepared."),
    ItemStatus.DENIED: Standing("problem", "Denied", "Denied. Nothing was granted."),
    ItemStatus.WITHDRAWN: Standing("ended", "Withdrawn", "Withdrawn. Nothing was granted."),
    ItemStatus.CLOSED: Standing("ended", "Closed", "Closed without a decision. Nothing was granted."),
    ItemStatus.DRILLED: Standing("ended", "Drilled", "The drill went the whole way. Nothing was granted."),
    ItemStatus.LAPSED: Standing("ended", "Lapsed", "Nobody answered in time. Nothing was granted."),
}
_GRANT_STANDING = {
    GrantStatus.SCHEDULED: ("moving", "Approved", "Approved. Entra is told next."),
    GrantStatus.ACTIVATING: ("moving", "Assigning in Entra", "Being assigned in Entra."),
    GrantStatus.PROVISIONING: ("moving", "On its way to AWS", "Assigned in Entra. On its way to AWS."),
    GrantStatus.ACTIVE: ("live", "Ready", "Ready to use until"),
    GrantStatus.REMOVING: ("ending", "Leaving Entra", "Ending. Being removed from Entra."),
    GrantStatus.DEPROVISIONING: ("ending", "Leaving AWS", "Out of Entra. On its way out of AWS."),
    GrantStatus.DRAINING: ("ending", "Sessions possible", "Membership removed; sessions possible until"),
    GrantStatus.ENDED: ("ended", "Ended", "Ended. No session can be left."),
    GrantStatus.NEVER_ARRIVED: (
        "problem",
        "Never arrived",
        "This access never arrived in AWS, and is out of Entra again.",
    ),
    GrantStatus.NOT_GRANTED: ("problem", "Not granted", "Not granted."),
    GrantStatus.CANCELLED: ("ended", "Cancelled", "Cancelled before it began."),
}


def standing(item_status: str, grant: Grant | None) -> Standing:
    """Where an item stands: its decision until there is a grant, then the grant."""
    if grant is None:
        return _ITEM_STANDING[ItemStatus(item_status)]
    if late := overdue(grant):
        return Standing("problem", "Overdue", late.words, late.since)
    status = GrantStatus(grant.status)
    tone, words, sentence = _GRANT_STANDING[status]
    until = {GrantStatus.ACTIVE: grant.sure_until, GrantStatus.DRAINING: grant.last_possible_use_at}.get(
        status
    )
    if status == GrantStatus.NOT_GRANTED and grant.problem:
        sentence = grant.problem
    if due := queued_until(grant):
        return Standing(tone, "Removal queued", "Ending. PIM lets it go at", due)
    if grant.waits_for_person or grant.waits_for_approver:
        who = "the requester" if grant.waits_for_person else "an approver"
        return Standing("waiting", WAITS, f"Approved. Waiting for {who} to sign in again.")
    if status == GrantStatus.SCHEDULED and grant.starts_at > business_now():
        return Standing("waiting", "Scheduled", "Approved. It begins", grant.starts_at)
    return Standing(tone, words, sentence, until)


def queued_until(grant: Grant) -> datetime | None:
    """Until when PIM keeps what is being removed, while that is to come: then it goes, whenever PIM is read again."""
    due = grant.next_action_at
    queued = grant.status == GrantStatus.REMOVING and grant.problem_code == QUEUED
    return due if queued and due is not None and due > business_now() else None


def problem_words(grant: Grant) -> str:
    """What keeps it, by the newest look; nothing of PIM's first five minutes once they are over."""
    over = grant.problem_code == QUEUED and queued_until(grant) is None
    return "" if over else grant.problem


def phases(
    item: RequestItem,
    grant: Grant | None,
    *,
    being_checked: bool,
    turn: Waiting | None = None,
    hop: Hop | None = None,
    waived: str = "",
) -> tuple[Phase, ...]:
    """The tracker of an item. `being_checked`: a decision was submitted and no worker has counted it yet.

    `waived` says why nobody had to decide. `turn` is its place in the queue while it waits for one, `hop` the measured
    time of the step that it is at.
    """
    decision = Phase("Decision", (_requested(item), _decided(item, being_checked, waived)))
    if item.status not in (ItemStatus.PENDING, ItemStatus.APPROVED):
        return (decision,)
    way_in, way_out = _arrival(item, grant), _departure(grant)
    return (
        decision,
        Phase("On its way in", _with_times(way_in, turn, hop)),
        Phase("On its way out", _with_times(way_out, turn, hop)),
    )


def _with_times(steps: tuple[Step, ...], turn: Waiting | None, hop: Hop | None) -> tuple[Step, ...]:
    """The step that is under way says when its turn is expected, and how long such a step takes here."""
    return tuple(_with_time(step, turn, hop) if step.state == "now" else step for step in steps)


def _with_time(step: Step, turn: Waiting | None, hop: Hop | None) -> Step:
    usual = hop.words if hop else ""
    if turn is None:
        return replace(step, usual=usual)
    place = f"Waiting for its turn: number {turn.place} of {turn.of}, expected at"
    return replace(step, note=place, until=turn.expected_at, usual=usual)


def _requested(item: RequestItem) -> Step:
    return Step("Requested", "done", item.created_at)


def _decided(item: RequestItem, being_checked: bool, waived: str) -> Step:
    match item.status:
        case ItemStatus.PENDING if being_checked:
            return Step("Decision being checked", "now", note="Usually a few seconds")
        case ItemStatus.PENDING:
            return Step("Decision", "now", note="Lapses unanswered at", until=item.lapses_at)
        case ItemStatus.APPROVED if waived:
            return Step("No approval needed", "done", item.decided_at, waived)
        case ItemStatus.APPROVED:
            return Step("Approved", "done", item.decided_at)
        case ItemStatus.DRILLED:
            return Step("Drilled", "done", item.decided_at, "Nothing was granted")
        case ItemStatus.DENIED:
            return Step("Denied", "problem", item.decided_at)
        case ItemStatus.WITHDRAWN:
            return Step("Withdrawn", "skipped", item.decided_at)
        case ItemStatus.CLOSED:
            return Step("Closed without a decision", "skipped", item.decided_at, item.close_reason)
        case _:
            return Step("Lapsed without an answer", "skipped", item.decided_at)


_BEFORE_ASSIGNED = {GrantStatus.SCHEDULED, GrantStatus.ACTIVATING}


def _arrival(item: RequestItem, grant: Grant | None) -> tuple[Step, ...]:
    if grant is None:
        waiting = Step("Assigned in Entra", "now" if item.status == ItemStatus.APPROVED else "next")
        return waiting, Step("In AWS", "next"), Step("Ready", "next")
    status = GrantStatus(grant.status)
    over = status not in (*_BEFORE_ASSIGNED, GrantStatus.PROVISIONING, GrantStatus.ACTIVE)
    missed = "skipped" if over else "next"

    waits = grant.waits_for_person or grant.waits_for_approver
    again = grant.assigned_at is not None and status == GrantStatus.ACTIVATING
    if waits:
        entra = Step("Assigned in Entra", "now", note=WAITS)
    elif again:
        note = grant.problem or "PIM ended it at the earlier end; the rest is being assigned anew"
        entra = Step("Assigned in Entra", "now", note=note)
    elif grant.assigned_at:
        entra = _assigned(item, grant)
    elif status == GrantStatus.SCHEDULED and grant.starts_at > business_now():
        entra = Step("Assigned in Entra", "now", note="Begins", until=grant.starts_at)
    elif status in _BEFORE_ASSIGNED:
        entra = Step("Assigned in Entra", "now", note=grant.problem or "Waiting for Entra to confirm it")
    else:
        failed = status == GrantStatus.NOT_GRANTED
        entra = Step("Assigned in Entra", "problem" if failed else "skipped", note=grant.problem)

    if grant.arrived_at:
        aws = Step("In AWS", "done", grant.arrived_at)
    elif status == GrantStatus.PROVISIONING:
        aws = Step("In AWS", "now", note=grant.problem or "Waiting to see it in IAM Identity Center")
    elif status == GrantStatus.NEVER_ARRIVED:
        aws = Step("In AWS", "problem", note="Never seen in IAM Identity Center")
    else:
        aws = Step("In AWS", missed)

    if status == GrantStatus.ACTIVE:
        ready = Step("Ready", "now", grant.arrived_at, "Usable until", grant.sure_until)
    elif grant.arrived_at:
        ready = Step("Ready", "done", grant.arrived_at)
    else:
        ready = Step("Ready", missed)
    return entra, aws, ready


def _assigned(item: RequestItem, grant: Grant) -> Step:
    """Of an extension that PIM does not hold yet, that it is still owed; else when it was assigned."""
    if item.request_id == grant.first_request_id:
        return Step("Assigned in Entra", "done", grant.assigned_at)
    if grant.extension_owed and grant.status in ENDABLE:
        return Step("Extended in Entra", "now", note="Entra still has it end at", until=grant.sure_until)
    return Step("Extended in Entra", "done", item.decided_at)


def _departure(grant: Grant | None) -> tuple[Step, ...]:
    names = ("Ending", "Out of Entra", "Out of AWS", "Ended")
    if grant is None:
        return tuple(Step(name, "next") for name in names)
    status = GrantStatus(grant.status)
    if status in (GrantStatus.NOT_GRANTED, GrantStatus.CANCELLED):
        return tuple(Step(name, "skipped") for name in names)
    reason = EndReason(grant.end_reason).label.capitalize() if grant.end_reason else ""
    if grant.removal_started_at:
        ending = Step("Ending", "done", grant.removal_started_at, reason)
    else:
        ending = Step("Ending", "next", note="At", until=grant.stands_until)

    # Seen again after an earlier removal, it is on its way out anew: an older proof counts no more.
    removing, leaving_aws = status == GrantStatus.REMOVING, status == GrantStatus.DEPROVISIONING
    entra = _left("Out of Entra", grant.out_of_entra_at, removing, grant)
    aws = _left("Out of AWS", None if removing else grant.out_of_aws_at, leaving_aws, grant)
    if status == GrantStatus.NEVER_ARRIVED:
        aws = Step("Out of AWS", "done", grant.out_of_aws_at or grant.ended_at, "Read back: it isn't there")
    if status == GrantStatus.DRAINING:
        words = "Membership removed; sessions possible until"
        ended = Step("Ended", "now", note=words, until=grant.last_possible_use_at)
    elif status in (GrantStatus.ENDED, GrantStatus.NEVER_ARRIVED):
        ended = Step("Ended", "done", grant.ended_at or grant.out_of_aws_at)
    else:
        ended = Step("Ended", "next")
    return ending, entra, aws, ended


def _left(name: str, at: datetime | None, current: bool, grant: Grant) -> Step:
    if current and (due := queued_until(grant)):
        return Step(name, "now", note=f"{grant.problem} It is due at", until=due)
    if current and grant.problem_code == QUEUED:
        return Step(name, "now", note="Being removed now: the first five minutes are over")
    if current:
        return Step(name, "now", note=grant.problem or "Waiting to read back that it is gone")
    return Step(name, "done" if at else "next", at)
