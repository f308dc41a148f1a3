"""In whose right somebody may decide: their own, or that of somebody who is away and has named them (ADR 0046)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from identity.absences.models import Absence
from identity.absences.reading import stood_in_for
from identity.humans import same_human
from identity.models import Person
from policy.approvers import may_decide
from policy.demands import Demands

type Right = Absence | None  # None: one's own


def has_right(
    person: Person, demands: Demands, stages: Iterable[int], requester: Person, *, at: datetime
) -> bool:
    """Whether there is any of `rights`. Whoever has one of their own isn't asked for whom they stand in."""
    if same_human(person, requester) or not person.enabled:
        return False
    wanted = list(stages)
    if any(may_decide(person, demands, stage, requester) for stage in wanted):
        return True
    return any(
        may_decide(each.person, demands, stage, requester)
        for each in stood_in_for(person, at)
        for stage in wanted
    )


def rights(
    person: Person, demands: Demands, stages: Iterable[int], requester: Person, *, at: datetime
) -> Sequence[Right]:
    """Every right in which this person may decide on this requester's item at one of these stages, their own first.

    `at` is business time. Never on their own request, nor in the right of its requester. Nobody hands on what they were
    handed: only the absent person's own right counts.
    """
    if same_human(person, requester) or not person.enabled:
        return ()
    wanted = list(stages)
    found: list[Right] = []
    if any(may_decide(person, demands, stage, requester) for stage in wanted):
        found.append(None)
    found += [
        each
        for each in stood_in_for(person, at)
        if any(may_decide(each.person, demands, stage, requester) for stage in wanted)
    ]
    return found
