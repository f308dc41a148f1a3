"""What proposals need to know of the directory: whom they name is read before anybody has to decide on them."""

from __future__ import annotations

from base.errors import Invalid
from catalog.sync.directory import Interest, register_interest
from oversight.rules.models import OPEN, RuleChange
from oversight.rules.reading import read
from policy.demands import Approvers
from policy.document import RuleDocument
from policy.waiving import Named


def named_by_proposals() -> Interest:
    """Everybody whom an open proposal names. One query."""
    changes = RuleChange.objects.filter(status__in=OPEN).values_list("rules", flat=True)
    documents = [document for rules in changes for document in _readable(rules)]
    stages = [stage.escalated().approvers for document in documents for stage in document.demands.stages]
    emergencies = [each for document in documents if (each := document.demands.emergency)]
    named: list[Approvers | Named] = [*stages, *(each.everybody for each in emergencies)]
    return Interest(
        groups=frozenset().union(
            *(each.groups for each in named), *(each.applies_to.requester_groups for each in documents)
        ),
        people=frozenset().union(*(each.people for each in named)),
        managers=any(each.manager for each in stages),
        schedules=frozenset(each.on_call for each in stages if each.on_call),
    )


def _readable(rules: object) -> list[RuleDocument]:
    """The documents of a proposal; none of one that this release can't read, which a worker closes with that reason."""
    try:
        return list(read(rules).values())
    except Invalid:
        return []


def register_all() -> None:
    """Have the directory sync follow proposals; called once when Django starts."""
    register_interest(named_by_proposals)
