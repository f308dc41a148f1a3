"""ACTIVATING: get PIM to hold exactly one assignment of ours, and believe it only when read back.

Each pass looks first. Nothing there: send the assignment, with both instants fixed long before.
Ours there: done. Somebody else's there: never adopted. `RoleAssignmentExists` is a question that
the next look answers; a lost answer likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.crash import crash_point, register
from clients import errors
from clients.registry import clients
from clients.types import AssignmentOrder, PimRequest, PimRequestStatus, Reading
from requests_app.actions import attempts
from requests_app.actions.claiming import RESTED, Claim, note, rest, settle
from requests_app.actions.moving import move
from requests_app.actions.pathing import WAITS, Wait, hold_if_asked
from requests_app.actions.rebuilding import FORGOTTEN, was_assigned
from requests_app.actions.steps import passing, personal
from requests_app.actions.steps.guarding import refuse_unmanaged_group
from requests_app.actions.steps.pacing import back_off, poll_delay
from requests_app.actions.steps.rechecking import grown_beyond, recheck, unfit
from requests_app.actions.steps.seeing import EntraView, look_at_entra
from requests_app.lifecycle import EndReason, GrantStatus
from requests_app.models import SAME_END, Attempt, Grant
from requests_app.path_models import PathKind

register("activating.looked", "activating.before_settle", "activating.settled")

# After a success that no read confirms for this long (business time), somebody took it away again.
CONFIRM_WITHIN = timedelta(minutes=10)
# A grant this old (business time) whose assignment was never sent may be of a restored database.
OLD_ENOUGH = timedelta(minutes=10)
TOO_LATE = "The activation could not be completed before the window was over. Ask again if you still need it."

_NEVER = frozenset({PimRequestStatus.DENIED, PimRequestStatus.FAILED, PimRequestStatus.CANCELED})


@dataclass(frozen=True, slots=True)
class _AsPerson:
    """What asking in the holder's name takes; approvers where PIM wants an approval of its own."""

    ready: personal.Ready
    approvers: Sequence[passing.Approver]

    @property
    def shorter_by(self) -> timedelta:
        """How much less than the rest of the window PIM is asked for: it counts from when it takes it up, or approves."""
        return personal.ON_ITS_WAY + (passing.PASS_ON_WITHIN if self.approvers else timedelta(0))


def activate(claim: Claim) -> None:
    """One look and, when owed, one write."""
    if personal.still_waits(claim.grant):
        personal.keep_waiting(claim)
        return
    view = look_at_entra(claim.grant)
    crash_point("activating.looked")
    grant = claim.grant
    if view.ours is not None:
        _found_ours(claim, view)
    elif view.foreign is not None:
        _stop(
            claim,
            code="foreign_assignment",
            problem="Entra already holds a membership in this group that the portal didn't make, so nothing was "
            "granted. Whoever made it can remove it in Entra; then ask again.",
        )
    elif grant.ends_at - business_now() < settings.PIM_MINIMUM:
        _stop(claim, code="window_over", problem=_why_too_late(grant))
    elif _follow_own_request(claim):
        pass
    elif grant.pim_schedule_id or grant.pim_request_id:
        _await_confirmation(claim)
    elif _granted_before(grant):
        _stop(claim, code="forgotten", problem=FORGOTTEN, hold=True)
    else:
        _assign(claim)
    crash_point("activating.settled")


def _why_too_late(grant: Grant) -> str:
    """A sentence. Who may not have it any more isn't told to ask again; where that can't be read, the time is reason."""
    try:
        return unfit(grant) or TOO_LATE
    except errors.ClientError:
        return TOO_LATE


def _granted_before(grant: Grant) -> bool:
    """Whether PIM's own history has this grant's mark, although this database never sent it: it was restored.

    Asked of PIM only where that can be: a restored database is older than a few minutes.
    """
    if business_now() - grant.created_at < OLD_ENOUGH or grant.unknown_writes:
        return False
    if grant.attempts.filter(kind=Attempt.Kind.ASSIGN).exists():
        return False
    asked = attempts.read(
        grant,
        Attempt.Kind.READ_ENTRA,
        lambda: clients().pim.requests(grant.group.object_id, grant.person.object_id),
    )
    return any(
        grant.tag in (request.tag, request.personal_tag if grant.as_person else "") and was_assigned(request)
        for request in asked.value
    )


