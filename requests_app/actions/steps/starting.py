"""SCHEDULED: the window has begun; check once more that the person may have it, then start."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.crash import crash_point, register
from requests_app.actions.checking import fresh_eligibility, fresh_person
from requests_app.actions.claiming import Claim, note, rest, settle
from requests_app.actions.freezing import stop_if_frozen
from requests_app.actions.moving import move
from requests_app.actions.steps.pacing import poll_delay
from requests_app.cutting.wanting import make_way
from requests_app.lifecycle import HOLDING, GrantStatus
from requests_app.models import Grant
from requests_app.scope_growth import growth

WAIT_FOR_REMOVAL = timedelta(seconds=2)  # real time
# The approval has asked about the account; after this long (business time) it is asked again.
ASKED_JUST_NOW = timedelta(minutes=1)
WAITS_FOR_THE_EARLIER = (
    "Earlier access through this PIM group is still on its way out; this begins as soon as that is proven gone "
    "from AWS."
)

register("starting.before_check", "starting.before_settle", "starting.settled")


def _account_enabled(grant: Grant) -> bool:
    """Asked again unless the approval has just asked: a later start, or one that had to wait for what came before."""
    if business_now() - grant.created_at < ASKED_JUST_NOW:
        return True
    person = fresh_person(grant.person.object_id)
    return person is not None and person.enabled


def start(claim: Claim) -> None:
    """Move to ACTIVATING, or to NOT_GRANTED when the eligibility, the time for it or what was approved is gone.

    While an earlier grant of the pair is on its way out, it waits: PIM holds one assignment a pair.
    """
    crash_point("starting.before_check")
    grant = claim.grant
    problem = ""
    if grant.ends_at - business_now() < settings.PIM_MINIMUM:
        problem = "The window was over before the activation could begin. Ask again if you still need it."
    elif _predecessor(grant):
        _wait(claim)
        return
    elif not _account_enabled(grant):
        problem = "The account is disabled or gone in Entra, so it was not started."
    else:
        eligibility = fresh_eligibility(grant.person.object_id, grant.group.object_id)
        if not eligibility.held:
            problem = "You are no longer eligible for this PIM group. Ask its owner for a new eligibility."
        elif grown := growth(grant):
            problem = f"{grown} The approval doesn't cover that, so it is void: ask again."
    crash_point("starting.before_settle")
    with settle(claim) as grant:
        if grant.status != GrantStatus.SCHEDULED:
            rest(grant)
            return
        if not problem and _predecessor(grant):
            rest(grant, retry_in=poll_delay(grant.starts_at))
            return
        name = {"group_name": grant.group.display_name}
        if not problem:
            stop_if_frozen(grant)
        if not problem and not make_way(grant):
            # A deletion of the predecessor's membership may be on its way: it must not meet this one.
            rest(grant, retry_in=WAIT_FOR_REMOVAL)
            return
        if problem:
            move(
                grant,
                GrantStatus.NOT_GRANTED,
                actor=Actor.worker(),
                fields={**name, "problem": problem},
                problem=problem,
                problem_code="not_started",
                ended_at=business_now(),
                next_action_at=None,
            )
        else:
            move(
                grant,
                GrantStatus.ACTIVATING,
                actor=Actor.worker(),
                fields=name,
                problem="",
                problem_code="",
                holder_checked_at=business_now(),
            )
            note(grant, next_action_at=business_now())
        rest(grant)
    crash_point("starting.settled")


def _predecessor(grant: Grant) -> bool:
    """Whether PIM may still hold an earlier grant of the same person and group, or AWS still shows it."""
    same = Grant.objects.filter(person_id=grant.person_id, group_id=grant.group_id, status__in=HOLDING)
    return same.exclude(pk=grant.pk).exists()


def _wait(claim: Claim) -> None:
    with settle(claim) as grant:
        note(grant, problem=WAITS_FOR_THE_EARLIER, problem_code="waiting")
        rest(grant, retry_in=poll_delay(grant.starts_at))
