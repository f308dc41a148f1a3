"""PROVISIONING: Entra holds the membership; get SCIM to carry it, and believe it only when read back in AWS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from audit.ledger.recorder import Actor
from base.clock import business_clock, business_now
from base.crash import crash_point, register
from base.readymade import Readymade
from clients import errors
from clients.breaker import CircuitOpen
from clients.registry import clients
from clients.types import OnDemandOutcome, OnDemandResult
from requests_app.actions import attempts
from requests_app.actions.claiming import RESTED, Claim, LeaseLost, Superseded, claim_grant, rest, settle
from requests_app.actions.leaving import end_for_a_leaver
from requests_app.actions.moving import move
from requests_app.actions.pathing import WAITS, Wait, hold_if_asked, leave_queue
from requests_app.actions.steps import hastening
from requests_app.actions.steps.extending import LOOK_EVERY, keep_up, over_at
from requests_app.actions.steps.pacing import back_off, poll_delay, postpone
from requests_app.actions.steps.removing import end_if_gone_on_the_way
from requests_app.actions.steps.seeing import AwsView, look_at_aws, nothing_new
from requests_app.lifecycle import EndReason, GrantStatus
from requests_app.models import Attempt, Grant
from requests_app.path_models import PathKind

log = structlog.get_logger(__name__)

register("provisioning.asked", "provisioning.looked", "provisioning.before_settle", "provisioning.settled")

# Ask again when the membership has not arrived this long after the last ask (business time); the
# 40-minute cycle brings it in any case.
ASK_AGAIN_AFTER = timedelta(minutes=5)
MOST_ASKS = 4
# An ask whose answer was lost, or whose worker died over it, may never have reached Entra: the first of them are made
# again sooner, for a window may be as short as ten minutes.
LOST_ASK_AFTER = timedelta(minutes=1)
MOST_LOST_ASKS = 2
LOST = (Attempt.Outcome.RUNNING, Attempt.Outcome.UNKNOWN)
# provisionOnDemand carries one group with at most five of its members (Graph, synchronizationJob: provisionOnDemand).
MEMBERS_PER_CALL = 5


def provision(claim: Claim) -> None:
    """Ask for on-demand provisioning when it is owed, then look whether the membership is there.

    One call carries up to five members of a group: those of the same group that owe it too are taken along,
    each under its own lease, and each is settled by its own look.
    """
    if end_for_a_leaver(claim) or keep_up(claim) or end_if_gone_on_the_way(claim):
        return
    asked = _Asked()
    due = _ask_due_at(claim.grant)
    if due is not None and due <= business_now():
        asked = _ask(claim)
        crash_point("provisioning.asked")
    elif nothing_new(claim.grant, member=False, since=claim.grant.assigned_at) and not _is_over(claim.grant):
        _go_on_waiting(claim)
        return
    for other in asked.others:
        _look_for_another(other, asked)
    _look_and_settle(claim, asked)
    crash_point("provisioning.settled")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What came of asking: a sentence when it was less than success, how long to wait, who was taken along."""

    sentence: str = ""
    wait: timedelta | None = None
    others: Sequence[Claim] = ()


def _look_and_settle(claim: Claim, asked: _Asked) -> None:
    view = look_at_aws(claim.grant)
    crash_point("provisioning.looked")
    crash_point("provisioning.before_settle")
    with settle(claim) as grant:
        if grant.status == GrantStatus.PROVISIONING:
            _settle(grant, view, asked.sentence, asked.wait)
        else:
            rest(grant)


def _look_for_another(claim: Claim, asked: _Asked) -> None:
    """One that was taken along: what goes wrong with it stays with it."""
    try:
        _look_and_settle(claim, asked)
    except LeaseLost:
        log.warning("lease_lost", grant=str(claim.grant.pk))
    except errors.ClientError as error:
        postpone(claim, error)


def _is_over(grant: Grant) -> bool:
    return business_now() >= over_at(grant)


def _go_on_waiting(claim: Claim) -> None:
    with settle(claim) as grant:
        rest(grant, retry_in=_next_look(grant))


