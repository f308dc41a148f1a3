"""ACTIVE and REMOVING: when the window is over or ended early, get the membership out of Entra.

PIM ends the assignment by itself at the fixed instant; that is the anchor and works without the
portal. The portal asks for a removal when access ends early, or when PIM is late.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.conf import settings

from audit.ledger.recorder import Actor
from base.clock import business_now, real_now
from base.crash import crash_point, register
from clients import errors
from clients.registry import clients
from clients.types import PimRequest, PimRequestStatus, Reading, RemovalOrder
from requests_app.actions import attempts
from requests_app.actions.claiming import RESTED, Claim, note, rest, settle
from requests_app.actions.leaving import CHECK_EVERY, end_for_a_leaver, look_is_due
from requests_app.actions.moving import move
from requests_app.actions.steps import hastening, passing, personal
from requests_app.actions.steps.extending import (
    PIM_MAY_BE_LATE,
    bring_to_end,
    ended_at_the_earlier_end,
    go_on,
    over_at,
    rest_until_the_next_look,
)
from requests_app.actions.steps.guarding import refuse_unmanaged_group
from requests_app.actions.steps.pacing import back_off, poll_delay
from requests_app.actions.steps.seeing import EntraView, look_at_entra
from requests_app.lifecycle import EndReason, GrantStatus
from requests_app.models import Attempt, Grant

log = structlog.get_logger(__name__)

register("ending.before_settle", "removing.looked", "removing.before_settle", "removing.settled")

# An absent read proves nothing this soon after an assignment that was never read back (real time: it may still be
# on its way to the vendor, or into the vendor's reads).
LATE_LANDING = timedelta(minutes=1)
# An answer that lacks a membership which PIM was read to hold is believed when another, this much later (business time),
# lacks it too: a half-read page and a replica that is behind look like a removal.
UNSEEN_FOR = timedelta(minutes=1)
# An accepted removal shows in PIM's reads within this (real time: it is the vendor's replication).
SHOWS_WITHIN = timedelta(minutes=1)


def end_window(claim: Claim) -> None:
    """ACTIVE: at the end of the window, or when somebody took the membership away in Entra before.

    An extension is brought to PIM first. Where PIM has let the membership end at the earlier end, what is left of
    the window is assigned anew. That it isn't there before any such end is doubted until it is read again.
    """
    wait: timedelta | None = None
    missing = replaced = False
    if business_now() < claim.grant.ends_at:
        if end_for_a_leaver(claim):
            return
        view = look_at_entra(claim.grant)
        missing, replaced = view.ours is None, view.foreign is not None
        wait = bring_to_end(claim, view)
    crash_point("ending.before_settle")
    with settle(claim) as grant:
        now = business_now()
        if grant.status != GrantStatus.ACTIVE:
            rest(grant)
        elif now < over_at(grant) and not missing:
            if grant.unseen_since is not None:
                note(grant, unseen_since=None)
            rest_until_the_next_look(grant, wait)
        elif now < grant.ends_at and missing and ended_at_the_earlier_end(grant):
            go_on(grant)
            rest(grant)
        elif now < grant.ends_at and missing and not replaced and _in_doubt(grant, now):
            since = grant.unseen_since or now
            rest(grant, until=min(grant.ends_at, since + UNSEEN_FOR), unseen_since=since)
        else:
            # An extension that PIM never held, with too little left to assign anew, is over with the earlier end.
            over = not missing or grant.over_in_pim(now)
            reason = EndReason.WINDOW_OVER if over else EndReason.REMOVED_ELSEWHERE
            _put_on_its_way_out(grant, reason, now)


def end_if_gone_on_the_way(claim: Claim) -> bool:
    """PROVISIONING: True when somebody took the membership away in Entra, so that nothing will bring it to AWS; the
    lease is then given back. Looked at as often as the holder is; what can't be read ends nothing, and what was first
    seen a moment ago may be missing on a replica that is behind."""
    grant = claim.grant
    if grant.unseen_since is not None:
        due = business_now() - grant.unseen_since >= UNSEEN_FOR
    else:
        due = look_is_due(grant) and _seen_long_ago(grant)
    if not due:
        return False
    try:
        view = look_at_entra(grant)
    except errors.ClientError as error:
        log.warning("entra_not_read", grant=str(grant.pk), code=error.code)
        return False
    crash_point("ending.before_settle")
    with settle(claim) as grant:
        now = business_now()
        if grant.status != GrantStatus.PROVISIONING or ended_at_the_earlier_end(grant):
            return False
        if view.ours is not None:
            if grant.unseen_since is not None:
                note(grant, unseen_since=None)
            return False
        if view.foreign is None and _in_doubt(grant, now):
            note(grant, unseen_since=grant.unseen_since or now)
            return False
        reason = EndReason.WINDOW_OVER if grant.over_in_pim(now) else EndReason.REMOVED_ELSEWHERE
        _put_on_its_way_out(grant, reason, now)
    return True


def _put_on_its_way_out(grant: Grant, reason: EndReason, now: datetime) -> None:
    move(
        grant,
        GrantStatus.REMOVING,
        actor=Actor.worker(),
        fields={"group_name": grant.group.display_name, "reason": reason.label},
        end_reason=reason,
        removal_started_at=now,
        next_action_at=now,
        **RESTED,
    )


def _seen_long_ago(grant: Grant) -> bool:
    return grant.seen_in_entra_at is None or business_now() - grant.seen_in_entra_at >= CHECK_EVERY


def _in_doubt(grant: Grant, now: datetime) -> bool:
    """Whether it is too early to believe that PIM doesn't hold it: its own end hasn't come, and one answer lacks it."""
    if grant.over_in_pim(now):
        return False
    return grant.unseen_since is None or now - grant.unseen_since < UNSEEN_FOR


def remove(claim: Claim) -> None:
    """REMOVING: one look and, when owed, one removal."""
    grant = claim.grant
    view = look_at_entra(grant)
    crash_point("removing.looked")
    now = business_now()
    hastening.before_entra(claim, view)
    if view.ours is not None and grant.unseen_since is not None:
        _seen_after_all(claim)
    if view.ours is None:
        if not _withdrawn_first(claim):
            _absent(claim, view, now)
    elif (due := _removal_due_at(grant, view)) > now:
        _wait_until(claim, due)
    elif _accepted_lately(grant):
        with settle(claim) as grant:
            rest(grant, until=now, retry_in=poll_delay(grant.removal_started_at or now))
    else:
        _ask(claim)
    crash_point("removing.settled")


def _withdrawn_first(claim: Claim) -> bool:
    """Whether PIM still holds an activation of ours that waits for an approval: approved later, it would begin."""
    request = passing.own_request(claim.grant)
    if request is None or request.status is not PimRequestStatus.PENDING:
        return False
    if passing.withdraw(claim, request):
        passing.give_back(claim)
    return True


def _seen_after_all(claim: Claim) -> None:
    """An earlier answer lacked what PIM holds: the next one that does is a first one again."""
    with settle(claim) as grant:
        note(grant, unseen_since=None)


def _absent(claim: Claim, view: EntraView, now: datetime) -> None:
    crash_point("removing.before_settle")
    with settle(claim) as grant:
        if grant.status != GrantStatus.REMOVING:
            rest(grant)
        elif grant.unknown_writes and _may_still_land(grant):
            rest(grant, until=now, retry_in=LATE_LANDING)
        elif _comes_unasked(grant, view, now) and _in_doubt(grant, now):
            since = grant.unseen_since or now
            # Whoever took it out, nothing is queued any more.
            rest(grant, until=since + UNSEEN_FOR, unseen_since=since, problem="", problem_code="")
        else:
            move(
                grant,
                GrantStatus.DEPROVISIONING,
                actor=Actor.worker(),
                fields={
                    "group_name": grant.group.display_name,
                    "vendor_request_id": view.receipt.vendor_request_id,
                },
                out_of_entra_at=now,
                unseen_since=None,
                next_action_at=now,
                problem="",
                problem_code="",
                **RESTED,
            )
            hastening.out_of_entra(grant, view)


def _comes_unasked(grant: Grant, view: EntraView, now: datetime) -> bool:
    """Whether nothing explains that PIM's answer lacks what it was read to hold: its end hasn't come, it has accepted no
    removal, and it doesn't hold somebody else's in its place.

    Then an answer of a replica that is behind would leave the membership in Entra, with nobody asking for its removal
    any more. Where the absence is what PIM was asked for, or does by itself, the first answer that shows it is believed;
    should it be wrong all the same, `proving.deprovision` finds it when a cycle leaves AWS as it is.
    """
    if grant.seen_in_entra_at is None or view.foreign is not None:
        return False
    accepted = grant.attempts.filter(kind=Attempt.Kind.REMOVE, outcome=Attempt.Outcome.DONE)
    return not (grant.over_in_pim(now) or accepted.exists())


def _may_still_land(grant: Grant) -> bool:
    since = real_now() - LATE_LANDING
    return grant.attempts.filter(kind=Attempt.Kind.ASSIGN, started_at__gt=since).exists()


def _removal_due_at(grant: Grant, view: EntraView) -> datetime:
    """Not before PIM allows it, and not while PIM's own end is about to do it."""
    started = (view.ours.starts_at if view.ours else None) or grant.assigned_at or grant.starts_at
    earliest = started + settings.PIM_MINIMUM
    if grant.end_reason == EndReason.WINDOW_OVER:
        return max(earliest, grant.stands_until + PIM_MAY_BE_LATE)
    return earliest


