"""Who owns the managed groups in Entra: read seldom, and only to know who may review eligibilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog
from django.db.models import Count
from django_subatomic.db import transaction

from base.clock import business_clock, business_now, real_now
from catalog.models import GroupOwner, PimGroup
from catalog.sync.differences import write_differences
from catalog.sync.intervals import OWNERS_FRESH_FOR
from catalog.sync.principals import identify
from catalog.sync.work import Work
from clients.errors import ClientError, NotPermitted
from clients.registry import clients

log = structlog.get_logger(__name__)


def read_owners(work: Work, rows: Mapping[str, PimGroup]) -> None:
    """Read the owners of those of these groups that are managed and were read too long ago; one call each.

    Whatever can't be read stays as it was, and ages. Where the portal may not read owners, a run asks no further.
    """
    if work.cursor.get("owners_refused"):
        return
    found: dict[str, Sequence[str]] = {}
    for fetched in work.fetch_each(_stale(rows), clients().directory.read_owners):
        if isinstance(fetched.error, NotPermitted):
            log.warning("owners_not_permitted", reason=fetched.error.sentence)
            work.cursor["owners_refused"] = True
            return
        if isinstance(fetched.error, ClientError):
            log.warning("owners_unreadable", group=fetched.item, reason=fetched.error.sentence)
        elif fetched.value is not None:
            found[fetched.item] = fetched.value
    people = identify(work, {each for owners in found.values() for each in owners}).people
    groups = [rows[object_id] for object_id in found]
    held = dict(
        GroupOwner.objects.filter(group__in=groups).order_by().values_list("group").annotate(Count("pk"))
    )
    for group in groups:
        owners = sorted(found[group.object_id])
        if work.believes(f"owners:{group.object_id}", before=held.get(group.pk, 0), entries=owners):
            work.changes["owners"] += _write(group, [people[each] for each in owners if each in people])


def _stale(rows: Mapping[str, PimGroup]) -> Sequence[str]:
    before = business_clock().at(real_now() - OWNERS_FRESH_FOR)
    return sorted(
        object_id
        for object_id, row in rows.items()
        if row.managed and (row.owners_read_at is None or row.owners_read_at < before)
    )


def _write(group: PimGroup, people: Sequence[int]) -> int:
    existing = {row.person_id: row for row in GroupOwner.objects.filter(group=group)}
    wanted = {person: {"group_id": group.pk, "person_id": person} for person in people}
    with transaction():
        differences = write_differences(GroupOwner, existing=existing, wanted=wanted)
        GroupOwner.objects.filter(pk__in=[row.pk for row in differences.unwanted]).delete()
        PimGroup.objects.filter(pk=group.pk).update(owners_read_at=business_now())
    return len(differences)
