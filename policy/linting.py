"""What in well-formed rules is probably not meant: names of nothing, quorums out of reach, rules looser than PIM.

Doubts, not mistakes: the portal may only not have read yet what a rule names, and the stricter side holds anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from base.words import duration_words
from catalog.models import AwsAccount, OrganizationalUnit, PermissionSet, PimGroup
from identity.humans import human_key
from identity.models import DirectoryGroup, DirectoryMembership, Person
from policy.demands import Approvers
from policy.document import RuleDocument
from policy.under_pim import looser_than_pim
from policy.waiving import Emergency, Named

# Ids named in one warning.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something worth a look, about one rule."""

    rule: str
    sentence: str


def doubts(rules: Mapping[str, RuleDocument]) -> list[Doubt]:
    """Everything worth a look. Eleven queries at most, whatever the number of rules."""
    known, looser = _Known.of(rules), looser_than_pim(rules, _named)
    found = [
        Doubt(name, sentence)
        for name, document in sorted(rules.items())
        for sentence in [*known.about(document), *looser[name]]
    ]
    fallbacks = [
        name for name, document in rules.items() if document.fallback and document.applies_to.everything
    ]
    if not fallbacks and not any(document.applies_to.everything for document in rules.values()):
        left = PimGroup.objects.filter(managed=True, present=True).exclude(
            object_id__in=frozenset().union(*(document.applies_to.groups for document in rules.values()))
        )
        names = list(left.order_by("display_name").values_list("display_name", flat=True)[: MOST_NAMED + 1])
        if names and not any(document.applies_to.names_pairs for document in rules.values()):
            found.append(
                Doubt("", f"No rule names {_named(names)}: nobody can ask for what no rule applies to.")
            )
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What the portal has read of what rules name."""

    pim: Mapping[str, PimGroup]
    groups: frozenset[str]
    filled: Mapping[str, frozenset[str]]  # who could decide through a group: humans (`_human`)
    people: Mapping[str, str]  # enabled people: the human behind each object id
    accounts: frozenset[str]
    sets: frozenset[str]
    units: frozenset[str]

    @classmethod
    def of(cls, rules: Mapping[str, RuleDocument]) -> _Known:
        documents = rules.values()
        scopes = [document.applies_to for document in documents]
        stages = [stage.escalated().approvers for document in documents for stage in document.demands.stages]
        emergencies = [each.everybody for document in documents if (each := document.demands.emergency)]
        deciding: list[Approvers | Named] = [*stages, *emergencies]
        groups = frozenset().union(
            *(each.groups for each in deciding), *(each.requester_groups for each in scopes)
        )
        people = frozenset().union(*(each.people for each in deciding))
        filled: dict[str, set[str]] = {}
        rows = DirectoryMembership.objects.filter(group__object_id__in=groups, person__enabled=True)
        for group, oid, employee in rows.values_list(
            "group__object_id", "person__object_id", "person__employee_id"
        ):
            filled.setdefault(group, set()).add(_human(employee, oid))
        return cls(
            pim={
                row.object_id: row
                for row in PimGroup.objects.filter(
                    object_id__in=frozenset().union(*(each.groups for each in scopes))
                )
            },
            groups=frozenset(
                DirectoryGroup.objects.filter(object_id__in=groups, missing=False).values_list(
                    "object_id", flat=True
                )
            ),
            filled={group: frozenset(humans) for group, humans in filled.items()},
            people={
                oid: _human(employee, oid)
                for oid, employee in Person.objects.filter(object_id__in=people, enabled=True).values_list(
                    "object_id", "employee_id"
                )
            },
            accounts=frozenset(AwsAccount.objects.filter(present=True).values_list("account_id", flat=True)),
            sets=frozenset(PermissionSet.objects.filter(present=True).values_list("name", flat=True)),
            units=frozenset(
                OrganizationalUnit.objects.filter(present=True).values_list("unit_id", flat=True)
            ),
        )

    def about(self, document: RuleDocument) -> Iterator[str]:
        """Sentences about one rule."""
        scope = document.applies_to
        for values, known, what in (
            (
                scope.groups,
                {key for key, row in self.pim.items() if row.managed and row.present},
                "managed PIM group",
            ),
            (scope.permission_sets, self.sets, "permission set"),
            (scope.accounts, self.accounts, "AWS account"),
            (scope.units, self.units, "organisational unit"),
            (scope.requester_groups, self.groups, "directory group"),
        ):
            if unknown := sorted(values - known):
                yield f"It applies to no {what} that the portal knows: {_named(unknown)}."
        yield from self._stages(document)
        if document.demands.emergency:
            yield from self._emergency(document.demands.emergency)
        yield from self._too_short(document)

    def _too_short(self, document: RuleDocument) -> Iterator[str]:
        """Times within which nothing can be asked for."""
        demands, least = document.demands, settings.SHORTEST_ACCESS
        for longest, what in (
            (demands.longest_duration, "It allows"),
            (demands.emergency.longest_duration if demands.emergency else None, "In emergencies it allows"),
            (demands.automatic.longest_duration if demands.automatic else None, "Automatically it approves"),
        ):
            if longest is not None and longest < least:
                yield (
                    f"{what} at most {duration_words(longest)}, and access is given for at least {duration_words(least)}: "
                    "nothing can be had by that."
                )

    def _emergency(self, emergency: Emergency) -> Iterator[str]:
        named = emergency.everybody
        if unknown := sorted(named.groups - self.groups):
            yield (
                f"For emergencies, no directory group {_named(unknown)} is known; it may not have been read yet."
            )
        if unknown := sorted(named.people - set(self.people)):
            yield f"For emergencies, nobody enabled is known with the id {_named(unknown)}."
        users = [self._humans(each) for each in emergency.allowed]
        for panel in emergency.panels:
            if panel.reviewers.groups - self.groups:
                continue  # who they are isn't known here
            reviewers = self._humans(panel.reviewers)
            if not reviewers:
                yield "Nobody could review emergency use."
            elif len(reviewers) == 1 and all(reviewers <= each for each in users):
                yield "The only one who reviews emergency use may use it too: nobody reviews their own."

    def _humans(self, named: Named) -> frozenset[str]:
        people = {self.people[each] for each in named.people if each in self.people}
        return frozenset(people).union(*(self.filled.get(group, frozenset()) for group in named.groups))

    def _stages(self, document: RuleDocument) -> Iterator[str]:
        for number, stage in enumerate(document.demands.stages, start=1):
            approvers = stage.approvers
            if unknown := sorted(approvers.groups - self.groups):
                yield (
                    f"At stage {number}, no directory group {_named(unknown)} is known; it may not have been read yet."
                )
            if unknown := sorted(approvers.people - set(self.people)):
                yield f"At stage {number}, nobody enabled is known with the id {_named(unknown)}."
            able = {self.people[each] for each in approvers.people if each in self.people}.union(
                *(self.filled.get(group, frozenset()) for group in approvers.groups)
            )
            if stage.escalation and (unknown := sorted(stage.escalation.approvers.groups - self.groups)):
                yield f"Stage {number} escalates to no directory group that is known: {_named(unknown)}."
            if approvers.described or approvers.groups - self.groups:
                continue  # who they are isn't known here
            if len(able) < stage.quorum:
                yield f"At stage {number}, {stage.quorum} must agree and {len(able)} could."
            elif len(able) == stage.quorum:
                yield (
                    f"At stage {number}, all of the {len(able)} who could decide must agree: none of them can ask for "
                    "this, and nobody may be away."
                )


def _human(employee_id: str, object_id: str) -> str:
    """`identity.humans.human_key` of values alone."""
    return human_key(Person(employee_id=employee_id, object_id=object_id))


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
