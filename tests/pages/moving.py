"""Moving rows along the life cycle's own edges, with events that say no more than they must."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor
from audit.ledger.registry import Kind, event_type
from base.clock import business_now
from identity.models import Person
from requests_app.actions.moving import machine_of, move
from requests_app.lifecycle import DecisionStatus, GrantStatus, ItemStatus
from requests_app.models import Decision, Grant, RequestItem
from tests.requests_app import factories as make


def step(row: RequestItem | Decision | Grant, target: str, **changes: Any) -> None:
    """One step of a row, as a worker does it."""
    edge = machine_of(row).edge(row.status, target)
    assert edge is not None, (row.status, target)
    with transaction():
        move(row, target, actor=Actor.worker(), fields=_filled(edge.event), **changes)


def decide(item: RequestItem, approver: Person, verdict: str, as_role: Any, comment: str = "") -> Decision:
    """A counted decision and what follows from it for the item."""
    with as_role("portal_web"):
        decision = Decision.objects.get(pk=make.submitted_decision(item, approver, verdict))
    step(decision, DecisionStatus.COUNTED, settled_at=business_now())
    outcome = ItemStatus.APPROVED if verdict == "approve" else ItemStatus.DENIED
    step(item, outcome, decided_at=business_now())
    return decision


# The way of a grant, with what each step brings to light.
WAY: tuple[tuple[GrantStatus, tuple[str, ...]], ...] = (
    (GrantStatus.ACTIVATING, ()),
    (GrantStatus.PROVISIONING, ("assigned_at",)),
    (GrantStatus.ACTIVE, ("arrived_at",)),
    (GrantStatus.REMOVING, ("removal_started_at",)),
    (GrantStatus.DEPROVISIONING, ("out_of_entra_at",)),
    (GrantStatus.DRAINING, ("out_of_aws_at",)),
    (GrantStatus.ENDED, ("ended_at",)),
)


def bring(grant: Grant, status: GrantStatus) -> Grant:
    """Take a grant along its way from where it is to `status`."""
    if grant.status == status:
        return grant
    passed = [target for target, _ in WAY]
    begin = passed.index(GrantStatus(grant.status)) + 1 if grant.status in passed else 0
    for target, instants in WAY[begin:]:
        changes: dict[str, Any] = dict.fromkeys(instants, business_now())
        if target == GrantStatus.REMOVING:
            changes["end_reason"] = "ended_early"
        if target == GrantStatus.DRAINING:
            changes["last_possible_use_at"] = business_now() + timedelta(hours=2)
        step(grant, target, **changes)
        if target == status:
            break
    return grant


def _filled(event: str) -> Mapping[str, Any]:
    values: dict[Kind, Any] = {
        Kind.TEXT: "",
        Kind.INSTANT: business_now(),
        Kind.DURATION: timedelta(hours=1),
        Kind.NUMBER: 1,
        Kind.ID: uuid.uuid4(),
    }
    fields = event_type(event).fields
    return {name: values[field.kind] for name, field in fields.items() if name not in ("source", "target")}
