"""Celery's side of catalogue sync. Every task may be delivered twice: parts and people are claimed by row."""

from __future__ import annotations

import time
from datetime import timedelta

from celery import shared_task
from django.db.models import Q

from base.clock import real_now
from catalog.models import PersonRefresh, SyncRun
from catalog.sync import deciders
from catalog.sync.engine import SLICE, Outcome, being_worked_on, due_parts, run_part
from catalog.sync.person import refresh

# A page's wish that no worker heard (a lost message) is granted by the periodic task after this.
UNHEARD_AFTER = timedelta(seconds=10)
MOST_PEOPLE = 20
# Organizations answers one page a second, so a large organisation's list takes longer than other tasks may.
SOFT_LIMIT, LIMIT = 150, 170  # seconds


@shared_task(name="catalog.tasks.sync_due", soft_time_limit=SOFT_LIMIT, time_limit=LIMIT)
def sync_due() -> None:
    """Work on the parts that are owed for one slice in all; ring for what is left.

    While another worker reads, only the short look at provisioning is taken: the rest of the workers
    belong to people who wait.
    """
    until = time.monotonic() + SLICE.total_seconds()
    others = being_worked_on() - {SyncRun.Part.PROVISIONING}
    for part in due_parts():
        if others and part is not SyncRun.Part.PROVISIONING:
            continue
        left = until - time.monotonic()
        if left <= 0 or run_part(part, seconds=left) is Outcome.MORE:
            sync_part.delay(part.value)
    unheard = PersonRefresh.objects.filter(wanted_at__lt=real_now() - UNHEARD_AFTER)
    free = unheard.filter(Q(lease_until=None) | Q(lease_until__lte=real_now()))
    for person_id in free.order_by("wanted_at").values_list("person_id", flat=True)[:MOST_PEOPLE]:
        refresh_person.delay(person_id)
    if asked := deciders.unheard(UNHEARD_AFTER):
        refresh_deciders.delay(list(asked))


@shared_task(name="catalog.tasks.sync_part", soft_time_limit=SOFT_LIMIT, time_limit=LIMIT)
def sync_part(part: str) -> None:
    """Work on one part for a slice; ring again when there is more."""
    if run_part(SyncRun.Part(part)) is Outcome.MORE:
        sync_part.delay(part)


@shared_task(name="catalog.tasks.refresh_person")
def refresh_person(person_id: int) -> None:
    """Read one person's eligibilities and the policies of those groups afresh."""
    refresh(person_id)


@shared_task(name="catalog.tasks.refresh_deciders")
def refresh_deciders(object_ids: list[str]) -> None:
    """Read these people and groups of those who decide afresh."""
    deciders.refresh_deciders(object_ids)
