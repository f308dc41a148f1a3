"""Walking through all managed groups, in slices of at most thirty seconds, one worker at a time.

Nothing is concluded from what can't be read: such a group is "not looked at", its findings stay, and the page says
so. An answer in which most of what was expected is missing must be read twice alike (ADR 0017), and while the
portal's own table of grants is empty or has shrunk, nothing is called an orphan.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from django.db import IntegrityError
from django.db.models import Q
from django_subatomic.db import durable, transaction

from base.clock import business_now, real_now
from catalog.models import PimGroup
from catalog.sync.guarding import digest
from clients.errors import ClientError, Throttled, Unreachable
from oversight.drift.judging import GroupFacts, judge, principal_of
from oversight.drift.looking import NotLooked, StoreUsers, look
from oversight.drift.writing import not_looked, write
from oversight.models import UNRESOLVED, DriftRun, Finding, FindingKind
from oversight.restoring import rebuild_held
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=10)  # business time, from start to start
AGAIN_AFTER_DOUBT = timedelta(minutes=2)  # business time
SLICE = timedelta(seconds=30)  # real time
LEASE = timedelta(minutes=3)  # real time
# A source that can't be reached is waited for this often within a run, before the rest counts as not looked at.
PAUSES = 4
SHORTEST_PAUSE = timedelta(seconds=15)
KEEP_RUNS = timedelta(days=30)

OWN_DOUBT_EMPTY = (
    "The portal's own table of grants is empty, so nothing was called an orphan. That is as it should be before the first "
    "grant; if this database was restored, run “manage.py reconcile”."
)
OWN_DOUBT_SHRUNK = (
    "The portal knows fewer grants than at an earlier look, so nothing was called an orphan. If this database was "
    "restored, run “manage.py reconcile”."
)


class Outcome(StrEnum):
    """What became of one slice."""

    DONE = "done"
    MORE = "more"
    PAUSED = "paused"
    BUSY = "busy"  # somebody else is at it
    NOT_DUE = "not_due"


class LeaseLost(Exception):
    """Another worker went on with the run."""


@durable
def run_if_due() -> Outcome:
    """One slice of the comparison when it is owed; harmless otherwise."""
    run = DriftRun.objects.filter(status=DriftRun.Status.RUNNING).first()
    if run is None and not is_due(business_now()):
        return Outcome.NOT_DUE
    return run_slice()


def is_due(now: datetime) -> bool:
    """Whether a new comparison is owed at `now` (business time)."""
    last = DriftRun.objects.exclude(status=DriftRun.Status.RUNNING).order_by("-started_at").first()
    if last is None:
        return True
    return last.started_at + (AGAIN_AFTER_DOUBT if last.doubted else EVERY) <= now


@durable
def run_slice(*, seconds: float | None = None) -> Outcome:
    """Begin a comparison, or go on with the unfinished one, for one slice (30 s unless told)."""
    run = _claim()
    if run is None:
        return Outcome.BUSY
    deadline = real_now() + (timedelta(seconds=seconds) if seconds is not None else SLICE)
    users = StoreUsers()
    try:
        while run.cursor:
            _one(run, users)
            run.cursor = run.cursor[1:]
            if run.cursor and real_now() >= deadline:
                _save(run, lease_until=None)
                return Outcome.MORE
            _save(run, lease_until=real_now() + LEASE)
        _finish(run, DriftRun.Status.DONE)
    except LeaseLost:
        log.warning("drift_lease_lost")
        return Outcome.BUSY
    except Unreachable as error:
        return _pause(run, error)
    return Outcome.DONE


def _claim() -> DriftRun | None:
    now = real_now()
    run = DriftRun.objects.filter(status=DriftRun.Status.RUNNING).first()
    if run is None:
        return _begin(now)
    taken = DriftRun.objects.filter(pk=run.pk, status=DriftRun.Status.RUNNING).filter(
        Q(lease_until=None) | Q(lease_until__lte=now), Q(resume_at=None) | Q(resume_at__lte=now)
    )
    if not taken.update(lease_until=now + LEASE, resume_at=None):
        return None
    run.refresh_from_db()
    return run


def _begin(now: datetime) -> DriftRun | None:
    last = DriftRun.objects.order_by("-started_at").first()
    known = Grant.objects.count()
    before = last.grants_known if last else 0
    doubt = OWN_DOUBT_EMPTY if known == 0 else OWN_DOUBT_SHRUNK if known < before else ""
    groups = PimGroup.objects.filter(managed=True, present=True).order_by("pk").values_list("pk", flat=True)
    try:
        with transaction():
            return DriftRun.objects.create(
                cursor=list(groups),
                started_at=business_now(),
                lease_until=now + LEASE,
                # Kept until somebody reconciles: a shrunk table doesn't become whole by being looked at twice.
                grants_known=max(known, before),
                problem=doubt,
            )
    except IntegrityError:
        return None


def _one(run: DriftRun, users: StoreUsers) -> None:
    group = PimGroup.objects.filter(pk=run.cursor[0]).first()
    if group is None:
        return
    try:
        facts = look(group, users, orphans_are_judged=not run.problem)
    except NotLooked as error:
        run.not_looked += 1
        not_looked(group, str(error))
        return
    except Unreachable:
        raise
    except ClientError as error:
        run.not_looked += 1
        not_looked(group, error.sentence)
        return
    if rebuild_held(group, facts):
        facts = look(group, users, orphans_are_judged=not run.problem)
    if doubt := _doubt(group, facts):
        run.doubted += 1
        run.not_looked += 1
        not_looked(
            group,
            "Most of the access that was expected here was missing from the answer. It is read again before anything "
            "is concluded.",
            doubt=doubt,
        )
        return
    unjudged = frozenset({FindingKind.ORPHAN.value}) if run.problem else frozenset()
    write(group, judge(facts), now=facts.now, unjudged=unjudged)
    run.looked += 1


def _doubt(group: PimGroup, facts: GroupFacts) -> str:
    """The digest of an answer that lacks most of what was expected and wasn't read twice alike, else ""."""
    expected = {
        principal_of(grant)
        for grant in facts.grants
        if grant.status in (GrantStatus.PROVISIONING, GrantStatus.ACTIVE) and grant.ends_at > facts.now
    }
    expected |= set(
        Finding.objects.filter(group=group, status__in=UNRESOLVED)
        .exclude(kind__in=[FindingKind.GHOST, FindingKind.WIDENED])
        .values_list("principal", flat=True)
    )
    held = {assignment.principal_id.lower() for assignment in facts.assignments}
    in_aws = {facts.owners[member.user_id] for member in facts.members or ()}
    missing = expected - (held | in_aws)
    unassigned = {principal_of(grant) for grant in facts.grants if grant.assigned_at} & expected - held
    if len(missing) * 2 < max(len(expected), 1) and len(unassigned) * 2 < max(len(expected), 1):
        return ""
    mark = digest([*(f"pim {each}" for each in held), *(f"aws {each}" for each in in_aws)])
    before = getattr(group, "look", None)
    return "" if before is not None and before.doubt == mark else mark


