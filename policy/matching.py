"""Which rule judges a request for a PIM group. Pure: give it the current versions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policy.models import Rule, RuleVersion


@dataclass(frozen=True, slots=True)
class Match:
    """The version that applies, or a sentence that says why none does; and the reason in words."""

    version: RuleVersion | None
    words: str


def match(group_object_id: str, versions: Iterable[RuleVersion]) -> Match:
    """A rule that names the group goes before one for all groups. Two of the same rank: nobody guesses."""
    naming: list[RuleVersion] = []
    general: list[RuleVersion] = []
    for version in versions:
        groups = version.parsed.groups
        if group_object_id in groups:
            naming.append(version)
        elif not groups:
            general.append(version)
    for rank, words in (
        (naming, "names this PIM group"),
        (general, "applies to every PIM group without its own rule"),
    ):
        if len(rank) == 1:
            return Match(rank[0], f"The rule “{rank[0].rule.name}” {words}.")
        if len(rank) > 1:
            names = " and ".join(sorted(f"“{version.rule.name}”" for version in rank))
            return Match(
                None, f"The rules {names} both claim this PIM group. An operator has to retire one of them."
            )
    return Match(
        None, "No rule says who decides on this PIM group. Ask an operator of the portal to add one."
    )


def current_versions() -> list[RuleVersion]:
    """The current versions of all rules in force; one query."""
    return list(
        RuleVersion.objects.filter(pk__in=Rule.objects.filter(retired=False).values("current"))
        .select_related("rule")
        .order_by("rule__name")
    )
