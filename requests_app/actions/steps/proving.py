"""DEPROVISIONING, DRAINING and after: prove by reading that the membership is gone from AWS, and stays gone.

A grant that was seen in AWS is out when it is read as absent. One that was never seen may only
be late: it is called "never arrived" when a provisioning cycle that began after the removal in
Entra has succeeded and the membership is still absent. It is watched for a while after that.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet
from django_subatomic.db import transaction_required

from audit.ledger.models import Event
from audit.ledger.recorder import Actor
from base.clock import business_now
from base.crash import crash_point, register
from clients.registry import clients
from clients.types import ProvisioningCode, ProvisioningJob
from requests_app.actions import attempts
from requests_app.actions.claiming import RESTED, Claim, note, rest, settle
from requests_app.actions.moving import move
from requests_app.actions.recording import record_of
from requests_app.actions.steps import hastening
from requests_app.actions.steps.pacing import poll_delay
from requests_app.actions.steps.seeing import AwsView, look_at_aws, look_at_entra, nothing_new
from requests_app.cutting.last_use import severed_last_use
from requests_app.estimates import last_possible_use
from requests_app.lifecycle import HOLDING, EndReason, GrantStatus
from requests_app.models import Attempt, Grant

register(
    "deprovisioning.looked",
    "deprovisioning.before_settle",
    "deprovisioning.settled",
    "draining.before_settle",
    "draining.settled",
    "watching.before_settle",
)

# How often (business time) a membership that is gone is looked for again.
WATCH_EVERY = timedelta(minutes=10)

HELD_BY_OTHERS = (
    "Entra holds another membership in this group, one that the portal didn't make, so AWS keeps it too. Whoever "
    "made it can remove it in Entra."
)


_ENDED_BEFORE: dict[str, str] = {
    EndReason.WINDOW_OVER: "Its window ended before AWS showed the membership.",
    EndReason.ENDED_EARLY: "Its holder gave it back before AWS showed the membership.",
    EndReason.REVOKED: "It was revoked before AWS showed the membership.",
    EndReason.LEAVER: "Its holder may not have it any more, and AWS had not shown the membership yet.",
    EndReason.INCIDENT: "An operator ended it in an incident before AWS showed the membership.",
}


def deprovision(claim: Claim) -> None:
    """DEPROVISIONING: look at AWS, and at whatever else the judgement needs."""
    grant = claim.grant
    if grant.unknown_writes and look_at_entra(grant).ours is not None:
        _back_to_removing(claim, GrantStatus.DEPROVISIONING)
        return
    if nothing_new(grant, member=True, since=grant.out_of_entra_at):
        with settle(claim) as grant:
            rest(grant, retry_in=poll_delay(grant.out_of_entra_at or business_now()))
        return
    # The job first: what proves an absence is a look at AWS after the cycle, not before.
    job = attempts.read(grant, Attempt.Kind.READ_JOB, clients().provisioning.job).value
    view = look_at_aws(grant)
    if view.member:
        hastening.still_in_aws(claim)
    foreign = False
    if view.member and _cycle_since_removal(grant, job):
        # A cycle that leaves AWS as it is has a cause in Entra: somebody else's membership, or ours after all.
        entra = look_at_entra(grant)
        if entra.ours is not None:
            _back_to_removing(claim, GrantStatus.DEPROVISIONING)
            return
        foreign = entra.foreign is not None
    crash_point("deprovisioning.looked")
    crash_point("deprovisioning.before_settle")
    with settle(claim) as grant:
        if grant.status == GrantStatus.DEPROVISIONING:
            _settle_deprovisioning(grant, view, job, held_by_others=foreign)
        else:
            rest(grant)
    crash_point("deprovisioning.settled")


def _settle_deprovisioning(
    grant: Grant, view: AwsView, job: ProvisioningJob, *, held_by_others: bool
) -> None:
    now = business_now()
    if view.member:
        # Seen at last, if it never was: from now on it is a removal to prove, not an arrival to await.
        sentence = HELD_BY_OTHERS if held_by_others else _obstacle(job) or _left_behind(grant, job)
        sentence = hastening.sentence(grant, otherwise=sentence)
        rest(
            grant,
            retry_in=poll_delay(grant.out_of_entra_at or now),
            arrived_at=grant.arrived_at or now,
            problem=sentence,
            problem_code="waiting",
        )
    elif view.known and grant.arrived_at is not None:
        # One answer is enough here: a replica would have to be older than the arrival that was read in AWS, and this isn't
        # the end yet. It is looked for again while sessions run out, and a last time before it is called ended.
        _out_of_aws(grant, view, now)
    elif view.known and _cycle_proves_absence(grant, job):
        _never_arrived(grant, view, job, now)
    else:
        rest(
            grant,
            retry_in=poll_delay(grant.out_of_entra_at or now),
            problem=_obstacle(job) or view.obstacle,
            problem_code="waiting",
        )


def _out_of_aws(grant: Grant, view: AwsView, now: datetime) -> None:
    last_use = last_possible_use(
        window_ends_at=grant.ends_at, longest_session=grant.longest_session, read_back_at=now
    )
    severed = severed_last_use(grant)
    if severed is not None:
        last_use = min(last_use, max(severed, now))
    move(
        grant,
        GrantStatus.DRAINING,
        actor=Actor.worker(),
        fields={
            "group_name": grant.group.display_name,
            "vendor_request_id": view.receipt.vendor_request_id,
            "last_possible_use_at": last_use,
        },
        out_of_aws_at=now,
        last_possible_use_at=last_use,
        next_action_at=min(last_use, now + WATCH_EVERY),
        problem="",
        problem_code="",
        **RESTED,
    )


def _cycle_proves_absence(grant: Grant, job: ProvisioningJob) -> bool:
    return grant.arrived_at is None and _cycle_since_removal(grant, job)


def _cycle_since_removal(grant: Grant, job: ProvisioningJob) -> bool:
    """Whether a cycle has begun after the membership left Entra, and is complete."""
    return (
        grant.out_of_entra_at is not None
        and job.code is ProvisioningCode.ACTIVE
        and job.last_cycle_completed
        and job.last_cycle_began_at is not None
        and job.last_cycle_ended_at is not None
        and job.last_cycle_began_at > grant.out_of_entra_at
    )


def _never_arrived(grant: Grant, view: AwsView, job: ProvisioningJob, now: datetime) -> None:
    if job.last_cycle_began_at is None:
        raise ValueError("judged without a cycle")
    move(
        grant,
        GrantStatus.NEVER_ARRIVED,
        actor=Actor.worker(),
        fields={
            "group_name": grant.group.display_name,
            "vendor_request_id": view.receipt.vendor_request_id,
            "cycle_id": job.last_cycle_id,
            "cycle_began_at": job.last_cycle_began_at,
        },
        ended_at=now,
        next_action_at=now + WATCH_EVERY,
        problem=_why_it_never_arrived(grant),
        problem_code="never_arrived",
        **RESTED,
    )


def _why_it_never_arrived(grant: Grant) -> str:
    """What ended it before AWS showed it, as a sentence. What undid its activation is in the trail: later waits have said
    other things in its place."""
    if grant.end_reason == EndReason.OUTCOME_UNKNOWN:
        undone = Event.objects.filter(grant_id=grant.pk, type="grant.activation_abandoned")
        # The step's own, which brought the grant to a version: others may be anybody's who may write events.
        event = undone.filter(data__has_key="subject").order_by("-id").first()
        reason = event.data.get("fields", {}).get("reason") if event is not None else None
        if isinstance(reason, str) and reason:
            return f"{reason[:1].upper()}{reason[1:].rstrip('.')}."
    return _ENDED_BEFORE.get(grant.end_reason, "It was taken out of Entra before AWS showed it.")


def _obstacle(job: ProvisioningJob) -> str:
    match job.code:
        case ProvisioningCode.QUARANTINE:
            return "Entra has put provisioning to AWS into quarantine; removals wait until an operator has mended it."
        case ProvisioningCode.PAUSED:
            return (
                "Provisioning from Entra to AWS is paused; removals wait until an operator starts it again."
            )
        case _:
            return ""


def _left_behind(grant: Grant, job: ProvisioningJob) -> str:
    if not _cycle_since_removal(grant, job):
        return ""
    return (
        "A provisioning cycle has run since the membership left Entra, and did not take it out of AWS. An operator "
        "has to remove it in IAM Identity Center; the portal keeps looking."
    )


def drain(claim: Claim) -> None:
    """DRAINING: look now and then whether it stays away, and a last time at the last possible use; then end."""
    view = look_at_aws(claim.grant)
    if view.member and not _explained_by_successor(claim.grant):
        _back_to_removing(claim, GrantStatus.DRAINING)
        return
    crash_point("draining.before_settle")
    with settle(claim) as grant:
        now = business_now()
        if grant.status == GrantStatus.DRAINING:
            _bring_forward(grant)
        if grant.status != GrantStatus.DRAINING:
            rest(grant)
        elif grant.last_possible_use_at is not None and now < grant.last_possible_use_at:
            rest(grant, until=min(grant.last_possible_use_at, now + WATCH_EVERY))
        elif not view.known:
            wait = poll_delay(grant.last_possible_use_at or now)
            rest(grant, retry_in=wait, problem=view.obstacle, problem_code="waiting")
        else:
            move(
                grant,
                GrantStatus.ENDED,
                actor=Actor.worker(),
                fields={"group_name": grant.group.display_name},
                ended_at=now,
                next_action_at=None,
                **RESTED,
            )
    crash_point("draining.settled")


@transaction_required
def _bring_forward(grant: Grant) -> None:
    """The last possible use: earlier once all sessions are read back as denied, as before when a denial is lost."""
    if grant.out_of_aws_at is None:
        return
    usual = last_possible_use(
        window_ends_at=grant.ends_at, longest_session=grant.longest_session, read_back_at=grant.out_of_aws_at
    )
    severed = severed_last_use(grant)
    last_use = usual if severed is None else min(usual, severed)
    if last_use == grant.last_possible_use_at:
        return
    note(grant, last_possible_use_at=last_use)
    record_of(grant, "grant.last_use_changed", {"last_possible_use_at": last_use})


def watch(claim: Claim) -> None:
    """NEVER_ARRIVED: look now and then whether it came after all."""
    view = look_at_aws(claim.grant)
    if view.member:
        _back_to_removing(claim, GrantStatus.NEVER_ARRIVED)
        return
    crash_point("watching.before_settle")
    with settle(claim) as grant:
        now = business_now()
        until = (grant.ended_at or now) + settings.LATE_ARRIVAL_WATCH
        if now < until:
            rest(grant, until=now + WATCH_EVERY)
        else:
            rest(grant, next_action_at=None)


def _successors(grant: Grant) -> QuerySet[Grant]:
    """Other grants of the same person and group that PIM may hold; one that only waits explains no membership."""
    return Grant.objects.filter(person=grant.person, group=grant.group, status__in=HOLDING).exclude(
        pk=grant.pk
    )


def _explained_by_successor(grant: Grant) -> bool:
    """Whether a newer grant holds the membership by now. This one's own end was read back before that one began."""
    return _successors(grant).filter(assigned_at__isnull=False).exists()


def _back_to_removing(claim: Claim, expected: GrantStatus) -> None:
    """The membership was seen again. Unless a newer grant may be behind it, it is removed once more."""
    with settle(claim) as grant:
        now = business_now()
        if grant.status != expected or _successors(grant).exists():
            rest(grant, until=now + WATCH_EVERY)
            return
        move(
            grant,
            GrantStatus.REMOVING,
            actor=Actor.worker(),
            fields={"group_name": grant.group.display_name, "vendor_request_id": ""},
            end_reason=EndReason.SEEN_AGAIN,
            arrived_at=grant.arrived_at or now,
            removal_started_at=now,
            out_of_entra_at=None,
            out_of_aws_at=None,
            last_possible_use_at=None,
            # What is late from now on is told anew.
            overdue_entra_at=None,
            overdue_aws_at=None,
            ended_at=None,
            next_action_at=now,
            **RESTED,
        )