def _found_ours(claim: Claim, view: EntraView) -> None:
    assignment = view.ours
    if assignment is None:
        raise ValueError("called without an assignment of ours")
    crash_point("activating.before_settle")
    with settle(claim) as grant:
        facts: dict[str, Any] = {
            "pim_schedule_id": assignment.schedule_id,
            "assigned_at": grant.assigned_at or assignment.starts_at or business_now(),
            "seen_in_entra_at": grant.seen_in_entra_at or business_now(),
            "entra_ends_at": assignment.ends_at,
            "problem": "",
            "problem_code": "",
            # PIM holds one assignment a pair: whatever else was sent can't land beside this one.
            "unknown_writes": 0,
            **RESTED,
        }
        if assignment.ends_at is not None and assignment.ends_at >= grant.ends_at - SAME_END:
            facts["fell_back_to"] = None  # what had fallen stood when it was assigned anew
        if grant.status != GrantStatus.ACTIVATING:
            note(grant, **facts)
        elif not view.end_matches(grant):
            move(
                grant,
                GrantStatus.REMOVING,
                actor=Actor.worker(),
                fields={
                    "group_name": grant.group.display_name,
                    "reason": "the end of the assignment in Entra is not the approved one",
                },
                end_reason=EndReason.OUTCOME_UNKNOWN,
                removal_started_at=business_now(),
                next_action_at=business_now(),
                **facts,
            )
        else:
            move(
                grant,
                GrantStatus.PROVISIONING,
                actor=Actor.worker(),
                fields={
                    "group_name": grant.group.display_name,
                    "pim_request_id": grant.pim_request_id,
                    "pim_schedule_id": assignment.schedule_id,
                    "vendor_request_id": view.receipt.vendor_request_id,
                    "ends_at": assignment.ends_at or grant.ends_at,
                },
                next_action_at=business_now(),
                **facts,
            )


def _assign(claim: Claim) -> None:
    grant = claim.grant
    try:
        refuse_unmanaged_group(grant)
    except errors.Refused as error:
        _stop(claim, code=error.code, problem=error.sentence)
        return
    if grown := grown_beyond(grant):
        _stop(claim, code="scope_grown", problem=grown)
        return
    if problem := recheck(claim):
        _stop(claim, code="not_continued" if grant.assigned_at else "not_started", problem=problem)
        return
    mine: _AsPerson | None = None
    if grant.as_person:
        try:
            mine = _as_person(grant)
        except personal.RefusedError as refused:
            _stop(claim, code="pim_demands", problem=str(refused))
            return
        except personal.MustWaitError as waits:
            personal.wait(claim, waits)
            return
        if grant.ends_at - mine.shorter_by - business_now() < settings.PIM_MINIMUM:
            _stop(claim, code="window_over", problem=TOO_LATE)
            return
    place = attempts.place_for(grant, PathKind.ASSIGN)
    if isinstance(place, Wait):
        with settle(claim) as grant:
            rest(grant, retry_in=place.span, problem=WAITS, problem_code="turn")
        return
    order = AssignmentOrder(
        group_id=grant.group.object_id,
        principal_id=grant.person.object_id,
        starts_at=_beginning(grant),
        ends_at=grant.ends_at - (mine.shorter_by if mine else timedelta(0)),
        tag=grant.tag,
        justification=f"Access Portal request {grant.first_request_id}",
    )
    answer = attempts.write(
        claim,
        Attempt.Kind.ASSIGN,
        lambda call_id: _send(order, mine, call_id),
        sent={"tag": order.tag, "starts_at": order.starts_at, "ends_at": order.ends_at},
        place=place,
        problem="",
        problem_code="",
        last_write_at=business_now(),
        # Until PIM is read to hold it, or has refused it, it may still land: an acceptance settles nothing.
        unknown_writes=grant.unknown_writes + 1,
    )
    if answer.value is not None:
        _accepted(claim, answer.value, mine)
    elif answer.error is not None:
        _failed(claim, answer.error, mine)


def _as_person(grant: Grant) -> _AsPerson:
    """What asking in the holder's name takes. Raises personal.MustWaitError, personal.RefusedError, ClientError."""
    policy = clients().pim.group_policy(grant.group.object_id).value
    ready = personal.ready_to_activate(grant, policy)
    return _AsPerson(ready, passing.signed_in_approvers(grant) if policy.requires_approval else ())


def _send(order: AssignmentOrder, mine: _AsPerson | None, call_id: str) -> Reading[PimRequest]:
    if mine is None:
        return clients().pim.assign(order, client_request_id=call_id)
    return personal.activate(order, mine.ready, call_id)


def _beginning(grant: Grant) -> datetime:
    """The window's start; of what continues after PIM has ended it once, the start of the newest extension."""
    if grant.assigned_at is None:
        return grant.starts_at
    return max(grant.starts_at, *grant.intervals.values_list("starts_at", flat=True))


def _accepted(claim: Claim, request: PimRequest, mine: _AsPerson | None) -> None:
    if request.status in _NEVER:
        _settled_write(claim)
        _stop(
            claim,
            code=f"pim_{request.status.lower()}",
            problem=_said_no(request),
        )
        return
    with settle(claim) as grant:
        ids: dict[str, Any] = {"pim_request_id": request.request_id, "pim_schedule_id": request.schedule_id}
        if not (mine and request.status is PimRequestStatus.PENDING):
            rest(grant, until=business_now(), **ids)
            return
        note(grant, **ids)
    _pass_on(claim, request, mine.approvers)


