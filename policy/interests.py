"""What rules need to know of the directory: the people and groups that current rules name."""

from __future__ import annotations

from django.db.models import QuerySet

from catalog.models import PimGroup
from catalog.sync.directory import Interest, register_interest
from policy.asking import manager_described, requester_groups_named
from policy.demands import Approvers
from policy.floor import floor_of
from policy.matching import current_versions
from policy.on_call import on_call_lately, schedules_named
from policy.waiving import Named


def named_by_rules() -> Interest:
    """Everybody whom a current version names, or PIM as an approver. Three queries at most."""
    versions = current_versions()
    stages = [stage for version in versions for stage in version.parsed.demands.stages]
    approvers = [stage.escalated().approvers for stage in stages]
    approvers += [floor_of(group, as_person=False).approvers for group in _approved_in_pim()]
    emergencies = [each for version in versions if (each := version.parsed.demands.emergency)]
    named: list[Approvers | Named] = [*approvers, *(each.everybody for each in emergencies)]
    return Interest(
        groups=requester_groups_named(versions).union(*(each.groups for each in named)),
        people=on_call_lately(versions).union(*(each.people for each in named)),
        managers=manager_described(versions),
        schedules=schedules_named(versions),
    )


def _approved_in_pim() -> QuerySet[PimGroup]:
    """The groups of whose approvers, as PIM names them, one has to agree."""
    return PimGroup.objects.filter(managed=True, present=True, as_person=False, requires_approval=True)


def register_all() -> None:
    """Have the directory sync follow the rules; called once when Django starts."""
    register_interest(named_by_rules)
