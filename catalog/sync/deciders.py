"""Those who decide, read afresh because somebody has just opened a page on which it matters who they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

import structlog
from django.db.models import Q, QuerySet
from django_subatomic.db import durable

from base.clock import business_clock, real_now
from catalog.models import DeciderRefresh
from catalog.sync.intervals import DECIDER_FRESH_FOR
from catalog.sync.principals import expand, read_people, tenant_id
from catalog.sync.work import Work
from clients.errors import ClientError
from identity.models import DirectoryGroup, Person

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=45)
# A page looks after no more groups and people than this; the periodic sync reads all.
MOST_ASKED = 20


def stale(groups: Collection[str], people: Collection[str]) -> Sequence[str]:
    """Which of these object ids were last read longer than a minute of real time ago. Two queries at most."""
    before = business_clock().at(real_now() - DECIDER_FRESH_FOR)
    old = Q(synced_at=None) | Q(synced_at__lt=before)
    found: list[str] = []
    if groups:
        rows = DirectoryGroup.objects.filter(old, object_id__in=groups, missing=False)
        found += rows.order_by("object_id").values_list("object_id", flat=True)[:MOST_ASKED]
    if people:
        named = Person.objects.filter(old, tenant_id=tenant_id(), object_id__in=people)
        found += named.order_by("object_id").values_list("object_id", flat=True)[:MOST_ASKED]
    return found[:MOST_ASKED]


def unheard(asked_before: timedelta) -> Sequence[str]:
    """Wishes that no worker has taken for this long (real time): their ring was lost."""
    rows = _free().filter(asked_at__lt=real_now() - asked_before)
    return list(rows.order_by("asked_at").values_list("object_id", flat=True)[:MOST_ASKED])


@durable
def refresh_deciders(object_ids: Collection[str]) -> int:
    """Read those of these that are owed; gives how many. What fails is left to the periodic sync and to the next page.

    A membership that empties or halves is not believed here: the sync reads it twice first (ADR 0017).
    """
    claimed = _claim(object_ids)
    if not claimed:
        return 0
    work = Work(part="deciders", cursor={}, deadline=real_now() + LEASE)
    try:
        groups = list(DirectoryGroup.objects.filter(object_id__in=claimed, missing=False))
        expand(work, groups)
        read_people(work, claimed - {group.object_id for group in groups})
    except ClientError as error:
        log.warning("deciders_refresh_failed", code=error.code, reason=error.sentence)
    DeciderRefresh.objects.filter(object_id__in=claimed).update(owed=False, lease_until=None)
    return len(claimed)


def _free() -> QuerySet[DeciderRefresh]:
    now = real_now()
    return DeciderRefresh.objects.filter(Q(lease_until=None) | Q(lease_until__lte=now), owed=True)


def _claim(object_ids: Collection[str]) -> set[str]:
    until = real_now() + LEASE
    return {
        each
        for each in sorted(object_ids)[:MOST_ASKED]
        if _free().filter(object_id=each).update(lease_until=until)
    }
