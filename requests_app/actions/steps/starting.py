"""SCHEDULED: the window has begun; check once more that the person may have it (`rechecking`), then start."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.conf import settings

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.crash import crash_point, register
from base.readymade import Readymade
from requests_app.actions.claiming import RESTED, Claim, rest, settle
from requests_app.actions.deciders import ASKED_JUST_NOW
from requests_app.actions.freezing import stop_if_frozen
from requests_app.actions.moving import move
from requests_app.actions.steps.pacing import poll_delay
from requests_app.actions.steps.rechecking import unfit
from requests_app.cutting.wanting import make_way
from requests_app.lifecycle import HOLDING, GrantStatus
from requests_app.models import Grant

WAIT_FOR_REMOVAL = timedelta(seconds=2)  # real time
WAITS_FOR_THE_EARLIER = (
    "Earlier access through this PIM group is still on its way out; this begins as soon as that is proven gone "
    "from AWS."
)

register("starting.before_check", "starting.before_settle", "starting.settled")


def start(claim: Claim) -> None:
    """Move to ACTIVATING, or to NOT_GRANTED when the time for it or what the approval stood on is gone.

    While an earlier grant of the pair is on its way out, it waits: PIM holds one assignment a pair.
    """
    crash_point("starting.before_check")
    grant = claim.grant
    # The approval has asked about the account: it is asked again for a later start, or one that had to wait.
    account_known = business_now() - grant.created_at < ASKED_JUST_NOW
    asked_at = grant.created_at if account_known else business_now()
    problem = ""
    if grant.ends_at - business_now() < settings.PIM_MINIMUM:
        problem = "The window was over before the activation could begin. Ask again if you still need it."
    elif _predecessor(grant):
        _wait(claim)
        return
    else:
        problem = unfit(grant, account_known=account_known)
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
                **RESTED,
            )
        else:
            move(
                grant,
                GrantStatus.ACTIVATING,
                actor=Actor.worker(),
                fields=name,
                problem="",
                problem_code="",
                holder_checked_at=asked_at,
                next_action_at=business_now(),
                **RESTED,
            )
    crash_point("starting.settled")


def _predecessor(grant: Grant) -> bool:
    """Whether PIM may still hold an earlier grant of the same person and group, or AWS still shows it."""
    return bool(_EARLIER.rows(grant.person_id, grant.group_id, grant.pk))


_EARLIER = Readymade(
    lambda person_id, group_id, grant_id: (
        Grant.objects.filter(person_id=person_id, group_id=group_id, status__in=HOLDING)
        .exclude(pk=grant_id)
        .values_list("pk", flat=True)[:1]
    ),
    int,
    int,
    UUID,
)


def _wait(claim: Claim) -> None:
    with settle(claim) as grant:
        wait = poll_delay(grant.starts_at)
        rest(grant, retry_in=wait, problem=WAITS_FOR_THE_EARLIER, problem_code="waiting")
