"""One person's eligibilities, read afresh because that person has just opened a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from django.db.models import Q
from django_subatomic.db import durable, transaction

from base.clock import business_clock, business_now, real_now
from catalog.freshness import real_age
from catalog.models import Eligibility, GroupEligibility, PersonRefresh, PimGroup
from catalog.sync.differences import write_differences
from catalog.sync.directory import managers_matter
from catalog.sync.intervals import PERSON_FRESH_FOR
from catalog.sync.managers import read_managers
from catalog.sync.policies import write_policy, write_policy_problem
from catalog.sync.principals import expand, read_people
from catalog.sync.work import Work
from clients.errors import ClientError, NotFound
from clients.registry import clients
from clients.types import PimEligibility
from identity.models import DirectoryGroup, DirectoryMembership, Person

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=45)
# Groups of the person whose members are read again; somebody in more is served by the periodic sync.
MOST_GROUPS = 5
MOST_POLICIES = 60


@durable
def refresh(person_id: int) -> bool:
    """Read the person, what they are eligible for and those groups' policies; False when nothing was owed.

    What fails is noted on the person's row, for the page; the last good data stays.
    """
    person = _claim(person_id)
    if person is None:
        return False
    work = Work(part="person", cursor={}, deadline=real_now() + LEASE, accept_shrinking=True)
    problem = ""
    try:
        _read(work, person)
    except ClientError as error:
        log.warning("person_refresh_failed", code=error.code, reason=error.sentence)
        problem = error.sentence
    facts: dict[str, object] = {"lease_until": None, "wanted_at": None, "error": problem}
    if not problem:
        facts["read_at"] = business_now()
    PersonRefresh.objects.filter(person=person).update(**facts)
    return not problem


def is_fresh(read_at: datetime | None) -> bool:
    """Whether an answer of that business instant is younger than a minute of real time."""
    return read_at is not None and real_age(read_at, business_now()) < PERSON_FRESH_FOR


def _claim(person_id: int) -> Person | None:
    person = Person.objects.filter(pk=person_id).first()
    if person is None:
        return None
    row, _ = PersonRefresh.objects.get_or_create(person=person)
    if is_fresh(row.read_at):
        PersonRefresh.objects.filter(pk=row.pk).update(wanted_at=None)
        return None
    now = real_now()
    free = PersonRefresh.objects.filter(pk=row.pk).filter(Q(lease_until=None) | Q(lease_until__lte=now))
    return person if free.update(lease_until=now + LEASE) else None


def _read(work: Work, person: Person) -> None:
    read_people(work, [person.object_id])
    if managers_matter():
        read_managers(work, [person.object_id])
    groups = _groups_that_carry(person)
    expand(work, groups, older_than=PERSON_FRESH_FOR)
    held = work.fetch(lambda: clients().pim.principal_eligibilities(person.object_id))
    rows = {row.object_id: row for row in PimGroup.objects.filter(present=True)}
    _write_direct(person, held, rows)
    _write_indirect(person, groups)
    _read_policies(work, person)


def _groups_that_carry(person: Person) -> Sequence[DirectoryGroup]:
    eligible = GroupEligibility.objects.values("directory_group_id")
    mine = DirectoryGroup.objects.filter(members=person, missing=False, pk__in=eligible).order_by("pk")
    return list(mine[: MOST_GROUPS + 1]) if mine.count() <= MOST_GROUPS else []


def _write_direct(person: Person, held: Sequence[PimEligibility], groups: Mapping[str, PimGroup]) -> None:
    existing = {row.instance_id: row for row in Eligibility.objects.filter(person=person, through=None)}
    wanted = {
        each.instance_id: {
            "person_id": person.pk,
            "group_id": groups[each.group_id.lower()].pk,
            "instance_id": each.instance_id,
            "through_id": None,
            "starts_at": each.starts_at,
            "ends_at": each.ends_at,
        }
        for each in held
        if each.principal_id.lower() == person.object_id and each.group_id.lower() in groups
    }
    with transaction():
        found = write_differences(Eligibility, existing=existing, wanted=wanted, contended=True)
        Eligibility.objects.filter(pk__in=[row.pk for row in found.unwanted]).delete()


def _write_indirect(person: Person, groups: Sequence[DirectoryGroup]) -> None:
    """Bring the person's rows in line with the groups just read, whose own eligibilities the sync knows."""
    looked_at = [group.pk for group in groups]
    memberships = DirectoryMembership.objects.filter(person=person, group_id__in=looked_at)
    member_of = set(memberships.values_list("group_id", flat=True))
    carried = GroupEligibility.objects.filter(directory_group_id__in=member_of)
    existing = {
        (row.group_id, row.instance_id): row
        for row in Eligibility.objects.filter(person=person, through_id__in=looked_at)
    }
    wanted = {
        (row.group_id, row.instance_id): {
            "person_id": person.pk,
            "group_id": row.group_id,
            "instance_id": row.instance_id,
            "through_id": row.directory_group_id,
            "starts_at": row.starts_at,
            "ends_at": row.ends_at,
        }
        for row in carried
    }
    with transaction():
        found = write_differences(Eligibility, existing=existing, wanted=wanted, contended=True)
        Eligibility.objects.filter(pk__in=[row.pk for row in found.unwanted]).delete()


def _read_policies(work: Work, person: Person) -> None:
    eligible = PimGroup.objects.filter(eligibilities__person=person, managed=True, present=True)
    clock = business_clock()
    stale_before = clock.at(real_now() - PERSON_FRESH_FOR)
    stale = eligible.filter(Q(policy_read_at=None) | Q(policy_read_at__lt=stale_before)).distinct()
    rows = {row.object_id: row for row in stale.order_by("policy_read_at")[:MOST_POLICIES]}
    for fetched in work.fetch_each(rows, clients().pim.group_policy):
        row = rows[fetched.item]
        if fetched.value is not None:
            write_policy(row, fetched.value)
        elif isinstance(fetched.error, NotFound):
            write_policy_problem(row, fetched.error.sentence)
        elif fetched.error is not None:
            raise fetched.error
