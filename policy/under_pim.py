"""Where rules would be looser than PIM's own settings: of every managed group that a rule may judge, whatever finds it.

A rule finds a group by its name, by what it opens, or because it applies to everything. Who asks and when isn't looked at:
there is an ask for which it judges. The stricter side holds anyway (`policy.floor`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from base.words import duration_words
from catalog.models import PimGroup
from policy.asking import read_opened
from policy.demands import Demands
from policy.document import RuleDocument
from policy.floor import floor_of, under
from policy.scope import Opened, Scope

# A way in which a rule is looser: a sentence's words before and after the names of the groups.
type Way = tuple[str, str]


def looser_than_pim(
    rules: Mapping[str, RuleDocument], named: Callable[[Sequence[str]], str]
) -> Mapping[str, Sequence[str]]:
    """Sentences by rule; `named` makes words of group names. Three queries at most."""
    groups = list(PimGroup.objects.filter(managed=True, present=True).order_by("display_name", "pk"))
    found = _Looser(groups, rules)
    return {
        name: [f"{before}{named(names)}{after}" for (before, after), names in found.ways(name).items()]
        for name in rules
    }


@dataclass(frozen=True, slots=True)
class _Judging:
    """Which groups a rule may judge. `covered` are the groups that open something in its scope, by key."""

    scope: Scope
    covered: Collection[int]

    def may(self, group: PimGroup) -> bool:
        if self.scope.groups:
            return group.object_id in self.scope.groups
        return not self.scope.names_pairs or group.pk in self.covered

    def always(self, group: PimGroup) -> bool:
        """Whether it judges every ask for this group, whoever asks and whenever."""
        scope = self.scope
        if scope.requester_groups or scope.requester or scope.during or scope.outside:
            return False
        return self.may(group) and (not scope.names_pairs or group.pk in self.covered)


class _Looser:
    """Every rule against every group; what groups open is read where a rule goes by it."""

    def __init__(self, groups: Sequence[PimGroup], rules: Mapping[str, RuleDocument]) -> None:
        self._groups, self._rules = groups, rules
        by_pairs = any(each.applies_to.names_pairs for each in rules.values())
        opened = read_opened([each.pk for each in groups]) if by_pairs else {}
        self._judging = {
            name: _Judging(each.applies_to, _covered(each.applies_to, opened)) for name, each in rules.items()
        }

    def ways(self, name: str) -> Mapping[Way, list[str]]:
        """In which ways this rule is looser, each with the groups where it is."""
        document, judging = self._rules[name], self._judging[name]
        found: dict[Way, list[str]] = {}
        for group in self._groups:
            if judging.may(group) and not (document.fallback and self._others_judge(group)):
                for way in _looser(document.demands, group):
                    found.setdefault(way, []).append(group.display_name)
        return found

    def _others_judge(self, group: PimGroup) -> bool:
        """Whether no fallback ever judges this group."""
        return any(
            self._judging[name].always(group) for name, each in self._rules.items() if not each.fallback
        )


def _covered(scope: Scope, opened: Mapping[int, Sequence[Opened]]) -> frozenset[int]:
    if not scope.names_pairs:
        return frozenset()
    return frozenset(key for key, pairs in opened.items() if any(scope.covers(pair) for pair in pairs))


def _looser(demands: Demands, group: PimGroup) -> Iterator[Way]:
    maximum = group.activation_maximum
    for longest, what in (
        (demands.longest_duration, "It allows"),
        (demands.emergency.longest_duration if demands.emergency else None, "In emergencies it allows"),
        (demands.automatic.longest_duration if demands.automatic else None, "Automatically it approves"),
    ):
        if longest is not None and maximum is not None and longest > maximum:
            before = f"{what} {duration_words(longest)}, which is longer than PIM allows for "
            yield before, ": there PIM's maximum holds."
    floor = floor_of(group, as_person=group.as_person)
    words = under(demands, floor)
    if floor.approval and (demands.emergency or demands.automatic):
        words.append("PIM demands an approval, which this rule waives")
    if group.ticket_demanded and not demands.reference_required:
        words.append("PIM demands a ticket, and this rule no reference")
    if group.requires_justification and not demands.shortest_justification:
        words.append("PIM demands a justification, and this rule none")
    for each in words:
        yield f"{each} (", "): there the portal demands it, whatever the rule says."
