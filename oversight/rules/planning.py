"""Who gains and who loses by a change of the rules: every eligible person and PIM group under both sets of rules.

At each combination of hours that the rules name: a change that concerns the night is found by day, too. Nothing but
the rules differs between the two, so what else keeps somebody from asking (a disabled account, a stopped
provisioning job) is left out. People are read from snapshots, as pages read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import Q

from catalog.models import Eligibility, PimGroup
from identity.models import Person
from oversight.rules.deciding import Deciders
from oversight.rules.week import Moment
from policy.approvers import somebody_can_decide
from policy.asking import read_asks
from policy.demands import Demands, serialise_demands
from policy.matching import match
from policy.models import Rule, RuleVersion
from policy.preflight import why_nobody
from policy.scope import Ask

# Combinations of hours that are told of one change.
MOST_HOURS = 3


class Turn(StrEnum):
    """What a change of the rules does to somebody's way to a PIM group."""

    GAINS = "gains"  # could not ask, and can
    LOSES = "loses"  # could ask, and can't
    DIFFERS = "differs"  # can ask as before, and is held to something else


@dataclass(frozen=True, slots=True)
class Standing:
    """What one set of rules says about one person and PIM group: what is demanded, or why nothing can be asked."""

    demands: Demands | None
    why_not: str
    asked: str = ""  # at which hours it is so, where it isn't at all

    @property
    def raw(self) -> dict[str, Any]:
        demands = serialise_demands(self.demands) if self.demands else None
        return {"demands": demands, "why_not": self.why_not, **({"asked": self.asked} if self.asked else {})}


@dataclass(frozen=True, slots=True)
class Move:
    """One person and PIM group for whom something changes."""

    person: int
    group: int
    turn: Turn
    before: Standing
    after: Standing


def proposed_versions(documents: Mapping[str, Mapping[str, Any]]) -> list[RuleVersion]:
    """Unstored versions of these documents, so that what judges requests judges by them too.

    Each has a negative key of its own: nothing stored has such a one.
    """
    return [
        RuleVersion(pk=-number, rule=Rule(pk=-number, name=name), number=0, document=dict(raw))
        for number, (name, raw) in enumerate(sorted(documents.items()), start=1)
    ]


def people_to_plan(after: int, most: int) -> list[int]:
    """The next people with an eligibility in a managed group, by key. One query."""
    rows = Eligibility.objects.filter(person__gt=after, group__managed=True, group__present=True)
    return list(rows.order_by("person").values_list("person", flat=True).distinct()[:most])


def moves_of(
    person: Person,
    groups: Sequence[PimGroup],
    before: Sequence[RuleVersion],
    after: Sequence[RuleVersion],
    *,
    at: Sequence[Moment],
    deciders: Deciders,
) -> Iterator[Move]:
    """What changes for one person in these PIM groups, at whichever of these moments, of which the first is now.

    Several of one pair, where it is another thing at other hours; each then says at which. `deciders` is told who may
    decide on what could be asked for.
    """
    asked = [(person, group, moment.at) for group in groups for moment in at]
    asks = iter(read_asks(asked, [*before, *after], roster=at[0].at))
    judge = Judge(person)
    for group in groups:
        found: dict[tuple[Standing, Standing], list[str]] = {}
        for moment in at:
            ask = next(asks)
            pair = judge.standing(ask, before), judge.standing(ask, after)
            found.setdefault(pair, []).append(moment.words)
        for (old, new), hours in found.items():
            deciders.add(group.pk, old.demands, new.demands)
            if (turn := _turn(old, new)) is not None:
                asked_words = "" if len(found) == 1 else ", or ".join(hours[:MOST_HOURS])
                yield Move(person.pk, group.pk, turn, old, replace(new, asked=asked_words))


def groups_of(person: Person, at: datetime) -> list[PimGroup]:
    """The managed PIM groups that somebody is eligible for now. One query."""
    current = Eligibility.objects.filter(
        Q(starts_at=None) | Q(starts_at__lte=at), Q(ends_at=None) | Q(ends_at__gt=at)
    )
    return list(
        PimGroup.objects.filter(
            pk__in=current.filter(person=person).values("group"), managed=True, present=True
        ).order_by("display_name", "pk")
    )


def _turn(old: Standing, new: Standing) -> Turn | None:
    if old.demands is None and new.demands is None:
        return None
    if old.demands is None:
        return Turn.GAINS
    if new.demands is None:
        return Turn.LOSES
    return Turn.DIFFERS if old.demands != new.demands else None


class Judge:
    """Judges one requester by rules, and asks the database once for each set of stages."""

    def __init__(self, requester: Person) -> None:
        self._requester = requester
        self._nobody: dict[Any, str] = {}

    def standing(self, ask: Ask, versions: Sequence[RuleVersion]) -> Standing:
        """What these rules say about what is asked."""
        found = match(ask, versions)
        if found.demands is None:
            return Standing(None, found.reasons[0])
        if nobody := self.nobody(found.demands):
            return Standing(None, f"Nobody could decide. {nobody}")
        return Standing(found.demands, "")

    def nobody(self, demands: Demands) -> str:
        """Why nobody could decide on a request of theirs, "" when somebody can."""
        key = (demands.stages, demands.guests_decide)
        if key not in self._nobody:
            can = somebody_can_decide(demands, self._requester)
            self._nobody[key] = "" if can else why_nobody(demands, self._requester)
        return self._nobody[key]
