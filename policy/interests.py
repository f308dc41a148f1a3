"""What rules need to know of the directory: the people and groups that current rules name as approvers."""

from __future__ import annotations

from catalog.sync.directory import Interest, register_interest
from policy.matching import current_versions


def named_by_rules() -> Interest:
    """Everybody whom a current version names. One query."""
    stages = [stage for version in current_versions() for stage in version.parsed.stages]
    return Interest(
        groups=frozenset().union(*(stage.approvers.groups for stage in stages)),
        people=frozenset().union(*(stage.approvers.people for stage in stages)),
    )


def register_all() -> None:
    """Have the directory sync follow the rules; called once when Django starts."""
    register_interest(named_by_rules)
