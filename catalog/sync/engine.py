"""Runs the parts: one worker at a time for each, in slices, from a cursor that survives a dead worker.

A failed run keeps what was there before and says why; the next one comes sooner than planned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from django.db import IntegrityError
from django.db.models import Q
from django_subatomic.db import durable, transaction

from base.clock import real_now
from catalog.allow_list import AllowListError
from catalog.models import SyncRun
from catalog.sync import directory, eligibilities, groups, organization, permission_sets, provisioning
from catalog.sync.guarding import Implausible
from catalog.sync.intervals import FIRST_RETRY, INTERVALS, UNREAD_RETRY
from catalog.sync.work import Part, Work
from clients.errors import ClientError, Throttled, Unreachable

log = structlog.get_logger(__name__)

PARTS: Mapping[SyncRun.Part, Part] = {
    SyncRun.Part.PROVISIONING: provisioning.Provisioning(),
    SyncRun.Part.ORGANIZATION: organization.Organization(),
    SyncRun.Part.PERMISSION_SETS: permission_sets.PermissionSets(),
    SyncRun.Part.GROUPS: groups.Groups(),
    SyncRun.Part.ELIGIBILITIES: eligibilities.Eligibilities(),
    SyncRun.Part.DIRECTORY: directory.Directory(),
}

SLICE = timedelta(seconds=30)
# Longer than any single step: Organizations answers one page a second.
LEASE = timedelta(minutes=3)
# An unreachable or throttled source is waited for this often within a run, before the run fails.
PAUSES = 4
SHORTEST_PAUSE = timedelta(seconds=5)
# A run that was interrupted this long ago starts anew instead of going on from its cursor.
STALE_AFTER = timedelta(hours=2)
KEEP_RUNS = timedelta(days=7)


class Outcome(StrEnum):
    """What became of one slice."""

    DONE = "done"
    MORE = "more"  # the slice is over; ring again
    PAUSED = "paused"  # the source asked to wait; the run goes on when its lease is over
    BUSY = "busy"  # somebody else is at it
    FAILED = "failed"


class LeaseLost(Exception):
    """The slice took so long that another worker went on with the run; what is left of it is dropped."""


@durable
def run_part(part: SyncRun.Part, *, seconds: float | None = None, accept_shrinking: bool = False) -> Outcome:
    """Work on a part for one slice (30 s unless told), beginning a run or going on with an unfinished one.

    Raises:
        Exception: a mistake of ours; the run was recorded as failed first.
    """
    run = _claim(part)
    if run is None:
        return Outcome.BUSY
    slice_ = timedelta(seconds=seconds) if seconds is not None else SLICE
    work = Work(
        part=part.value,
        cursor=dict(run.cursor),
        deadline=real_now() + slice_,
        calls=run.calls,
        changes=Counter(run.changes),
        accept_shrinking=accept_shrinking,
    )
    try:
        return _work_on(run, PARTS[part], work)
    except LeaseLost:
        log.warning("sync_lease_lost", part=part.value)
        return Outcome.BUSY
    except Unreachable as error:
        return _pause_or_fail(run, work, error)
    except ClientError as error:
        return _fail(run, work, error.sentence)
    except (Implausible, AllowListError) as error:
        return _fail(run, work, str(error))
    except Exception:
        _fail(run, work, "The portal itself failed while reading this. The worker's log says where.")
        raise


def _work_on(run: SyncRun, part: Part, work: Work) -> Outcome:
    while not part.advance(work):
        if work.out_of_time:
            _save(run, work, lease_until=None)
            return Outcome.MORE
        _save(run, work, lease_until=real_now() + LEASE)
    now = real_now()
    _save(
        run,
        work,
        status=SyncRun.Status.SUCCEEDED,
        cursor={"carry": work.cursor.get("carry", {})},
        finished_at=now,
        lease_until=None,
    )
    SyncRun.objects.filter(part=run.part, finished_at__lt=now - KEEP_RUNS).delete()
    log.info("sync_done", part=run.part, calls=work.calls, changes=dict(work.changes))
    return Outcome.DONE


def _claim(part: SyncRun.Part) -> SyncRun | None:
    now = real_now()
    until = now + LEASE
    run = SyncRun.objects.filter(part=part, status=SyncRun.Status.RUNNING).first()
    if run is None:
        return _begin(part, now, until)
    free = SyncRun.objects.filter(pk=run.pk, status=SyncRun.Status.RUNNING).filter(
        Q(lease_until=None) | Q(lease_until__lte=now)
    )
    if run.started_at < now - STALE_AFTER:
        if free.update(
            status=SyncRun.Status.FAILED, finished_at=now, error="The reading was interrupted and began anew."
        ):
            return _begin(part, now, until)
        return None
    if not free.update(lease_until=until):
        return None
    run.refresh_from_db()
    return run if run.lease_until == until else None


def _begin(part: SyncRun.Part, now: datetime, until: datetime) -> SyncRun | None:
    last = (
        SyncRun.objects.filter(part=part, status=SyncRun.Status.SUCCEEDED)
        .order_by("-started_at", "-pk")
        .values_list("cursor", flat=True)
        .first()
    )
    cursor = {"carried": (last or {}).get("carry", {})}
    try:
        with transaction():
            return SyncRun.objects.create(part=part, started_at=now, lease_until=until, cursor=cursor)
    except IntegrityError:
        return None


def _save(run: SyncRun, work: Work, **values: Any) -> None:
    """Write the run's row, provided that its lease is still ours."""
    facts = {"cursor": work.cursor, "calls": work.calls, "changes": dict(work.changes), **values}
    ours = SyncRun.objects.filter(pk=run.pk, status=SyncRun.Status.RUNNING, lease_until=run.lease_until)
    if not ours.update(**facts):
        raise LeaseLost
    run.lease_until = facts.get("lease_until", run.lease_until)


