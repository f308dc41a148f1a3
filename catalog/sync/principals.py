"""Who an object id belongs to: a person or a group. PIM names principals by id alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django_subatomic.db import transaction

from base.clock import business_now
from catalog.sync.work import Work
from clients.errors import ClientError, NotFound
from clients.registry import clients
from clients.types import DirectoryUser, GroupMembers, Reading
from identity.models import DirectoryGroup, DirectoryMembership, Person
from identity.sync import mark_group_missing, mark_people_gone, upsert_group_members, upsert_people


@dataclass(frozen=True, slots=True)
class Principals:
    """People by object id (their keys), and groups by object id."""

    people: Mapping[str, int]
    groups: Mapping[str, DirectoryGroup]


def tenant_id() -> str:
    """The one tenant, in lower case."""
    return settings.ENTRA_TENANT_ID.lower()


def known_people(object_ids: Collection[str]) -> dict[str, int]:
    """Keys of the people among these object ids."""
    people = Person.objects.filter(tenant_id=tenant_id(), object_id__in=object_ids)
    return dict(people.values_list("object_id", "pk"))


def identify(work: Work, object_ids: Collection[str]) -> Principals:
    """Tell people from groups; those not met before are read. Ids that belong to neither are left out."""
    people = known_people(object_ids)
    groups = {row.object_id: row for row in DirectoryGroup.objects.filter(object_id__in=object_ids)}
    unknown = sorted(set(object_ids) - people.keys() - groups.keys())
    if unknown:
        found = work.fetch(lambda: clients().directory.read_groups(unknown))
        for group in found:
            row, _ = DirectoryGroup.objects.update_or_create(
                object_id=group.object_id.lower(),
                defaults={"display_name": group.display_name[:256], "missing": False},
            )
            groups[row.object_id] = row
        read_people(work, [each for each in unknown if each not in groups])
        people = known_people(object_ids)
    return Principals(people, groups)


def read_people(work: Work, object_ids: Collection[str]) -> None:
    """Read people one by one; those whom the directory doesn't have (any more) are marked gone."""
    users: list[DirectoryUser] = []
    absent: list[str] = []
    for fetched in work.fetch_each(sorted(object_ids), clients().directory.read_user):
        if isinstance(fetched.error, NotFound) or (fetched.error is None and fetched.value is None):
            absent.append(fetched.item)
        elif fetched.value is not None:
            users.append(fetched.value)
        elif isinstance(fetched.error, ClientError):
            raise fetched.error
    now = business_now()
    with transaction():
        upsert_people(users, tenant_id=tenant_id(), now=now)
        work.changes["people_gone"] += mark_people_gone(absent, tenant_id=tenant_id(), now=now)
    work.changes["people_read"] += len(users)


def expand(work: Work, groups: Collection[DirectoryGroup], *, older_than: timedelta = timedelta(0)) -> None:
    """Read the people of these groups, nested groups flattened, where the snapshot is older than that."""
    now = business_now()
    stale = {group.object_id: group for group in groups if _is_stale(group, now, older_than)}
    for fetched in work.fetch_each(sorted(stale), _members_of):
        group = stale[fetched.item]
        if fetched.value is not None:
            _write_members(work, group, fetched.value, now)
        elif isinstance(fetched.error, NotFound):
            with transaction():
                mark_group_missing(group.object_id, now=now)
        elif isinstance(fetched.error, ClientError):
            raise fetched.error


def _members_of(object_id: str) -> Reading[GroupMembers]:
    return clients().directory.read_members(object_id, transitive=True)


def _is_stale(group: DirectoryGroup, now: datetime, older_than: timedelta) -> bool:
    return group.synced_at is None or now - group.synced_at >= older_than


def _write_members(work: Work, group: DirectoryGroup, members: GroupMembers, now: datetime) -> None:
    held = DirectoryMembership.objects.filter(group=group).count()
    ids = sorted(user.object_id.lower() for user in members.users)
    if not work.believes(f"members:{group.object_id}", before=held, entries=ids):
        return
    with transaction():
        people = upsert_people(members.users, tenant_id=tenant_id(), now=now)
        upsert_group_members(
            group.object_id, display_name=group.display_name, people=people.values(), now=now
        )