def _next_look(grant: Grant) -> timedelta:
    """How long to wait before AWS is looked at again (real time): no longer than until a lost ask is made again."""
    now = business_now()
    wait, due = poll_delay(grant.assigned_at or now), _ask_due_at(grant)
    if due is None or not now < due <= now + LOST_ASK_AFTER:
        return wait
    return min(wait, business_clock().real_duration(due - now))


def _settle(grant: Grant, view: AwsView, waiting: str, wait: timedelta | None) -> None:
    now = business_now()
    name = grant.group.display_name
    if now >= over_at(grant):
        move(
            grant,
            GrantStatus.REMOVING,
            actor=Actor.worker(),
            fields={"group_name": name, "reason": EndReason.WINDOW_OVER.label},
            end_reason=EndReason.WINDOW_OVER,
            removal_started_at=now,
            # What PIM ended once and assigned anew had arrived before: sessions of that time may run.
            arrived_at=grant.arrived_at or (now if view.member else None),
            next_action_at=now,
            **RESTED,
        )
    elif view.member:
        move(
            grant,
            GrantStatus.ACTIVE,
            actor=Actor.worker(),
            fields={"group_name": name, "vendor_request_id": view.receipt.vendor_request_id},
            # The rest of a window that PIM cut in two: it was usable since the first arrival.
            arrived_at=grant.arrived_at or now,
            problem="",
            problem_code="",
            # What Entra lacked on the way is looked for again at once: one look has cast the doubt.
            next_action_at=now
            if grant.extension_owed or grant.unseen_since
            else min(over_at(grant), now + LOOK_EVERY),
            **RESTED,
        )
    else:
        sentence = waiting or view.obstacle or hastening.why_late(grant)
        wait = wait or _next_look(grant)
        rest(grant, retry_in=wait, problem=sentence, problem_code="waiting" if sentence else "")


def _ask_due_at(grant: Grant) -> datetime | None:
    """From when on Entra is to be asked (again) to carry the membership (business time); None: not at all."""
    asked = _ASKED.rows(grant.pk)
    if not asked:
        return business_now()
    if grant.last_write_at is None:
        return None
    lost = min(sum(outcome in LOST for outcome in asked), MOST_LOST_ASKS)
    if asked[0] in LOST and len(asked) <= MOST_LOST_ASKS:
        wait = LOST_ASK_AFTER
    elif len(asked) - lost < MOST_ASKS:
        wait = ASK_AGAIN_AFTER
    else:
        # After the last quick one, once for each cycle that has gone by: what Entra believes to be in AWS already (it
        # was taken out there directly, say) no cycle brings, but this call looks at AWS.
        wait = settings.PROVISIONING_CYCLE
    return grant.last_write_at + wait


def _outcomes(grant_id: UUID) -> QuerySet[Attempt, str]:
    """What came of the newest asks."""
    asks = Attempt.objects.filter(grant=grant_id, kind=Attempt.Kind.ON_DEMAND)
    # What was asked for an assignment that PIM has let end says nothing about the one that continues it.
    continued = Attempt.objects.filter(
        grant=OuterRef("grant"), kind=Attempt.Kind.ASSIGN, started_at__gt=OuterRef("started_at")
    )
    asks = asks.exclude(outcome=Attempt.Outcome.RETRY).filter(~Exists(continued))
    return asks.order_by("-started_at").values_list("outcome", flat=True)[: MOST_ASKS + MOST_LOST_ASKS]


_ASKED = Readymade(_outcomes, UUID)


