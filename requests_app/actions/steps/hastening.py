"""What the steps out of access add where fast removal is on: they say that it may happen, and follow it.

In `direct` mode the remover acts on the row made here. In `on_demand` mode there is no other credential to use: the
worker itself names the former member in a provisionOnDemand call, and Entra may or may not carry the removal (it is
not documented); what doesn't help costs nothing, for the cycle follows.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django_subatomic.db import transaction_required

from base.clock import business_now
from base.crash import crash_point, register
from clients import errors
from clients.breaker import CircuitOpen
from clients.registry import clients
from clients.types import OnDemandOutcome
from requests_app.actions import attempts
from requests_app.actions.claiming import Claim, settle
from requests_app.actions.pathing import Wait, hold_if_asked
from requests_app.actions.steps.seeing import EntraView, look_at_entra
from requests_app.cutting import wanting
from requests_app.cutting.models import FastRemoval
from requests_app.lifecycle import REVOKING
from requests_app.models import Attempt, Grant
from requests_app.path_models import PathKind

register("hastening.asked")

ASK_AGAIN_AFTER = timedelta(minutes=5)  # business time
MOST_ASKS = 3
# Entra is read again so often (business time) while a removal is open: somebody may have let the person in anew.
READ_AGAIN = timedelta(minutes=5)


def before_entra(claim: Claim, view: EntraView) -> None:
    """REMOVING, after a revocation: AWS needn't wait for Entra, unless somebody else's membership is behind it."""
    if not wanting.is_on() or claim.grant.end_reason not in REVOKING or view.foreign is not None:
        return
    if wanting.wanted(claim.grant) is not None:
        return
    with settle(claim) as grant:
        wanting.want(grant, FastRemoval.Reason.REVOKED)


@transaction_required
def out_of_entra(grant: Grant, view: EntraView) -> None:
    """Read back: Entra holds no membership of ours any more. With nobody else's there, AWS may lose it at once."""
    if view.foreign is None:
        revoked = grant.end_reason in REVOKING
        wanting.want(grant, FastRemoval.Reason.REVOKED if revoked else FastRemoval.Reason.ENDED)


def still_in_aws(claim: Claim) -> None:
    """DEPROVISIONING, seen in AWS: clear what an operator asked for or a new setting wants, and ask on demand."""
    if not wanting.is_on():
        return
    row = FastRemoval.objects.filter(grant=claim.grant).first()
    if row is None or (row.closed_at is None and _to_read_again(row)):
        view = look_at_entra(claim.grant)
        if view.ours is not None or view.foreign is not None:
            if row is not None and view.foreign is not None:
                with settle(claim) as grant:
                    wanting.leave_to_others(grant)
            return
        with settle(claim) as grant:
            wanting.want(grant, FastRemoval.Reason(row.reason) if row else FastRemoval.Reason.ENDED)
        row = wanting.wanted(claim.grant)
    if row is not None and row.closed_at is None and settings.FAST_REMOVAL == wanting.ON_DEMAND:
        _ask_on_demand(claim, row)


def _to_read_again(row: FastRemoval) -> bool:
    return row.entra_read_at is None or business_now() - row.entra_read_at >= READ_AGAIN


def _ask_on_demand(claim: Claim, row: FastRemoval) -> None:
    now = business_now()
    waiting = row.last_asked_at is not None and now - row.last_asked_at < ASK_AGAIN_AFTER
    grant = claim.grant
    if waiting or row.asks >= MOST_ASKS or wanting.has_successor(grant):
        return
    try:
        place = attempts.place_for(grant, PathKind.REMOVE)
        if isinstance(place, Wait):
            return  # its turn comes with a later look; removals are first in the queue
        answer = attempts.write(
            claim,
            Attempt.Kind.ON_DEMAND,
            lambda call_id: clients().provisioning.provision_on_demand(
                grant.group.object_id, [grant.person.object_id], client_request_id=call_id
            ),
            sent={"tag": grant.tag},
            place=place,
        )
    except CircuitOpen:
        return  # the cycle may remove it all the same, so the look at AWS counts
    crash_point("hastening.asked")
    problem, counted = "", 1
    match answer.error:
        case None:
            if answer.value is not None and answer.value.outcome is not OnDemandOutcome.SUCCESS:
                problem = f"Entra did not carry the removal at once: {answer.value.reason}"
        case errors.Throttled() as throttled:
            hold_if_asked(throttled)
            problem, counted = "Entra provisions others first.", 0
        case error:
            problem = error.sentence
    with settle(claim):
        FastRemoval.objects.filter(pk=row.pk).update(
            asks=row.asks + counted,
            last_asked_at=now if counted else row.last_asked_at,
            last_request_id=answer.receipt.vendor_request_id,
            problem=problem,
            next_action_at=None,
        )


def sentence(grant: Grant, *, otherwise: str) -> str:
    """What the page says while the membership is still seen in AWS; `otherwise` where fast removal has no part in it."""
    row = FastRemoval.objects.filter(grant=grant).first() if wanting.is_on() else None
    if row is None:
        return otherwise
    if row.outcome == FastRemoval.Outcome.REFUSED:
        return f"{row.problem} {otherwise}".strip()
    cycle = int(settings.PROVISIONING_CYCLE.total_seconds() // 60)
    if row.problem:
        return (
            f"{row.problem} The provisioning cycle removes it within {cycle} minutes."
            if not otherwise
            else (f"{row.problem} {otherwise}")
        )
    if row.asks:
        whom = "IAM Identity Center" if settings.FAST_REMOVAL == wanting.DIRECT else "Entra"
        return f"{whom} was asked to remove it at once; waiting to read back that it is gone."
    return otherwise


def why_late(grant: Grant) -> str:
    """PROVISIONING for longer than a cycle, after an earlier membership of this pair was taken out of AWS directly."""
    since = grant.assigned_at
    if since is None or business_now() - since < settings.PROVISIONING_CYCLE:
        return ""
    before = FastRemoval.objects.filter(
        grant__person=grant.person_id, grant__group=grant.group_id, last_asked_at__isnull=False
    )
    if not before.exclude(grant=grant.pk).exists():
        return ""
    return (
        "An earlier membership was taken out of AWS directly, and Entra may believe that it is still there. The portal "
        "asks for it once more after every provisioning cycle."
    )


__all__ = ["before_entra", "out_of_entra", "sentence", "still_in_aws", "why_late"]