def _save(run: DriftRun, **values: object) -> None:
    """Write the run's row, provided that its lease is still ours."""
    facts = {
        "cursor": run.cursor,
        "looked": run.looked,
        "not_looked": run.not_looked,
        "doubted": run.doubted,
        **values,
    }
    ours = DriftRun.objects.filter(pk=run.pk, status=DriftRun.Status.RUNNING, lease_until=run.lease_until)
    if not ours.update(**facts):
        raise LeaseLost
    for name, value in values.items():
        setattr(run, name, value)


def _finish(run: DriftRun, status: DriftRun.Status, problem: str = "") -> None:
    now = business_now()
    _save(run, status=status, finished_at=now, lease_until=None, problem=problem or run.problem)
    DriftRun.objects.filter(finished_at__lt=now - KEEP_RUNS).delete()
    log.info("drift_done", looked=run.looked, not_looked=run.not_looked, doubted=run.doubted)


def _pause(run: DriftRun, error: Unreachable) -> Outcome:
    """Wait for a source, or give the run up when it has been waited for long enough."""
    asked = error.retry_after if isinstance(error, Throttled) else timedelta(0)
    wait = max(asked, SHORTEST_PAUSE * 2**run.pauses)
    try:
        if run.pauses >= PAUSES:
            groups = PimGroup.objects.filter(pk__in=run.cursor)
            for group in groups:
                not_looked(group, error.sentence)
            run.not_looked += len(groups)
            run.cursor = []
            _finish(run, DriftRun.Status.FAILED, error.sentence)
            return Outcome.DONE
        _save(run, lease_until=None, pauses=run.pauses + 1, resume_at=real_now() + wait)
    except LeaseLost:
        return Outcome.BUSY
    log.info("drift_paused", seconds=wait.total_seconds(), reason=error.sentence)
    return Outcome.PAUSED