def _ask(claim: Claim) -> _Asked:
    grant = claim.grant
    try:
        place = attempts.place_for(grant, PathKind.CARRY)
    except CircuitOpen as away:
        # The cycle may bring it all the same, so AWS is looked at.
        return _Asked(away.sentence, away.retry_after)
    if isinstance(place, Wait):
        return _Asked(WAITS, min(place.span, poll_delay(grant.assigned_at or business_now())))
    together = [claim, *_companions(grant)]
    try:
        answer, carried = attempts.write_for_all(
            together,
            Attempt.Kind.ON_DEMAND,
            lambda call_id, grants: clients().provisioning.provision_on_demand(
                grant.group.object_id, [each.person.object_id for each in grants], client_request_id=call_id
            ),
            place=place,
            last_write_at=business_now(),
        )
    except (LeaseLost, Superseded, CircuitOpen) as reason:
        for other in together[1:]:
            _give_back(other)
        if isinstance(reason, CircuitOpen):
            return _Asked(reason.sentence, reason.retry_after)
        raise
    sentence, wait = _judge(answer, claim.grant.failures)
    return _Asked(sentence, wait, [each for each in carried if each is not claim])


def _companions(first: Grant) -> list[Claim]:
    """Others of the same group that owe their first ask, claimed: up to four, by their start.

    Who is asked for again goes alone, so that one whom Entra can't carry doesn't keep four others waiting twice.
    """
    if _ASKED_ALREADY.rows(first.pk):
        return []
    found: list[Claim] = []
    for grant_id in _OWING.rows(first.pk, first.group_id, business_now()):
        if len(found) + 1 >= MEMBERS_PER_CALL:
            break
        claim = claim_grant(grant_id, early=True)
        if claim is None:
            continue
        if claim.grant.status != GrantStatus.PROVISIONING:
            _give_back(claim)
            continue
        leave_queue(claim.grant, PathKind.CARRY)
        found.append(claim)
    return found


_ASKED_ALREADY = Readymade(
    lambda grant_id: (
        Attempt.objects.filter(grant=grant_id, kind=Attempt.Kind.ON_DEMAND)
        .exclude(outcome=Attempt.Outcome.RETRY)
        .values_list("pk", flat=True)[:1]
    ),
    UUID,
)


def _owing(first: UUID, group_id: int, now: datetime) -> QuerySet[Grant, UUID]:
    asked = Attempt.objects.filter(grant=OuterRef("pk"), kind=Attempt.Kind.ON_DEMAND).exclude(
        outcome=Attempt.Outcome.RETRY
    )
    rows = Grant.objects.filter(
        ~Exists(asked), group=group_id, status=GrantStatus.PROVISIONING, ends_at__gt=now
    ).exclude(pk=first)
    return rows.order_by("starts_at", "pk").values_list("pk", flat=True)[: 2 * MEMBERS_PER_CALL]


_OWING = Readymade(_owing, UUID, int, datetime)


def _give_back(claim: Claim) -> None:
    """It was claimed to go along, and the call was not made."""
    try:
        with settle(claim) as grant:
            rest(grant)
    except LeaseLost:
        log.warning("lease_lost", grant=str(claim.grant.pk))


def _judge(answer: attempts.Answer[OnDemandResult], failures: int) -> tuple[str, timedelta | None]:
    """What the answer is worth. None of them is an arrival: only AWS itself says that."""
    minutes = int(settings.PROVISIONING_CYCLE.total_seconds() // 60)
    cycle = f"The provisioning cycle brings it within {minutes} minutes."
    match answer.error:
        case errors.Throttled() as throttled:
            hold_if_asked(throttled)
            return "Entra provisions others first; the portal asks again in a moment.", throttled.retry_after
        case errors.Unreachable() as error:
            return f"{error.sentence} {cycle}", back_off(failures + 3)
        case errors.ClientError() as error:
            return f"{error.sentence} {cycle}", None
    result = answer.value
    if result is None or result.outcome is OnDemandOutcome.SUCCESS:
        return "", None
    reason = f": {result.reason}" if result.reason else ""
    match result.outcome:
        case OnDemandOutcome.FAILURE:
            return f"Entra could not provision the membership at once{reason}. {cycle}", None
        case OnDemandOutcome.SKIPPED:
            return f"Entra sees nothing to provision yet{reason}. {cycle}", None
        case _:
            return f"Entra's answer to the provisioning could not be understood. {cycle}", None
