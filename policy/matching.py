"""Which rules judge a request, and what they demand together, explained rule by rule. Pure: give it the versions.

Every rule that applies is combined (`policy.demands.combine`). Each pair of account and permission set that the PIM
group opens needs a rule that covers it: what one rule says of one account doesn't open another one. Fallbacks judge
only where no other rule applies. Under all of it lies what PIM itself demands (`policy.floor`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from base.readymade import Readymade
from policy.demands import Demands, combine
from policy.floor import NO_FLOOR, raised
from policy.models import Rule, RuleVersion
from policy.scope import Ask, Opened
from policy.sources import resolve

ASK_AN_OPERATOR = "Ask an operator of the portal to add one."
# Uncovered pairs named one by one.
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Match:
    """The versions that apply with what they demand together, or none and why; `reasons` rule by rule, in words."""

    versions: tuple[RuleVersion, ...]
    demands: Demands | None
    reasons: tuple[str, ...]

    @property
    def words(self) -> str:
        return " ".join(self.reasons)

    @property
    def rules(self) -> frozenset[int]:
        return frozenset(version.rule_id for version in self.versions)


def match(ask: Ask, versions: Iterable[RuleVersion]) -> Match:
    """Every rule that applies, combined; the fallbacks where none does."""
    known = list(versions)
    for rank in (
        [version for version in known if not version.parsed.fallback],
        [version for version in known if version.parsed.fallback],
    ):
        applying = [version for version in rank if _applies(version, ask)]
        if applying:
            return _combined(ask, applying)
    return Match((), None, (f"No rule says who decides on this PIM group. {ASK_AN_OPERATOR}",))


def _applies(version: RuleVersion, ask: Ask) -> bool:
    scope = version.parsed.applies_to
    if not scope.fits(ask):
        return False
    return not scope.names_pairs or any(scope.covers(pair) for pair in ask.opened or ())


def _combined(ask: Ask, applying: Sequence[RuleVersion]) -> Match:
    scopes = [version.parsed.applies_to for version in applying]
    bare = [pair for pair in ask.opened or () if not any(scope.covers(pair) for scope in scopes)]
    if bare:
        return Match((), None, (_bare_words(bare), *(_reason(version, ask) for version in applying)))
    return Match(
        tuple(applying),
        raised(
            combine([resolve(version.parsed.demands.at(ask.asked_at), ask) for version in applying]),
            ask.floor or NO_FLOOR,
        ),
        tuple(_reason(version, ask) for version in applying),
    )


def _bare_words(bare: Sequence[Opened]) -> str:
    named = sorted(f"{pair.permission_set} on {pair.account_id}" for pair in bare)
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return f"This PIM group opens what no rule speaks of: {', '.join(named[:MOST_NAMED])}{more}. {ASK_AN_OPERATOR}"


def _reason(version: RuleVersion, ask: Ask) -> str:
    """Why this rule applies, in a sentence."""
    document = version.parsed
    scope = document.applies_to
    parts = ["names this PIM group"] if scope.groups else []
    if scope.names_pairs:
        pairs = [pair for pair in ask.opened or () if scope.covers(pair)]
        accounts = len({pair.account_id for pair in pairs})
        sets = len({pair.permission_set for pair in pairs})
        parts.append(
            f"speaks of {sets} permission {'set' if sets == 1 else 'sets'} on "
            f"{accounts} {'account' if accounts == 1 else 'accounts'} that this PIM group opens"
        )
    if scope.requester_groups or scope.requester:
        parts.append("is for people like the requester")
    if scope.during or scope.outside:
        parts.append("is for this time of the week")
    if not parts:
        parts = [
            "applies to whatever has no other rule" if document.fallback else "applies to every PIM group"
        ]
    return f"The rule “{version.rule.name}” {' and '.join(parts)}."


def current_versions() -> list[RuleVersion]:
    """The current versions of all rules in force; one query."""
    return _CURRENT.rows()


_CURRENT = Readymade(
    lambda: (
        RuleVersion.objects.filter(pk__in=Rule.objects.filter(retired=False).values("current"))
        .select_related("rule")
        .order_by("rule__name")
    )
)
