"""Reading what a request is judged by, for one PIM group or a page of them. Pages read snapshots of the directory;
the worker that counts a decision passes in what it has just read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce

from django.db.models import Q

from catalog.models import AccountAssignment, OrganizationalUnit, PimGroup
from catalog.sync.managers import believed
from identity.models import DirectoryMembership, Person
from policy.floor import floor_of
from policy.models import RuleVersion
from policy.on_call import known_on_call, on_call_at, schedules_named
from policy.scope import ATTRIBUTES, Ask, Opened


def requester_groups_named(versions: Iterable[RuleVersion]) -> frozenset[str]:
    """The directory groups whose members these rules apply to."""
    return frozenset().union(*(version.parsed.applies_to.requester_groups for version in versions))


def owner_tags(versions: Iterable[RuleVersion]) -> frozenset[str]:
    """The keys of account tags by which these rules find owners."""
    return frozenset(
        stage.approvers.account_owner
        for version in versions
        for stage in version.parsed.demands.stages
        if stage.approvers.account_owner
    )


def read_asks(
    asked: Sequence[tuple[Person, PimGroup, datetime]],
    versions: Sequence[RuleVersion],
    *,
    requester_groups: frozenset[str] | None = None,
    roster: datetime | None = None,
) -> list[Ask]:
    """What each of these is judged by: who asks, for which group, and when (business time), in the order given.

    At most five queries for all of them, and none that no rule needs. `requester_groups` are those of
    `requester_groups_named` that every requester is in, where they were read afresh. `roster` is the instant whose people
    on call count; without one, it is that of each ask.
    """
    named = requester_groups_named(versions)
    members = _groups_of({person.pk for person, _, _ in asked}, named) if requester_groups is None else {}
    owners = owner_tags(versions)
    needs_pairs = bool(owners) or any(version.parsed.applies_to.names_pairs for version in versions)
    opened = read_opened({group.pk for _, group, _ in asked}) if needs_pairs else {}
    people = _read_people(opened.values(), owners) if owners else {}
    schedules = schedules_named(versions)
    shifts = known_on_call(schedules, [roster or at for _, _, at in asked])
    return [
        Ask(
            group=group.object_id,
            opened=frozenset(opened.get(group.pk, ())) if needs_pairs else None,
            requester_groups=members.get(person.pk, frozenset())
            if requester_groups is None
            else requester_groups,
            attributes=tuple((name, str(getattr(person, name))) for name in ATTRIBUTES),
            asked_at=at,
            people=people,
            floor=floor_of(group, as_person=group.as_person),
            manager=_manager_of(person),
            manager_read_at=person.manager_read_at,
            no_manager=_why_no_manager(person),
            on_call=on_call_at(shifts, schedules, roster or at) if schedules else {},
        )
        for person, group, at in asked
    ]


def read_ask(
    requester: Person,
    group: PimGroup,
    versions: Sequence[RuleVersion],
    *,
    at: datetime,
    requester_groups: frozenset[str] | None = None,
) -> Ask:
    """As `read_asks`, for one of them."""
    return read_asks([(requester, group, at)], versions, requester_groups=requester_groups)[0]


def manager_described(versions: Iterable[RuleVersion]) -> bool:
    """Whether one of these rules has the requester's manager decide."""
    return any(stage.approvers.manager for version in versions for stage in version.parsed.demands.stages)


def _manager_of(person: Person) -> str:
    return person.manager_object_id if believed(person.manager_read_at) else ""


def _why_no_manager(person: Person) -> str:
    if person.manager_read_at is None:
        return "who the requester's manager is has not been read from Entra yet"
    if not believed(person.manager_read_at):
        return "who the requester's manager is could not be read from Entra for a day"
    return "" if person.manager_object_id else "the requester has no manager in Entra"


def _groups_of(people: Collection[int], named: frozenset[str]) -> Mapping[int, frozenset[str]]:
    if not named:
        return {}
    found: defaultdict[int, set[str]] = defaultdict(set)
    rows = DirectoryMembership.objects.filter(person__in=people, group__object_id__in=named)
    for person, group in rows.values_list("person_id", "group__object_id"):
        found[person].add(group)
    return {person: frozenset(groups) for person, groups in found.items()}


def opened_by(group: PimGroup) -> Sequence[Opened]:
    """What one group opens. Two queries."""
    return read_opened([group.pk]).get(group.pk, ())


def read_opened(groups: Collection[int]) -> Mapping[int, Sequence[Opened]]:
    """What each group, by key, opens, with where its accounts are in the tree. Two queries."""
    units = {
        pk: (unit_id, parent)
        for pk, unit_id, parent in OrganizationalUnit.objects.values_list("pk", "unit_id", "parent")
    }
    rows = AccountAssignment.objects.filter(group__in=groups).select_related("account", "permission_set")
    found: defaultdict[int, list[Opened]] = defaultdict(list)
    shared: dict[int, tuple[frozenset[str], tuple[tuple[str, str], ...]]] = {}
    for row in rows.only(
        "group", "account__account_id", "account__unit", "account__tags", "permission_set__name"
    ):
        account = row.account
        if account.pk not in shared:
            tags = tuple(sorted((str(key), str(value)) for key, value in account.tags.items()))
            shared[account.pk] = _up(account.unit_id, units), tags
        found[row.group_id].append(Opened(account.account_id, row.permission_set.name, *shared[account.pk]))
    return found


def _up(unit: int | None, units: Mapping[int, tuple[str, int | None]]) -> frozenset[str]:
    """The ids of a unit and of all above it."""
    above: set[str] = set()
    while unit is not None and unit in units and units[unit][0] not in above:
        unit_id, unit = units[unit]
        above.add(unit_id)
    return frozenset(above)


def _read_people(opened: Iterable[Sequence[Opened]], keys: frozenset[str]) -> Mapping[str, str]:
    """Object ids of those whom these accounts' tags name as owners, by the name as given. One query.

    Mail addresses are not taken: whoever administers a mailbox could become an owner.
    """
    names = {
        value.strip() for some in opened for pair in some for key, value in pair.tags if key in keys and value
    }
    if not names:
        return {}
    wanted = reduce(
        lambda found, name: found | Q(object_id__iexact=name) | Q(user_principal_name__iexact=name),
        names,
        Q(),
    )
    found: dict[str, str] = {}
    for object_id, sign_in_name in Person.objects.filter(wanted).values_list(
        "object_id", "user_principal_name"
    ):
        found[object_id.casefold()] = object_id
        if sign_in_name:
            found[sign_in_name.casefold()] = object_id
    return found
