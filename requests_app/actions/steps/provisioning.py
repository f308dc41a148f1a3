"""PROVISIONING: Entra holds the membership; get SCIM to carry it, and believe it only when read back in AWS."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.crash import crash_point, register
from clients import errors
from clients.registry import clients
from clients.types import OnDemandOutcome
from requests_app.actions import attempts
from requests_app.actions.claiming import Claim, note, rest, settle
from requests_app.actions.moving import move
from requests_app.actions.steps.pacing import back_off, poll_delay
from requests_app.actions.steps.removing import LOOK_EVERY
from requests_app.actions.steps.seeing import AwsView, look_at_aws
from requests_app.lifecycle import EndReason, GrantStatus
from requests_app.models import Attempt, Grant

register("provisioning.asked", "provisioning.looked", "provisioning.before_settle", "provisioning.settled")

# Ask again when the membership has not arrived this long after the last ask (business time); the
# 40-minute cycle brings it in any case.
ASK_AGAIN_AFTER = timedelta(minutes=5)
MOST_ASKS = 4


def provision(claim: Claim) -> None:
    """Ask for on-demand provisioning when it is owed, then look whether the membership is there."""
    grant = claim.grant
    waiting = ""
    wait: timedelta | None = None
    if _ask_is_owed(grant):
        waiting, wait = _ask(claim)
        crash_point("provisioning.asked")
    view = look_at_aws(grant)
    crash_point("provisioning.looked")
    crash_point("provisioning.before_settle")
    with settle(claim) as grant:
        if grant.status == GrantStatus.PROVISIONING:
            _settle(grant, view, waiting, wait)
        else:
            rest(grant)
    crash_point("provisioning.settled")


def _settle(grant: Grant, view: AwsView, waiting: str, wait: timedelta | None) -> None:
    now = business_now()
    name = grant.group.display_name
    if now >= grant.ends_at:
        move(
            grant,
            GrantStatus.REMOVING,
            actor=Actor.worker(),
            fields={"group_name": name, "reason": EndReason.WINDOW_OVER.label},
            end_reason=EndReason.WINDOW_OVER,
            removal_started_at=now,
            arrived_at=now if view.member else None,
            next_action_at=now,
        )
        rest(grant)
    elif view.member:
        move(
            grant,
            GrantStatus.ACTIVE,
            actor=Actor.worker(),
            fields={"group_name": name, "vendor_request_id": view.receipt.vendor_request_id},
            arrived_at=now,
            problem="",
            problem_code="",
            next_action_at=min(grant.ends_at, now + LOOK_EVERY),
        )
        rest(grant)
    else:
        sentence = waiting or view.obstacle
        note(grant, problem=sentence, problem_code="waiting" if sentence else "")
        rest(grant, retry_in=wait or poll_delay(grant.assigned_at or now))


def _ask_is_owed(grant: Grant) -> bool:
    asked = list(
        grant.attempts.filter(kind=Attempt.Kind.ON_DEMAND)
        .exclude(outcome=Attempt.Outcome.RETRY)
        .order_by("-started_at")[:MOST_ASKS]
    )
    if not asked:
        return True
    if len(asked) >= MOST_ASKS or grant.last_write_at is None:
        return False
    return business_now() - grant.last_write_at > ASK_AGAIN_AFTER


def _ask(claim: Claim) -> tuple[str, timedelta | None]:
    """A sentence when it could not be asked, or was answered with less than success; and how long to wait."""
    grant = claim.grant
    answer = attempts.write(
        claim,
        Attempt.Kind.ON_DEMAND,
        lambda call_id: clients().provisioning.provision_on_demand(
            grant.group.object_id, [grant.person.object_id], client_request_id=call_id
        ),
        sent={"tag": grant.tag},
        last_write_at=business_now(),
    )
    cycle = f"The provisioning cycle brings it within {int(settings.PROVISIONING_CYCLE.total_seconds() // 60)} minutes."
    match answer.error:
        case errors.Throttled() as throttled:
            return "Entra provisions others first; the portal asks again in a moment.", throttled.retry_after
        case errors.Unreachable() as error:
            return f"{error.sentence} {cycle}", back_off(grant.failures + 3)
        case errors.ClientError() as error:
            return f"{error.sentence} {cycle}", None
    if answer.value is not None and answer.value.outcome is OnDemandOutcome.FAILURE:
        return f"Entra could not provision the membership at once: {answer.value.reason} {cycle}", None
    return "", None