def _pass_on(claim: Claim, request: PimRequest, approvers: Sequence[passing.Approver] = ()) -> None:
    if impossible := passing.pass_on(claim, request, approvers):
        _stop(claim, code="pim_approval", problem=impossible)


def _follow_own_request(claim: Claim) -> bool:
    """What is asked in the holder's name and isn't there yet: approve it, or hear that PIM has refused; False: neither."""
    request = passing.own_request(claim.grant)
    if request is None:
        return False
    if request.status is PimRequestStatus.PENDING:
        if not (problem := recheck(claim)):
            _pass_on(claim, request)
        elif passing.withdraw(claim, request):
            _stop(claim, code="not_started", problem=problem)
        return True
    if request.status not in _NEVER:
        return False
    passing.forget(claim)
    ours = claim.grant.attempts.filter(kind=Attempt.Kind.WITHDRAW).exists()
    if not (ours and request.status is PimRequestStatus.CANCELED):
        _stop(claim, code=f"pim_{request.status.lower()}", problem=_said_no(request))
    else:
        passing.give_back(claim)
    return True


def _said_no(request: PimRequest) -> str:
    return (
        f"Entra answered “{request.vendor_status}” to the activation, so nothing was granted. "
        "Ask the owner of the PIM group why."
    )


def _failed(claim: Claim, error: errors.ClientError, mine: _AsPerson | None) -> None:
    if mine and (waits := personal.wants_the_person(error, mine.ready.row)):
        _settled_write(claim)
        personal.wait(claim, waits)
        return
    match error:
        case errors.NotPermitted():
            # An operator can mend this while the window lasts: keep trying, and say so.
            _settled_write(claim)
            _postpone(claim, error)
        case errors.Refused():
            _settled_write(claim)
            _stop(claim, code=error.code or "refused", problem=error.sentence)
        case errors.OutcomeUnknown():
            _postpone(claim, error)
        case _:
            # AlreadyAssigned, Throttled, Unreachable: this call changed nothing; the next look tells.
            _settled_write(claim)
            hold_if_asked(error)
            _postpone(claim, error)


def _settled_write(claim: Claim) -> None:
    with settle(claim) as grant:
        note(grant, unknown_writes=grant.unknown_writes - 1)


def _postpone(claim: Claim, error: errors.ClientError) -> None:
    wait = error.retry_after if isinstance(error, errors.Throttled) else back_off(claim.grant.failures)
    with settle(claim) as grant:
        rest(grant, retry_in=wait, failed=True, problem=error.sentence, problem_code="waiting")


def _await_confirmation(claim: Claim) -> None:
    grant = claim.grant
    since = grant.last_write_at or grant.starts_at
    if business_now() - since > CONFIRM_WITHIN:
        _stop(
            claim,
            code="not_confirmed",
            problem="Entra accepted the activation but doesn't show it. Ask again; if it happens twice, ask an operator.",
            hold=True,
        )
        return
    with settle(claim) as grant:
        rest(grant, retry_in=poll_delay(since))


def _stop(claim: Claim, *, code: str, problem: str, hold: bool = False) -> None:
    """End the activation without a grant. While an outcome is unknown, that means removing, never failing."""
    crash_point("activating.before_settle")
    with settle(claim) as grant:
        if grant.status != GrantStatus.ACTIVATING:
            rest(grant)
            return
        # What PIM has held before (it continues after an end of PIM's own) may still be in AWS.
        accepted = bool(grant.pim_schedule_id or grant.pim_request_id or grant.assigned_at)
        _stop_locked(grant, code, problem, unknown=hold or accepted or grant.unknown_writes > 0)


def _stop_locked(grant: Grant, code: str, problem: str, *, unknown: bool) -> None:
    name = grant.group.display_name
    now = business_now()
    if unknown:
        move(
            grant,
            GrantStatus.REMOVING,
            actor=Actor.worker(),
            fields={"group_name": name, "reason": problem},
            end_reason=EndReason.WINDOW_OVER
            if code == "window_over" and grant.assigned_at
            else EndReason.OUTCOME_UNKNOWN,
            problem=problem,
            problem_code=code,
            removal_started_at=now,
            next_action_at=now,
            **RESTED,
        )
    else:
        move(
            grant,
            GrantStatus.NOT_GRANTED,
            actor=Actor.worker(),
            fields={"group_name": name, "problem": problem, "code": code},
            problem=problem,
            problem_code=code,
            ended_at=now,
            next_action_at=None,
            **RESTED,
        )
