"""Who may ask for which PIM group: directly, or as a member of a group that is itself eligible."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django_subatomic.db import transaction

from base.clock import business_now
from catalog.models import Eligibility, GroupEligibility, PimGroup
from catalog.sync.differences import write_differences
from catalog.sync.policies import write_policy_problem
from catalog.sync.principals import Principals, expand, identify
from catalog.sync.work import Work
from clients.errors import ClientError, NotFound
from clients.registry import clients
from clients.types import PimEligibility
from identity.models import DirectoryMembership

PER_STEP = 8
# Members of eligible groups are read at most this often (business time); several groups share them.
MEMBERS_FRESH_FOR = timedelta(minutes=2)


class Eligibilities:
    """Every managed group in turn."""

    def advance(self, work: Work) -> bool:
        """See the engine's Part."""
        if "groups" not in work.cursor:
            managed = PimGroup.objects.filter(managed=True, present=True).order_by("object_id")
            work.cursor["groups"] = list(managed.values_list("object_id", flat=True))
            return not work.cursor["groups"]
        waiting: list[str] = work.cursor["groups"]
        _read(work, waiting[:PER_STEP])
        work.cursor["groups"] = waiting[PER_STEP:]
        return not work.cursor["groups"]


def _read(work: Work, object_ids: Sequence[str]) -> None:
    rows = {row.object_id: row for row in PimGroup.objects.filter(object_id__in=object_ids)}
    answers: dict[str, Sequence[PimEligibility]] = {}
    for fetched in work.fetch_each(rows, clients().pim.group_eligibilities):
        match fetched.error:
            case None if fetched.value is not None:
                answers[fetched.item] = fetched.value
            case NotFound() as error:
                write_policy_problem(rows[fetched.item], error.sentence)
            case ClientError() as error:
                raise error
    principals = identify(work, {each.principal_id.lower() for held in answers.values() for each in held})
    eligible_groups = [group for group in principals.groups.values() if not group.missing]
    expand(work, eligible_groups, older_than=MEMBERS_FRESH_FOR)
    for object_id, held in answers.items():
        work.changes["eligibilities"] += write_eligibilities(work, rows[object_id], held, principals)


@dataclass(frozen=True, slots=True)
class _Wanted:
    people: dict[tuple[int, str], dict[str, Any]]  # by person and instance
    groups: dict[str, dict[str, Any]]  # by instance


def write_eligibilities(
    work: Work, group: PimGroup, held: Sequence[PimEligibility], principals: Principals
) -> int:
    """Make the rows say who is eligible for the group; gives how many changed."""
    existing = {(row.person_id, row.instance_id): row for row in group.eligibilities.all()}
    known_groups = {row.instance_id: row for row in group.group_eligibilities.all()}
    believed = work.believes(
        f"eligibilities:{group.object_id}",
        before=len({row.instance_id for row in existing.values()} | known_groups.keys()),
        entries=sorted({each.instance_id for each in held}),
    )
    if not believed:
        return 0
    wanted = _wanted(group, held, principals)
    with transaction():
        groups = write_differences(GroupEligibility, existing=known_groups, wanted=wanted.groups)
        GroupEligibility.objects.filter(pk__in=[row.pk for row in groups.unwanted]).delete()
        people = write_differences(Eligibility, existing=existing, wanted=wanted.people, contended=True)
        Eligibility.objects.filter(pk__in=[row.pk for row in people.unwanted]).delete()
        PimGroup.objects.filter(pk=group.pk).update(eligibilities_read_at=business_now())
    return len(groups) + len(people)


def _wanted(group: PimGroup, held: Sequence[PimEligibility], principals: Principals) -> _Wanted:
    members = _members([each.pk for each in principals.groups.values()])
    wanted = _Wanted({}, {})
    for each in held:
        principal = each.principal_id.lower()
        span: dict[str, datetime | None] = {"starts_at": each.starts_at, "ends_at": each.ends_at}
        if each.through_group:
            # Some tenants list those behind a group too; they are known from the group's own row and its members.
            continue
        if principal in principals.people:
            person = principals.people[principal]
            wanted.people[person, each.instance_id] = _row(group, person, each, None, span)
        elif principal in principals.groups:
            through = principals.groups[principal]
            wanted.groups[each.instance_id] = {
                "group_id": group.pk,
                "directory_group_id": through.pk,
                "instance_id": each.instance_id,
                **span,
            }
            for person in members.get(through.pk, ()):
                wanted.people[person, each.instance_id] = _row(group, person, each, through.pk, span)
    return wanted


def _row(
    group: PimGroup, person: int, each: PimEligibility, through: int | None, span: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "group_id": group.pk,
        "person_id": person,
        "instance_id": each.instance_id,
        "through_id": through,
        **span,
    }


def _members(groups: Collection[int]) -> dict[int, list[int]]:
    members: dict[int, list[int]] = {}
    memberships = DirectoryMembership.objects.filter(group_id__in=groups, group__missing=False)
    for group, person in memberships.values_list("group_id", "person_id"):
        members.setdefault(group, []).append(person)
    return members