def _fail(run: SyncRun, work: Work, sentence: str) -> Outcome:
    log.warning("sync_failed", part=run.part, reason=sentence)
    try:
        _save(
            run,
            work,
            status=SyncRun.Status.FAILED,
            error=sentence,
            cursor={"carry": work.carried},
            finished_at=real_now(),
            lease_until=None,
        )
    except LeaseLost:
        return Outcome.BUSY
    return Outcome.FAILED


def _pause_or_fail(run: SyncRun, work: Work, error: Unreachable) -> Outcome:
    pauses = int(work.cursor.get("pauses", 0)) + 1
    if pauses > PAUSES:
        return _fail(run, work, error.sentence)
    work.cursor["pauses"] = pauses
    asked = error.retry_after if isinstance(error, Throttled) else timedelta(0)
    pause = max(asked, SHORTEST_PAUSE * 2 ** (pauses - 1))
    try:
        _save(run, work, lease_until=real_now() + pause)
    except LeaseLost:
        return Outcome.BUSY
    log.info("sync_paused", part=run.part, seconds=pause.total_seconds(), reason=error.sentence)
    return Outcome.PAUSED


def being_worked_on(now: datetime | None = None) -> frozenset[str]:
    """The parts that a worker holds, or that wait for a source; `now` is real time."""
    held = SyncRun.objects.filter(status=SyncRun.Status.RUNNING, lease_until__gt=now or real_now())
    return frozenset(held.values_list("part", flat=True))


def due_parts(now: datetime | None = None) -> Sequence[SyncRun.Part]:
    """The parts that are owed work, in the order in which they build on each other. `now` is real time."""
    now = now or real_now()
    return [part for part in INTERVALS if (due := due_at(part)) is None or due <= now]


def due_at(part: SyncRun.Part) -> datetime | None:
    """When a part is owed work next (real time); None: it never ran, so now."""
    newest = SyncRun.objects.filter(part=part).order_by("-started_at", "-pk")
    last: SyncRun | None = newest.first()
    if last is None:
        return None
    if last.status == SyncRun.Status.RUNNING:
        return last.lease_until
    if last.status == SyncRun.Status.SUCCEEDED:
        # A new rule's approvers must be known before anybody asks; ids that nobody has are looked for once a minute.
        early = part is SyncRun.Part.DIRECTORY and directory.unread()
        return last.started_at + (UNREAD_RETRY if early else INTERVALS[part])
    failures = 0
    for status in newest.values_list("status", flat=True)[:8]:
        if status != SyncRun.Status.FAILED:
            break
        failures += 1
    delay: timedelta = min(FIRST_RETRY * 2 ** (failures - 1), INTERVALS[part])
    return (last.finished_at or last.started_at) + delay
