"""What is there at the end of a run: rows of the database and assignments in the simulated clouds, as effects."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.db import connection
from django_subatomic.db import transaction

from audit.ledger.models import Event
from requests_app.lifecycle import (
    TERMINAL,
    DecisionStatus,
    EndReason,
    GrantStatus,
    ItemStatus,
    WaiverStatus,
)
from requests_app.models import AccessRequest, Decision, Grant, GrantInterval, RequestItem
from requests_app.waivers.models import Waiver
from simulator.world.clock import WorldClock
from simulator.world.world import World
from stack.business_clock import Anchors
from tests.chaos.history import Effect
from tests.support.invariants import Scene, broken
from tests.support.world_clients import Calls

# Real time, as long as a call may take (`clients.entra.caller`).
ON_ITS_WAY = timedelta(seconds=20)
# Out of Entra and of AWS by read-back; only the longest possible session is waited for.
OVER = TERMINAL | {GrantStatus.DRAINING}


@contextmanager
def one_moment() -> Iterator[None]:
    """All that is read within it is of one moment: workers go on while a run is judged, and what was told is then older than
    the row."""
    with transaction(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def owed() -> dict[str, int]:
    """How many rows of each kind and status are still owed something; empty when all is over."""
    counts: dict[str, int] = {}
    for model, over in (
        (RequestItem, {ItemStatus.APPROVED, ItemStatus.DENIED, ItemStatus.WITHDRAWN, ItemStatus.LAPSED}),
        (Decision, {DecisionStatus.COUNTED, DecisionStatus.REFUSED}),
        (Waiver, {WaiverStatus.GRANTED, WaiverStatus.REFUSED}),
        (Grant, OVER),
    ):
        for status in model.objects.exclude(status__in=over).values_list("status", flat=True):
            name = f"{model.__name__.lower()} {status}"
            counts[name] = counts.get(name, 0) + 1
    return counts


def effects() -> Iterator[Effect]:
    """Each thing that a person's action brings about, once for each time that it is there."""
    for reference in AccessRequest.objects.values_list("reference", flat=True):
        yield Effect("request", reference)
    standing = Decision.objects.exclude(status=DecisionStatus.REFUSED)
    for item_id, approver in standing.values_list("item_id", "approver__object_id"):
        yield Effect("decision", f"{item_id} {approver}")
    for request_id in RequestItem.objects.filter(status=ItemStatus.WITHDRAWN).values_list(
        "request_id", flat=True
    ):
        yield Effect("withdrawal", str(request_id))
    for request_id in Grant.objects.filter(end_reason=EndReason.ENDED_EARLY).values_list(
        "first_request_id", flat=True
    ):
        yield Effect("end", str(request_id))


def first_requests() -> dict[str, str]:
    """For each request that an extension was made of, the one that its grant began with, by which an end is named."""
    rows = GrantInterval.objects.values_list("item__request_id", "grant__first_request_id")
    return {str(request): str(first) for request, first in rows}


def refused_decisions() -> set[str]:
    """Decisions that a worker refused afterwards: acknowledged as stored, and answered with a reason."""
    rows = Decision.objects.filter(status=DecisionStatus.REFUSED)
    return {f"{item} {approver}" for item, approver in rows.values_list("item_id", "approver__object_id")}


def undone_ends() -> set[str]:
    """Ends that were acknowledged and recorded by an event, whatever the row says as the reason in the end."""
    return {
        str(event.request_id)
        for event in Event.objects.filter(actor_kind="person", type__startswith="grant.")
        if event.request_id is not None
    }


def twice() -> list[str]:
    """What there is more than one of, though nobody asked twice: grants of an item, assignments of a grant."""
    found = []
    items = list(GrantInterval.objects.values_list("item_id", flat=True))
    found += [f"item {item} has {items.count(item)} grants" for item in set(items) if items.count(item) > 1]
    return found


def saved_world(folder: Path, anchors: Anchors) -> World:
    """The simulated clouds as they were saved last."""
    clock = WorldClock.scaled(anchors.factor, anchor_real=anchors.real, anchor_world=anchors.business)
    return World.load(folder / "world.json", clock)


def broken_invariants(world: World, anchors: Anchors, applications: Collection[str]) -> list[str]:
    """Of the whole: what `tests.support.invariants` finds. Refusals have causes enough in such a run.

    `applications` are the client ids under which the portal called.
    """
    pairs = {
        (person, group)
        for person, group in Grant.objects.values_list("person__object_id", "group__object_id")
    }
    now = anchors.at(datetime.now(UTC))
    scene = Scene(
        world,
        Calls({}),
        now,
        # The narrow path isn't judged: calls that are held up meet others at the vendor's (ADR 0023).
        since=now,
        excused=pairs,
        settled=True,
        on_its_way=ON_ITS_WAY * anchors.factor,
        applications=applications,
    )
    if not scene.ours:
        return ["PIM holds no assignment that the portal asked for, so nothing was looked at"]
    return broken(scene)


def granted_as_person() -> int:
    """How many grants PIM gave in the name of those who asked."""
    return Grant.objects.filter(as_person=True, assigned_at__isnull=False).count()


def let_through() -> int:
    """How many emergencies went on without an approval."""
    return Waiver.objects.filter(status=WaiverStatus.GRANTED).count()


def statuses() -> dict[str, int]:
    """How the grants and items ended."""
    counts: dict[str, int] = {}
    for model in (RequestItem, Grant):
        for status in model.objects.values_list("status", flat=True):
            name = f"{model.__name__.lower()} {status}"
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))
