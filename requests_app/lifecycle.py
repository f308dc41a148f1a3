"""The life cycle on one screen: statuses, edges, who may move each, and the event each one writes.

This table is the only source. The Python guard (`actions.moving`), the Postgres triggers
(`guards`), the diagram in docs/lifecycle.md, the property tests and the tracker on the page are
all made from it.

Four small machines: an *item* is what was asked for one PIM group, a *decision* is one
approver's word on it, a *waiver* does without that word, a *grant* is access in the world.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from django.db import models


class ItemStatus(models.TextChoices):
    PENDING = "pending", "Waiting for a decision"
    APPROVED = "approved", "Approved"
    DENIED = "denied", "Denied"
    WITHDRAWN = "withdrawn", "Withdrawn"
    LAPSED = "lapsed", "Lapsed without an answer"
    CLOSED = "closed", "Closed without a decision"
    DRILLED = "drilled", "Drilled; nothing was granted"


class DecisionStatus(models.TextChoices):
    SUBMITTED = "submitted", "Being checked"
    COUNTED = "counted", "Counted"
    REFUSED = "refused", "Not counted"


class WaiverStatus(models.TextChoices):
    SUBMITTED = "submitted", "Being checked"
    GRANTED = "granted", "No approval needed"
    REFUSED = "refused", "Refused"


class GrantStatus(models.TextChoices):
    SCHEDULED = "scheduled", "Approved"
    ACTIVATING = "activating", "Being assigned in Entra"
    PROVISIONING = "provisioning", "On its way to AWS"
    ACTIVE = "active", "Ready"
    REMOVING = "removing", "Being removed from Entra"
    DEPROVISIONING = "deprovisioning", "Being removed from AWS"
    DRAINING = "draining", "Membership removed; sessions possible"
    ENDED = "ended", "Ended"
    NEVER_ARRIVED = "never_arrived", "Never arrived"
    NOT_GRANTED = "not_granted", "Not granted"
    CANCELLED = "cancelled", "Cancelled before its start"


class Process(StrEnum):
    """Who may move an edge: the process (and so the database role) that runs the action."""

    WEB = "web"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Edge:
    """One allowed step; `source` None means creation. `event` is the audit event that records it."""

    source: str | None
    target: str
    event: str
    by: frozenset[Process]


@dataclass(frozen=True, slots=True)
class Machine:
    """A status column with its table of edges."""

    subject: str  # the ledger's subject kind
    table: str
    statuses: type[models.TextChoices]
    edges: tuple[Edge, ...]

    def edge(self, source: str | None, target: str) -> Edge | None:
        """The edge between two statuses, or None when the table has none."""
        return next((e for e in self.edges if e.source == source and e.target == target), None)

    def targets(self, source: str | None) -> frozenset[str]:
        """Where one step can lead."""
        return frozenset(e.target for e in self.edges if e.source == source)


WEB = frozenset({Process.WEB})
WORKER = frozenset({Process.WORKER})
EITHER = WEB | WORKER


def _edges(rows: Iterable[tuple[str | None, str, str, frozenset[Process]]]) -> tuple[Edge, ...]:
    return tuple(Edge(source, target, event, by) for source, target, event, by in rows)


R, D, W, G = ItemStatus, DecisionStatus, WaiverStatus, GrantStatus

ITEM = Machine(
    subject="item",
    table="requests_app_requestitem",
    statuses=ItemStatus,
    edges=_edges(
        [
            (None, R.PENDING, "item.requested", WEB),
            (R.PENDING, R.APPROVED, "item.approved", WORKER),
            (R.PENDING, R.DENIED, "item.denied", WORKER),
            (R.PENDING, R.WITHDRAWN, "item.withdrawn", WEB),
            (R.PENDING, R.LAPSED, "item.lapsed", WORKER),
            (R.PENDING, R.CLOSED, "item.closed", WORKER),
            # A drill of the emergency path: all of it, up to where something would be granted.
            (R.PENDING, R.DRILLED, "item.drilled", WORKER),
        ]
    ),
)

DECISION = Machine(
    subject="decision",
    table="requests_app_decision",
    statuses=DecisionStatus,
    edges=_edges(
        [
            (None, D.SUBMITTED, "decision.submitted", WEB),
            (D.SUBMITTED, D.COUNTED, "decision.counted", WORKER),
            (D.SUBMITTED, D.REFUSED, "decision.refused", WORKER),
        ]
    ),
)

WAIVER = Machine(
    subject="waiver",
    table="requests_app_waiver",
    statuses=WaiverStatus,
    edges=_edges(
        [
            (None, W.SUBMITTED, "waiver.submitted", WEB),
            (W.SUBMITTED, W.GRANTED, "waiver.granted", WORKER),
            (W.SUBMITTED, W.REFUSED, "waiver.refused", WORKER),
        ]
    ),
)

GRANT = Machine(
    subject="grant",
    table="requests_app_grant",
    statuses=GrantStatus,
    edges=_edges(
        [
            (None, G.SCHEDULED, "grant.scheduled", WORKER),
            (G.SCHEDULED, G.ACTIVATING, "grant.activation_started", WORKER),
            (G.SCHEDULED, G.CANCELLED, "grant.cancelled", EITHER),
            (G.SCHEDULED, G.NOT_GRANTED, "grant.not_started", WORKER),
            (G.ACTIVATING, G.PROVISIONING, "grant.assigned", WORKER),
            (G.ACTIVATING, G.NOT_GRANTED, "grant.refused", WORKER),
            (G.ACTIVATING, G.REMOVING, "grant.activation_abandoned", EITHER),
            (G.PROVISIONING, G.ACTIVE, "grant.arrived", WORKER),
            # Extended, but PIM let it end at the earlier end: what is left of the window is assigned anew.
            (G.PROVISIONING, G.ACTIVATING, "grant.continued_on_the_way", WORKER),
            (G.ACTIVE, G.ACTIVATING, "grant.continued", WORKER),
            (G.PROVISIONING, G.REMOVING, "grant.stopped_on_the_way", EITHER),
            (G.ACTIVE, G.REMOVING, "grant.removal_started", EITHER),
            (G.REMOVING, G.DEPROVISIONING, "grant.out_of_entra", WORKER),
            (G.DEPROVISIONING, G.DRAINING, "grant.out_of_aws", WORKER),
            (G.DEPROVISIONING, G.NEVER_ARRIVED, "grant.never_arrived", WORKER),
            (G.DEPROVISIONING, G.REMOVING, "grant.assigned_again", WORKER),
            (G.DRAINING, G.ENDED, "grant.ended", WORKER),
            (G.DRAINING, G.REMOVING, "grant.reappeared", WORKER),
            (G.NEVER_ARRIVED, G.REMOVING, "grant.arrived_late", WORKER),
        ]
    ),
)

MACHINES = (ITEM, DECISION, WAIVER, GRANT)

# Statuses in which the person may hold membership or a running session.
MAY_HOLD_ACCESS = frozenset(
    {G.ACTIVATING, G.PROVISIONING, G.ACTIVE, G.REMOVING, G.DEPROVISIONING, G.DRAINING}
)
# Statuses in which nothing more is owed. None of them may hold access: an outcome that is unknown
# goes to REMOVING, never to a failure, and REMOVING is left only on a read-back.
TERMINAL = frozenset({G.ENDED, G.NEVER_ARRIVED, G.NOT_GRANTED, G.CANCELLED})
# PIM may hold an assignment: one of these at a time per person and group, by constraint. DRAINING is not among
# them: the membership is gone by read-back, so the next grant may begin.
HOLDING = frozenset({G.ACTIVATING, G.PROVISIONING, G.ACTIVE, G.REMOVING, G.DEPROVISIONING})
# Beside it others may wait for their starts.
OPEN = HOLDING | {G.SCHEDULED}


class EndReason(models.TextChoices):
    """Why a grant is on its way out."""

    WINDOW_OVER = "window_over", "the window ended"
    ENDED_EARLY = "ended_early", "ended early by its holder"
    REVOKED = "revoked", "revoked by an approver or an operator"
    LEAVER = "leaver", "its holder may not have it any more"
    INCIDENT = "incident", "ended by an operator in an incident"
    REMOVED_ELSEWHERE = "removed_elsewhere", "the membership was removed in Entra by someone else"
    OUTCOME_UNKNOWN = "outcome_unknown", "the activation's outcome could not be established in time"
    SEEN_AGAIN = "seen_again", "the membership was seen again after its removal"


# Somebody else than the clock or the holder wants it gone: a row of `Revocation` says who and why.
REVOKING = frozenset({EndReason.REVOKED, EndReason.LEAVER, EndReason.INCIDENT})
# A worker or a person can still begin the end of these.
ENDABLE = frozenset({G.SCHEDULED, G.ACTIVATING, G.PROVISIONING, G.ACTIVE})
