"""Whose manager is whom, as the directory says: read by workers, and only while a rule describes somebody by it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import structlog
from django.db.models import F

from base.clock import business_clock, business_now, real_now
from catalog.sync.principals import identify, tenant_id
from catalog.sync.work import Work
from clients.errors import NotFound, NotPermitted
from clients.registry import clients
from identity.models import Person

log = structlog.get_logger(__name__)

# Managers change seldom, and opening the form reads one's own afresh; both real time.
MANAGER_STALE_AFTER = timedelta(hours=6)
# What was read longer ago than this says nothing about now.
MANAGER_BELIEVED_FOR = timedelta(hours=24)


def stale_managers(most: int) -> list[str]:
    """Object ids of eligible people whose manager was last read too long ago, the longest first."""
    before = business_clock().at(real_now() - MANAGER_STALE_AFTER)
    people = Person.objects.filter(tenant_id=tenant_id(), enabled=True, eligibilities__isnull=False)
    old = people.filter(manager_read_at=None) | people.filter(manager_read_at__lt=before)
    oldest = old.order_by(F("manager_read_at").asc(nulls_first=True), "object_id").distinct()
    return list(oldest.values_list("object_id", flat=True)[:most])


def read_managers(work: Work, object_ids: Collection[str]) -> None:
    """Read the managers of these people, who become known too. Whatever may not be read stays as it was, and ages."""
    found: dict[str, str] = {}
    for fetched in work.fetch_each(sorted(object_ids), clients().directory.read_manager):
        if isinstance(fetched.error, NotPermitted):
            log.warning("managers_not_permitted", reason=fetched.error.sentence)
            return
        if fetched.error is not None and not isinstance(fetched.error, NotFound):
            raise fetched.error
        found[fetched.item] = (fetched.value or "").lower()
    identify(work, {manager for manager in found.values() if manager})
    now = business_now()
    for person, manager in found.items():
        Person.objects.filter(tenant_id=tenant_id(), object_id=person).update(
            manager_object_id=manager, manager_read_at=now
        )


def believed(read_at: datetime | None) -> bool:
    """Whether what was read at this business instant still says something about now."""
    return read_at is not None and business_clock().at(real_now() - MANAGER_BELIEVED_FOR) <= read_at
