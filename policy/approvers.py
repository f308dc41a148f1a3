"""Who may decide, from snapshots of people and directory groups. A worker asks the directory itself before it counts."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from identity.models import DirectoryMembership, Person
from policy.document import Approvers, RuleDocument

# A stage with more deciders than this shows the first ones and says that there are more.
MOST_DECIDERS = 50


def may_decide(person: Person, document: RuleDocument, stage: int, requester: Person) -> bool:
    """Whether this person may decide on this requester's item at this stage. Never the requester, by any account."""
    if stage >= len(document.stages) or not _may_ever_decide(person, requester):
        return False
    approvers = document.stages[stage].approvers
    if person.object_id in approvers.people:
        return True
    return bool(approvers.groups) and _groups_of(person, approvers.groups)


def deciders(document: RuleDocument, stage: int, requester: Person) -> list[Person]:
    """Who could decide now, by name, at most MOST_DECIDERS of them; one query."""
    if stage >= len(document.stages):
        return []
    return list(
        _candidates(document.stages[stage].approvers, requester).order_by("display_name")[:MOST_DECIDERS]
    )


def somebody_can_decide(document: RuleDocument, requester: Person) -> bool:
    """Whether every stage can reach its quorum without the requester; one query a stage."""
    return all(
        _candidates(stage.approvers, requester)[: stage.quorum].count() >= stage.quorum
        for stage in document.stages
    )


def _candidates(approvers: Approvers, requester: Person) -> QuerySet[Person]:
    members = DirectoryMembership.objects.filter(group__object_id__in=approvers.groups).values("person")
    found = Person.objects.filter(
        Q(object_id__in=approvers.people) | Q(pk__in=members), enabled=True, guest=False
    )
    found = found.exclude(pk=requester.pk)
    if requester.employee_id:
        found = found.exclude(employee_id=requester.employee_id)
    return found


def _may_ever_decide(person: Person, requester: Person) -> bool:
    same = person.pk == requester.pk or (
        person.employee_id != "" and person.employee_id == requester.employee_id
    )
    return person.enabled and not person.guest and not same


def _groups_of(person: Person, groups: Iterable[str]) -> bool:
    return DirectoryMembership.objects.filter(person=person, group__object_id__in=list(groups)).exists()
