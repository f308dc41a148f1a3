"""Writing what the directory says about people and groups. Called by catalogue sync, in a worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import models
from django_subatomic.db import transaction_if_not_already

from clients.types import DirectoryUser
from identity.linking import begin_to_link, link, marks_of
from identity.models import DirectoryGroup, DirectoryMembership, Person
from identity.personal.keeping import Forgotten, forget

BATCH = 500
# Everything that Entra knows better than we do. `store_user_id` is joined from IAM Identity Center.
DIRECTORY_FIELDS = (
    "display_name",
    "given_name",
    "surname",
    "user_principal_name",
    "mail",
    "employee_id",
    "marks",
    "department",
    "job_title",
    "enabled",
    "guest",
    "synced_at",
)


def upsert_people(users: Iterable[DirectoryUser], *, tenant_id: str, now: datetime) -> Mapping[str, Person]:
    """Write people as the directory has them and give them by object id. `now` is business time.

    The same person twice counts once, as described last. Rows keep their primary key.
    """
    users = list(users)
    wanted = {user.object_id.lower(): _person(user, tenant_id=tenant_id.lower(), now=now) for user in users}
    if not wanted:
        return {}
    rows = Person.objects.filter(tenant_id=tenant_id.lower(), object_id__in=wanted)
    with transaction_if_not_already():
        joins = begin_to_link(users)
        before = [(*each.marks, each.mark) for each in rows] if joins else []
        Person.objects.bulk_create(
            # One order for every writer, so that two syncs can't lock each other out.
            [wanted[object_id] for object_id in sorted(wanted)],
            batch_size=BATCH,
            update_conflicts=True,
            unique_fields=["tenant_id", "object_id"],
            update_fields=list(DIRECTORY_FIELDS),
        )
        if joins:
            link(
                {mark for each in (*before, *(person.marks for person in wanted.values())) for mark in each}
                - {""}
            )
    stored = list(rows.all())
    if disabled := [person for person in stored if not person.enabled]:
        forget(disabled, Forgotten.DISABLED)
    return {person.object_id: person for person in stored}


def upsert_group_members(
    group_object_id: str, *, display_name: str, people: Iterable[Person], now: datetime
) -> DirectoryGroup:
    """Make `people` the members of a directory group, nested membership flattened by the caller.

    `now` is business time. Whoever isn't among `people` is taken out.
    """
    with transaction_if_not_already():
        group, _ = DirectoryGroup.objects.update_or_create(
            object_id=group_object_id.lower(),
            defaults={"display_name": display_name, "missing": False, "synced_at": now},
        )
        wanted = {person.pk for person in people}
        memberships = DirectoryMembership.objects.filter(group=group)
        held = set(memberships.values_list("person_id", flat=True))
        memberships.filter(person_id__in=held - wanted).delete()
        DirectoryMembership.objects.bulk_create(
            [DirectoryMembership(group=group, person_id=pk) for pk in sorted(wanted - held)],
            batch_size=BATCH,
            ignore_conflicts=True,
        )
    return group


def mark_group_missing(group_object_id: str, *, now: datetime) -> None:
    """The directory no longer has this group: nobody is a member any more. `now` is business time."""
    with transaction_if_not_already():
        group, _ = DirectoryGroup.objects.update_or_create(
            object_id=group_object_id.lower(), defaults={"missing": True, "synced_at": now}
        )
        DirectoryMembership.objects.filter(group=group).delete()


def mark_people_gone(object_ids: Iterable[str], *, tenant_id: str, now: datetime) -> int:
    """The directory no longer has these people: they can't sign in, ask or decide. Gives how many changed."""
    gone = [object_id.lower() for object_id in object_ids]
    people = Person.objects.filter(tenant_id=tenant_id.lower(), object_id__in=gone, enabled=True)
    forget(people, Forgotten.DISABLED)
    return people.update(enabled=False, synced_at=now)


def _person(user: DirectoryUser, *, tenant_id: str, now: datetime) -> Person:
    person = Person(
        tenant_id=tenant_id,
        object_id=user.object_id.lower(),
        display_name=user.display_name or user.user_principal_name or user.object_id,
        given_name=user.given_name,
        surname=user.surname,
        user_principal_name=user.user_principal_name,
        mail=user.mail,
        employee_id=user.employee_id,
        marks=sorted(marks_of(user)),
        department=user.department,
        job_title=user.job_title,
        enabled=user.enabled,
        guest=user.guest,
        synced_at=now,
    )
    for field in Person._meta.concrete_fields:
        if isinstance(field, models.CharField) and field.max_length is not None:
            setattr(person, field.attname, str(getattr(person, field.attname))[: field.max_length])
    return person
