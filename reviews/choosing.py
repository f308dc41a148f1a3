"""Who reviews a PIM group unless an operator says otherwise: its owners in Entra, or whoever decides on requests for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from base.clock import business_clock, real_now
from catalog.models import GroupOwner, PimGroup
from catalog.sync.intervals import OWNERS_BELIEVED_FOR
from identity.models import DirectoryMembership, Person
from policy.asking import read_asks
from policy.matching import current_versions
from policy.models import RuleVersion
from policy.scope import Ask, Scope
from policy.sources import resolve
from reviews.models import ReviewedBy, WithoutOwners

# Of a large approver group the first by name; an operator may add others.
MOST_BY_DEFAULT = 20


@dataclass(frozen=True, slots=True)
class Chosen:
    """By group: who reviews it, and why its owners don't where they should."""

    reviewers: Mapping[int, Sequence[Person]]
    owned: frozenset[int]  # groups whose reviewers are their owners
    without: Mapping[int, WithoutOwners]


def choose(groups: Sequence[PimGroup], *, by: ReviewedBy, asking: Person, at: datetime) -> Chosen:
    """Owners where they are wanted, known and able; whoever decides on requests everywhere else. Few queries."""
    if by is ReviewedBy.DECIDERS:
        return Chosen(those_who_decide(groups, asking=asking, at=at), frozenset(), {})
    owners, without = _owners(groups)
    decide = those_who_decide([group for group in groups if group.pk in without], asking=asking, at=at)
    return Chosen({**owners, **decide}, frozenset(owners), without)


def _owners(groups: Sequence[PimGroup]) -> tuple[dict[int, list[Person]], dict[int, WithoutOwners]]:
    """Owners who can review, by group; and the groups for which there are none, with why."""
    believed_since = business_clock().at(real_now() - OWNERS_BELIEVED_FOR)
    named: dict[int, list[Person]] = {}
    rows = GroupOwner.objects.filter(group__in=groups).select_related("person")
    for row in rows.order_by("person__display_name", "pk"):
        named.setdefault(row.group_id, []).append(row.person)
    owners: dict[int, list[Person]] = {}
    without: dict[int, WithoutOwners] = {}
    for group in groups:
        able = [person for person in named.get(group.pk, ()) if person.enabled and not person.guest]
        if group.owners_read_at is None or group.owners_read_at < believed_since:
            without[group.pk] = WithoutOwners.UNREAD
        elif able:
            owners[group.pk] = able[:MOST_BY_DEFAULT]
        else:
            without[group.pk] = WithoutOwners.UNABLE if group.pk in named else WithoutOwners.NOBODY
    return owners, without


def those_who_decide(groups: Sequence[PimGroup], *, asking: Person, at: datetime) -> dict[int, list[Person]]:
    """By group: who may decide on requests for it, as the directory was last read. Few queries.

    Whoever any rule names that may apply to the group, whatever it says of who asks and when; the fallbacks where no
    other rule may. `asking` is anybody, whose circumstances don't matter. A group of which no rule speaks, or whose
    rules name nobody who could decide, has nobody here.
    """
    versions = current_versions()
    asks = read_asks([(asking, group, at) for group in groups], versions)
    named: dict[int, tuple[frozenset[str], frozenset[str]]] = {}
    for group, ask in zip(groups, asks, strict=True):
        stages = [
            stage.approvers
            for version in _that_may_apply(versions, ask)
            for stage in resolve(version.parsed.demands, ask).stages
        ]
        people = frozenset(key for approvers in stages for key in approvers.people)
        members = frozenset(key for approvers in stages for key in approvers.groups)
        named[group.pk] = people, members
    # Groups that share a rule share their reviewers.
    found_by = {each: _people(*each) for each in set(named.values())}
    return {key: found_by[each] for key, each in named.items()}


def _that_may_apply(versions: Sequence[RuleVersion], ask: Ask) -> list[RuleVersion]:
    for fallback in (False, True):
        found = [
            version
            for version in versions
            if version.parsed.fallback == fallback and _may_apply(version.parsed.applies_to, ask)
        ]
        if found:
            return found
    return []


def _may_apply(scope: Scope, ask: Ask) -> bool:
    if scope.groups and ask.group not in scope.groups:
        return False
    return not scope.names_pairs or any(scope.covers(pair) for pair in ask.opened or ())


def _people(people: frozenset[str], groups: frozenset[str]) -> list[Person]:
    if not people and not groups:
        return []
    members = DirectoryMembership.objects.filter(group__object_id__in=groups, group__missing=False)
    able = Person.objects.filter(
        Q(object_id__in=people) | Q(pk__in=members.values("person")), enabled=True, guest=False
    )
    return list(able.order_by("display_name", "pk")[:MOST_BY_DEFAULT])
