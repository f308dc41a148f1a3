"""What rules need to know of the directory: the people and groups that current rules name."""

from __future__ import annotations

from catalog.sync.directory import Interest, register_interest
from policy.asking import requester_groups_named
from policy.matching import current_versions


def named_by_rules() -> Interest:
    """Everybody whom a current version names. One query."""
    versions = current_versions()
    stages = [stage for version in versions for stage in version.parsed.demands.stages]
    approvers = [stage.escalated().approvers for stage in stages]
    return Interest(
        groups=requester_groups_named(versions).union(*(each.groups for each in approvers)),
        people=frozenset().union(*(each.people for each in approvers)),
    )


def register_all() -> None:
    """Have the directory sync follow the rules; called once when Django starts."""
    register_interest(named_by_rules)
