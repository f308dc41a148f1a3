"""Ringing for fresh data when a page is opened. No page waits for it, and none fails without it."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import timedelta

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

from base.clock import real_now
from catalog.models import DeciderRefresh, PersonRefresh, SyncRun
from catalog.sync.deciders import stale
from catalog.sync.intervals import DECIDER_FRESH_FOR
from catalog.sync.person import is_fresh
from identity.models import Person

log = structlog.get_logger(__name__)

# A wish that was made this recently is still being worked on.
PATIENCE = timedelta(seconds=10)
# After the broker could not be reached, pages don't try it again for this long.
SILENCE_SECONDS = 15.0
_silent_until = 0.0


def want_refresh(person: Person) -> bool:
    """Ask a worker to read this person's eligibilities when they are older than a minute; whether it was asked.

    The wish is a row, so that it is granted even when the ring is lost. Takes about a second at worst.
    """
    now = real_now()
    row = PersonRefresh.objects.filter(person=person).first()
    if row is not None and (is_fresh(row.read_at) or (row.wanted_at and now - row.wanted_at < PATIENCE)):
        return False
    PersonRefresh.objects.update_or_create(person=person, defaults={"wanted_at": now})
    return _ring("catalog.tasks.refresh_person", person.pk)


def want_deciders(groups: Collection[str], people: Collection[str]) -> bool:
    """Ask a worker to read these groups and people where that is older than a minute; whether it was asked.

    Each is asked for at most once a minute, whoever opens pages. Four queries at most, two while all is fresh.
    """
    old = stale(groups, people)
    if not old:
        return False
    now = real_now()
    lately = DeciderRefresh.objects.filter(object_id__in=old, asked_at__gt=now - DECIDER_FRESH_FOR)
    wanted = sorted(set(old) - set(lately.values_list("object_id", flat=True)))
    if not wanted:
        return False
    DeciderRefresh.objects.bulk_create(
        [DeciderRefresh(object_id=each, asked_at=now, owed=True) for each in wanted],
        update_conflicts=True,
        unique_fields=["object_id"],
        update_fields=["asked_at", "owed"],
    )
    return _ring("catalog.tasks.refresh_deciders", wanted)


def want_approvers() -> bool:
    """Ask a worker to read the people and groups that rules name, after rules changed; whether it was asked."""
    return _ring("catalog.tasks.sync_part", SyncRun.Part.DIRECTORY.value)


def _ring(task: str, argument: int | str | list[str]) -> bool:
    global _silent_until
    if time.monotonic() < _silent_until:
        return False
    try:
        current_app.send_task(task, args=[argument], retry=False)
    except (OperationalError, OSError) as error:
        _silent_until = time.monotonic() + SILENCE_SECONDS
        log.warning("nudge_lost", task=task, error=type(error).__name__)
        return False
    return True
