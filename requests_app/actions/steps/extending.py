"""PROVISIONING and ACTIVE, after an extension: bring PIM to the end that was approved, and believe it when read back.

PIM's assignment is looked at first; the update carries both instants and the new revision's tag, so that sending it
again changes nothing. Whether PIM moves the end of an assignment that runs is not established. Where it refuses, the
earlier end stands: PIM ends the membership then, and what is left of the window is assigned anew right after, so
that there are never two assignments of one pair. So it is where what was approved doesn't stand any more when it would
leave late (`rechecking`): it is asked again when PIM's own end has come, and what doesn't stand then isn't assigned.
Should PIM not end it then, it is taken out: nothing that stands reaches further.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from audit.ledger.recorder import Actor
from base.clock import business_clock, business_now, real_now
from base.crash import crash_point, register
from clients import errors
from clients.registry import clients
from clients.types import AssignmentOrder, PimAssignment, PimRequestStatus
from requests_app.actions import attempts
from requests_app.actions.claiming import Claim, note, rest, settle
from requests_app.actions.freezing import stop_if_frozen
from requests_app.actions.leaving import CONFIRM_AFTER
from requests_app.actions.moving import move
from requests_app.actions.recording import record_of
from requests_app.actions.steps.guarding import refuse_unmanaged_group
from requests_app.actions.steps.pacing import back_off, poll_delay
from requests_app.actions.steps.rechecking import lengthening_unfit
from requests_app.actions.steps.seeing import EntraView, look_at_entra
from requests_app.lifecycle import GrantStatus
from requests_app.models import SAME_END, Attempt, Grant

register("extending.before_settle", "extending.held", "extending.before_continuing")

# How often (business time) an active grant's membership is looked at in Entra.
LOOK_EVERY = timedelta(minutes=10)
AS_PERSON = "PIM doesn't lengthen an activation that runs."
# PIM is given this long after the end that it holds before the portal asks for the removal itself.
PIM_MAY_BE_LATE = timedelta(minutes=2)
# An accepted update shows in PIM's reads within this (real time: it is the vendor's replication).
SHOWS_WITHIN = timedelta(minutes=1)
_NEVER = frozenset({PimRequestStatus.DENIED, PimRequestStatus.FAILED, PimRequestStatus.CANCELED})


def bring_to_end(claim: Claim, view: EntraView) -> timedelta | None:
    """What an extension owes after this look: note that PIM holds the new end, or ask for it.

    Gives how long to wait before the next look while it is owed (real time), else None.
    """
    grant = claim.grant
    held = view.ours
    if held is None or not grant.extension_owed:
        return None
    if held.ends_at is None:
        # Somebody made it permanent: not ours to judge here, and nothing that changes in seconds.
        return business_clock().real_duration(
            min(LOOK_EVERY, max(grant.ends_at - business_now(), timedelta(0)))
        )
    if held.ends_at >= grant.ends_at - SAME_END:
        _held(claim, held, held.ends_at, view)
        return None
    if grant.entra_ends_at != held.ends_at:
        with settle(claim) as current:
            note(current, entra_ends_at=held.ends_at)
    if grant.extension_refused == grant.revision:
        return None
    if _accepted_lately(grant):
        return poll_delay(business_now())
    return _ask(claim, held, held.ends_at)


def keep_up(claim: Claim) -> bool:
    """PROVISIONING: the same on the way in; True when that was this pass's work, and the lease is given back."""
    grant = claim.grant
    refused = grant.extension_refused == grant.revision
    if not grant.extension_owed or (refused and business_now() < grant.sure_until):
        return False
    view = look_at_entra(grant)
    bring_to_end(claim, view)
    if view.ours is not None:
        return False
    with settle(claim) as grant:
        if grant.status != GrantStatus.PROVISIONING or not ended_at_the_earlier_end(grant):
            return False
        go_on(grant)
        rest(grant)
    return True


def ended_at_the_earlier_end(grant: Grant) -> bool:
    """Whether PIM's own end came before the extension reached it, with enough left to assign anew."""
    now = business_now()
    return (
        grant.extension_owed
        and grant.entra_ends_at is not None
        and now >= grant.entra_ends_at
        and grant.ends_at - now >= settings.PIM_MINIMUM
    )


def over_at(grant: Grant) -> datetime:
    """From when on it is taken out, where PIM still holds it: what fell leaves PIM the time to end it by itself."""
    return grant.ends_at if grant.fell_back_to is None else grant.fell_back_to + PIM_MAY_BE_LATE


def go_on(grant: Grant) -> None:
    """Have the rest of a locked grant's window assigned anew; PIM was just read to hold nothing for the pair."""
    stop_if_frozen(grant)
    crash_point("extending.before_continuing")
    move(
        grant,
        GrantStatus.ACTIVATING,
        actor=Actor.worker(),
        fields={
            "group_name": grant.group.display_name,
            "held_until": grant.entra_ends_at,
            "ends_at": grant.ends_at,
        },
        pim_request_id="",
        pim_schedule_id="",
        problem="",
        problem_code="",
        unseen_since=None,
        holder_checked_at=None,  # so that all that the rest stands on is asked before it is sent
        next_action_at=business_now(),
    )


