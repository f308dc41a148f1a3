"""The PIM policy of one group, and the event when its demands change."""

from __future__ import annotations

from typing import Any

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import business_now
from catalog.models import PimGroup
from clients.types import PimPolicy

_COLUMNS = (
    "activation_maximum",
    "requires_justification",
    "requires_mfa",
    "requires_ticket",
    "requires_approval",
    "authentication_context",
    "assignment_maximum",
    "approver_people",
    "approver_groups",
)


def write_policy(group: PimGroup, policy: PimPolicy) -> bool:
    """Write what PIM demands for members of this group; whether that differs from what was known."""
    after: dict[str, Any] = {name: getattr(policy, name) for name in _COLUMNS}
    after["authentication_context"] = policy.authentication_context[:8]
    after |= {name: list(after[name]) for name in ("approver_people", "approver_groups")}
    before = {name: getattr(group, name) for name in _COLUMNS}
    known = group.policy_read_at is not None
    changed = [name for name in _COLUMNS if before[name] != after[name]]
    now = business_now()
    with transaction():
        PimGroup.objects.filter(pk=group.pk).update(**after, policy_read_at=now, policy_problem="")
        if known and changed:
            record(
                "catalog.policy_changed",
                actor=Actor.worker(),
                group_oid=group.object_id,
                fields={
                    "group_name": group.display_name,
                    "before": {name: before[name] for name in changed},
                    "after": {name: after[name] for name in changed},
                },
            )
    for name, value in {**after, "policy_read_at": now, "policy_problem": ""}.items():
        setattr(group, name, value)
    return not known or bool(changed)


def write_policy_problem(group: PimGroup, sentence: str) -> None:
    """Note why the policy could not be read; what was read last stays, and ages."""
    PimGroup.objects.filter(pk=group.pk).update(policy_problem=sentence)
    group.policy_problem = sentence
