"""Ringing for fresh data about those who decide, when a page is opened on which it matters. No page waits for it."""

from __future__ import annotations

from catalog.nudges import want_deciders
from policy.demands import Demands


def want_those_who_decide(*several: Demands) -> bool:
    """Ask a worker to read the people and groups of all stages where that is older than a minute; whether it was asked."""
    approvers = [stage.approvers for demands in several for stage in demands.stages]
    return want_deciders(
        frozenset().union(*(each.groups for each in approvers)),
        frozenset().union(*(each.people for each in approvers)),
    )