def rest_until_the_next_look(grant: Grant, wait: timedelta | None) -> None:
    """Give back the lease of a locked, active grant: soon while an extension is owed, else when its end or a look is."""
    now = business_now()
    refused = grant.extension_refused == grant.revision
    if not grant.extension_owed:
        rest(grant, until=min(over_at(grant), now + (CONFIRM_AFTER if grant.holder_doubt else LOOK_EVERY)))
    elif not refused:
        rest(grant, until=now, retry_in=wait, failed=bool(grant.extension_problem))
    elif now < grant.sure_until:
        rest(grant, until=min(grant.sure_until, now + LOOK_EVERY))
    else:
        # PIM ends it about now; what follows begins when it is gone.
        rest(grant, until=now, retry_in=poll_delay(grant.sure_until))


def _held(claim: Claim, held: PimAssignment, ends_at: datetime, view: EntraView) -> None:
    crash_point("extending.before_settle")
    with settle(claim) as grant:
        if not grant.extension_owed or ends_at < grant.ends_at - SAME_END:
            return  # extended once more meanwhile
        note(
            grant,
            entra_ends_at=ends_at,
            pim_schedule_id=held.schedule_id,
            # Asked for before it fell, and held all the same: what doesn't stand is taken out at the earlier end.
            extension_problem=grant.extension_problem if grant.fell_back_to else "",
        )
        record_of(
            grant,
            "grant.extension_held",
            {
                "revision": grant.revision,
                "pim_schedule_id": held.schedule_id,
                "vendor_request_id": view.receipt.vendor_request_id,
                "ends_at": ends_at,
            },
        )
    crash_point("extending.held")


def _accepted_lately(grant: Grant) -> bool:
    since = real_now() - SHOWS_WITHIN
    return (
        grant.extension_accepted == grant.revision
        and grant.attempts.filter(
            kind=Attempt.Kind.EXTEND, outcome=Attempt.Outcome.DONE, started_at__gt=since
        ).exists()
    )


def _ask(claim: Claim, held: PimAssignment, held_until: datetime) -> timedelta:
    grant = claim.grant
    if grant.as_person:
        return _refused(claim, AS_PERSON)
    try:
        refuse_unmanaged_group(grant)
        unfit = lengthening_unfit(grant, held_until)
    except errors.ClientError as error:
        return _not_yet(claim, error.sentence)
    if unfit:
        return _fallen(claim, unfit)
    order = AssignmentOrder(
        group_id=grant.group.object_id,
        principal_id=grant.person.object_id,
        starts_at=held.starts_at or grant.starts_at,
        ends_at=grant.ends_at,
        tag=grant.tag,
        justification=f"Access Portal request {grant.first_request_id}, extended",
    )
    answer = attempts.write(
        claim,
        Attempt.Kind.EXTEND,
        lambda call_id: clients().pim.extend(order, client_request_id=call_id),
        sent={"tag": order.tag, "ends_at": order.ends_at},
    )
    match answer.error:
        case None if answer.value is not None and answer.value.status in _NEVER:
            return _refused(claim, f"Entra answered “{answer.value.vendor_status}” to the extension.")
        case None:
            with settle(claim) as grant:
                note(grant, extension_accepted=claim.grant.revision)
            return timedelta(seconds=1)
        case errors.NotPermitted() | errors.NotFound():
            return _not_yet(claim, answer.error.sentence)
        case errors.Throttled():
            _not_yet(claim, answer.error.sentence)
            return answer.error.retry_after
        case errors.Refused():
            return _refused(claim, answer.error.sentence)
        case _:
            # Unreachable, or an answer that says nothing: the next look tells whether the end has moved.
            return _not_yet(claim, answer.error.sentence)


def _not_yet(claim: Claim, sentence: str) -> timedelta:
    with settle(claim) as grant:
        note(grant, extension_problem=sentence)
    return back_off(claim.grant.failures)


def _refused(claim: Claim, sentence: str) -> timedelta:
    with settle(claim) as grant:
        if grant.revision == claim.grant.revision:
            note(grant, extension_problem=sentence, extension_refused=grant.revision)
    return back_off(claim.grant.failures)


def _fallen(claim: Claim, sentence: str) -> timedelta:
    """What was approved doesn't stand any more: PIM isn't asked, and what runs keeps the end that PIM holds."""
    with settle(claim) as grant:
        if grant.revision == claim.grant.revision:
            note(
                grant,
                extension_problem=sentence,
                extension_refused=grant.revision,
                fell_back_to=grant.sure_until,
            )
            record_of(
                grant,
                "grant.extension_not_sent",
                {
                    "revision": grant.revision,
                    "ends_at": grant.sure_until,
                    "problem": sentence,
                },
            )
    return back_off(claim.grant.failures)
