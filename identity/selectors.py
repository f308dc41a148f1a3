"""Looking people and groups up."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.db.models import QuerySet

from base.errors import Missing
from identity.models import DirectoryGroup, DirectoryMembership, Person


def person_by_object_id(object_id: str) -> Person:
    """Somebody of this portal's tenant. Raises Missing when nobody has that object id."""
    person = people().filter(object_id=object_id.lower()).first()
    if person is None:
        raise Missing("person.missing", "There is no such person.")
    return person


def people() -> QuerySet[Person]:
    """Everybody of this portal's tenant, by name."""
    return Person.objects.filter(tenant_id=settings.ENTRA_TENANT_ID.lower()).order_by("display_name", "pk")


def is_member(person: Person, group_object_ids: Iterable[str]) -> bool:
    """Whether the last snapshot has this person in any of these directory groups that still exist."""
    return DirectoryMembership.objects.filter(
        person=person,
        group__object_id__in=[object_id.lower() for object_id in group_object_ids],
        group__missing=False,
    ).exists()


def group_object_ids_of(person: Person) -> frozenset[str]:
    """The directory groups that the last snapshot has this person in."""
    return frozenset(
        DirectoryMembership.objects.filter(person=person, group__missing=False).values_list(
            "group__object_id", flat=True
        )
    )


def members_of(group_object_ids: Iterable[str]) -> QuerySet[Person]:
    """People who are in any of these groups and may sign in, each once, by name."""
    memberships = DirectoryMembership.objects.filter(
        group__object_id__in=[object_id.lower() for object_id in group_object_ids], group__missing=False
    )
    return Person.objects.filter(enabled=True, pk__in=memberships.values("person_id")).order_by(
        "display_name", "pk"
    )


def directory_groups(object_ids: Iterable[str]) -> QuerySet[DirectoryGroup]:
    """The directory groups with these object ids, by name."""
    wanted = [object_id.lower() for object_id in object_ids]
    return DirectoryGroup.objects.filter(object_id__in=wanted).order_by("display_name", "object_id")
