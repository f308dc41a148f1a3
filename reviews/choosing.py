"""Who reviews a PIM group unless an operator says otherwise: whoever decides on requests for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q

from catalog.models import PimGroup
from identity.models import DirectoryMembership, Person
from policy.asking import read_asks
from policy.matching import current_versions
from policy.models import RuleVersion
from policy.scope import Ask, Scope
from policy.sources import resolve

# Of a large approver group the first by name; an operator may add others.
MOST_BY_DEFAULT = 20


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
