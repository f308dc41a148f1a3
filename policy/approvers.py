"""Who may decide, from snapshots of people and directory groups. A worker asks the directory itself before it counts.

One human decides once on an item, whatever accounts they have (ADR 0021).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.models import Q, QuerySet

from base.clock import business_now
from identity.absences.reading import away_at, delegates_at
from identity.humans import MARK, accounts_of, human_expression, same_human
from identity.models import DirectoryMembership, Person
from policy.demands import Approvers, Demands


def may_decide(person: Person, demands: Demands, stage: int, requester: Person) -> bool:
    """Whether this person may decide in their own right on this requester's item at this stage.

    Never the requester, by any account. In whose right else somebody may is `policy.delegation`.
    """
    if stage >= len(demands.stages) or not person.enabled or same_human(person, requester):
        return False
    if barred_as_guest(person, guests=demands.guests_decide):
        return False
    approvers = demands.stages[stage].approvers
    if person.object_id in approvers.people:
        return True
    return bool(approvers.groups) and _groups_of(person, approvers.groups)


def barred_as_guest(person: Person, *, guests: bool) -> bool:
    """Whether being a guest of the directory keeps this person from deciding, where the rules let guests or not.

    A guest's account that doesn't say whose it is could be anybody's, the requester's too: it decides in no case.
    """
    return person.guest and not (guests and person.mark)


def somebody_can_decide(demands: Demands, requester: Person) -> bool:
    """Whether every stage can reach its quorum with humans who decide nowhere else on the item, nor ask for it.

    One query a stage, and another where too few are there. No stage needs to know more candidates than the rule needs
    humans in all: whoever has that many is left with enough, whatever the others take.
    """
    needed = sum(stage.quorum for stage in demands.stages)
    seats: list[Sequence[str]] = []
    for stage in demands.stages:
        humans = _candidates(stage.approvers, requester, guests=demands.guests_decide, enough=needed)
        if len(humans) < stage.quorum:
            return False
        seats += [humans] * stage.quorum
    return all_seated(seats)


def _candidates(approvers: Approvers, requester: Person, *, guests: bool, enough: int) -> Sequence[str]:
    """Humans whom the stage counts on (`deciders`), `enough` at most. Who stands in is looked for where it matters."""
    there = able(approvers, requester, guests=guests).exclude(away_at(business_now()))
    found = _humans(there, at_most=enough)
    if len(found) >= enough:
        return found
    return _humans(deciders(approvers, requester, guests=guests), at_most=enough)


def deciders(approvers: Approvers, requester: Person, *, guests: bool) -> QuerySet[Person]:
    """Whom a request of this requester counts on at a stage of these approvers, by snapshots; never the requester.

    Those who may, without those who are away, and those who stand in for them. Who is away may decide all the same.
    """
    now = business_now()
    may = able(approvers, requester, guests=guests)
    present = may.exclude(away_at(now))
    instead = Person.objects.filter(delegates_at(now, may)).exclude(accounts_of(requester))
    return Person.objects.filter(Q(pk__in=present.values("pk")) | Q(pk__in=instead.values("pk")))


def able(approvers: Approvers, requester: Person, *, guests: bool) -> QuerySet[Person]:
    """Whoever may decide in their own right on this requester's item at a stage of these approvers, away or not."""
    members = DirectoryMembership.objects.filter(group__object_id__in=approvers.groups).values("person")
    found: QuerySet[Person] = Person.objects.filter(
        Q(object_id__in=approvers.people) | Q(pk__in=members), enabled=True
    ).exclude(accounts_of(requester))
    return found.exclude(guest=True, **{MARK: ""}) if guests else found.filter(guest=False)


def _humans(found: QuerySet[Person], *, at_most: int) -> list[str]:
    """Those who could decide, each human once."""
    keyed = found.annotate(key=human_expression())
    return list(keyed.values_list("key", flat=True).distinct()[:at_most])


def all_seated(seats: Sequence[Sequence[str]]) -> bool:
    """Whether every seat gets a human of its own out of those who may sit there (a bipartite matching)."""
    seated: dict[str, int] = {}

    def seat(number: int, asked: set[str]) -> bool:
        for human in seats[number]:
            if human in asked:
                continue
            asked.add(human)
            if human not in seated or seat(seated[human], asked):
                seated[human] = number
                return True
        return False

    return all(seat(number, set()) for number in range(len(seats)))


def _groups_of(person: Person, groups: Iterable[str]) -> bool:
    return DirectoryMembership.objects.filter(person=person, group__object_id__in=list(groups)).exists()
