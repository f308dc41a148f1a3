"""Who gains and who loses the right to decide by a change of the rules, by PIM group.

Gathered while the eligible people are gone through (`planning.moves_of`): whoever may decide on any of their requests,
at once or once it escalates, by name, as a member of a directory group, or as somebody whom a rule describes. Who the
requester is keeps nobody out here, and no absence does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from identity.humans import MARK
from identity.models import DirectoryMembership, Person
from policy.demands import Demands

# What is kept of what was found; counts go on.
MOST_ROWS = 100
MOST_PEOPLE = 8
MOST_GROUPS = 8
_GUESTS = "+guests"  # after an id: guests among them may, too

type Raw = dict[str, list[list[str]]]  # by a PIM group's key: ids of those who may before, and after


class Deciders:
    """Ids of people and directory groups that may decide, of each PIM group, under both sets of rules."""

    def __init__(self, raw: Raw) -> None:
        self._found: dict[int, tuple[set[str], set[str]]] = {
            int(group): (set(before), set(after)) for group, (before, after) in raw.items()
        }

    def add(self, group: int, before: Demands | None, after: Demands | None) -> None:
        """One of the things that a request for this PIM group may be held to, under either."""
        old, new = self._found.setdefault(group, (set(), set()))
        old.update(_ids(before))
        new.update(_ids(after))

    @property
    def raw(self) -> Raw:
        """As it is kept between two slices."""
        return {str(group): [sorted(old), sorted(new)] for group, (old, new) in self._found.items()}


def _ids(demands: Demands | None) -> Iterator[str]:
    for stage in demands.stages if demands else ():
        approvers = stage.escalated().approvers
        for each in (*approvers.people, *approvers.groups):
            yield f"{each}{_GUESTS}" if demands and demands.guests_decide else each


def decided_by(raw: Raw) -> dict[str, Any]:
    """How many people gain and lose the right to decide on anything, and on what. Two queries."""
    differing = {int(group): pair for group, pair in raw.items() if pair[0] != pair[1]}
    named = {each for pair in differing.values() for ids in pair for each in ids}
    able = _able(named) if named else {}
    gathered: defaultdict[tuple[str, frozenset[int]], list[int]] = defaultdict(list)
    for group, (before, after) in sorted(differing.items()):
        old, new = _all_of(before, able), _all_of(after, able)
        for turn, people in (("gains", new - old), ("loses", old - new)):
            if people:
                gathered[turn, people].append(group)
    # Those who gain come first, and of each the most.
    order = sorted(gathered, key=lambda key: (key[0], -len(key[1]) * len(gathered[key]), sorted(key[1])))
    rows = [
        [turn, sorted(people)[:MOST_PEOPLE], len(people), groups[:MOST_GROUPS], len(groups)]
        for turn, people in order
        for groups in (gathered[turn, people],)
    ]
    counts = {
        turn: len(frozenset[int]().union(*(people for each, people in gathered if each == turn)))
        for turn in ("gains", "loses")
    }
    return {**counts, "rows": rows[:MOST_ROWS], "more": max(0, len(rows) - MOST_ROWS)}


def _all_of(ids: Sequence[str], able: Mapping[str, frozenset[int]]) -> frozenset[int]:
    return frozenset[int]().union(*(able.get(each, frozenset()) for each in ids))


def _able(named: set[str]) -> dict[str, frozenset[int]]:
    """Enabled people by the id through which they may decide, guests only where they may."""
    ids = {each.removesuffix(_GUESTS) for each in named}
    people = Person.objects.filter(object_id__in=ids, enabled=True)
    members = DirectoryMembership.objects.filter(group__object_id__in=ids, person__enabled=True)
    plain, guests = defaultdict[str, set[int]](set), defaultdict[str, set[int]](set)
    for key, person, guest, mark in (
        *people.values_list("object_id", "pk", "guest", MARK),
        *members.values_list("group__object_id", "person", "person__guest", f"person__{MARK}"),
    ):
        if not guest:
            plain[key].add(person)
        elif mark:  # as `policy.approvers.barred_as_guest`
            guests[key].add(person)
    return {
        each: frozenset(plain[key] | guests[key] if each.endswith(_GUESTS) else plain[key])
        for each in named
        for key in (each.removesuffix(_GUESTS),)
    }