def _accepted_lately(grant: Grant) -> bool:
    """Whether PIM has accepted a removal that its reads don't show yet; asking again would only add noise."""
    since = real_now() - SHOWS_WITHIN
    return grant.attempts.filter(
        kind=Attempt.Kind.REMOVE, outcome=Attempt.Outcome.DONE, started_at__gt=since
    ).exists()


def _wait_until(claim: Claim, due: datetime) -> None:
    with settle(claim) as grant:
        if grant.end_reason == EndReason.WINDOW_OVER:
            # PIM ends it about now; look often, and ask for it only once it is late.
            rest(grant, until=business_now(), retry_in=poll_delay(grant.stands_until))
        else:
            rest(
                grant,
                until=due,
                problem="PIM keeps every membership for its first five minutes; the removal is queued until then.",
                problem_code="queued",
            )


def _ask(claim: Claim) -> None:
    grant = claim.grant
    try:
        refuse_unmanaged_group(grant)
    except errors.NotFound:
        # The group is gone, and every membership with it; the next look will show that.
        _postpone(claim, "This PIM group no longer exists in Entra.", back_off(grant.failures))
        return
    except errors.Refused as error:
        _postpone(
            claim, f"{error.sentence} PIM still ends the membership by itself.", back_off(grant.failures)
        )
        return
    order = RemovalOrder(
        group_id=grant.group.object_id,
        principal_id=grant.person.object_id,
        tag=grant.tag,
        justification=f"Access Portal request {grant.first_request_id}: {EndReason(grant.end_reason).label}",
    )
    answer = attempts.write(
        claim,
        Attempt.Kind.REMOVE,
        lambda call_id: _send(order, grant, call_id),
        sent={"tag": order.tag},
    )
    match answer.error:
        case None:
            with settle(claim) as grant:
                rest(grant, until=business_now(), retry_in=timedelta(seconds=1))
        case errors.NothingToRemove():
            # PIM's reads lag behind its own writes; the next look tells.
            with settle(claim) as grant:
                rest(grant, until=business_now(), retry_in=back_off(grant.failures), failed=True)
        case errors.TooYoungToRemove():
            with settle(claim) as grant:
                rest(grant, until=business_now() + timedelta(seconds=30))
        case errors.Throttled() as throttled:
            _postpone(claim, throttled.sentence, throttled.retry_after)
        case errors.ClientError() as failure:
            _postpone(claim, failure.sentence, back_off(grant.failures))


def _send(order: RemovalOrder, grant: Grant, call_id: str) -> Reading[PimRequest]:
    if grant.as_person:
        return personal.deactivate(order, grant, call_id)
    return clients().pim.remove(order, client_request_id=call_id)


def _postpone(claim: Claim, sentence: str, wait: timedelta) -> None:
    with settle(claim) as grant:
        rest(
            grant,
            until=business_now(),
            retry_in=wait,
            failed=True,
            problem=sentence,
            problem_code="waiting",
        )
