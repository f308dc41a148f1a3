"""Who can be the second operator of a proposed change of the rules, and which proposals wait for one."""

from __future__ import annotations

from collections.abc import Sequence

from identity.humans import accounts_of, human_key, is_human
from identity.models import AppRole, Person
from oversight.rules.models import RuleChange

# Operators are few; where everybody is one, so many are told.
MOST_TOLD = 50
# Of the proposals that a page lists.
MOST_WAITING = 20


def seconds(change: RuleChange) -> Sequence[Person]:
    """Operators by the role of their last sign-in, each human once, without who proposed it. One query."""
    rows = Person.objects.filter(
        enabled=True, user__is_active=True, user__app_roles__contains=AppRole.OPERATOR.value
    )
    if change.proposed_by is not None:
        rows = rows.exclude(accounts_of(change.proposed_by))
    found = list(rows.order_by("display_name", "pk")[:MOST_TOLD])
    humans = {human_key(each): each for each in reversed(found)}
    return list(reversed(humans.values()))


def waiting_for(operator: Person) -> Sequence[RuleChange]:
    """Proposals on which this operator can be the second one, the oldest first. One query."""
    rows = RuleChange.objects.filter(status=RuleChange.Status.PROPOSED).exclude(
        is_human(operator, "proposed_by")
    )
    return list(rows.select_related("proposed_by").order_by("proposed_at", "pk")[:MOST_WAITING])
