"""The narrow path of the enterprise application: who may go now, who waits, and when their turn comes.

Entra lets five through in ten seconds (Microsoft, "PIM for Groups", and "Provision on demand"); the sixth is
refused, or waits for the forty-minute cycle. People who activate in Entra itself use the same path, so the
portal takes four. Everything here reads; `actions.pathing` takes and gives (ADR 0023).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet

from base.clock import business_clock, real_now
from base.readymade import Readymade
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant
from requests_app.path_models import NarrowPath, PathKind, PathTicket, PathUse

# A call leaves this soon after its place was taken, or not at all; and what left is at the vendor's this soon,
# workers' clocks differing included (real time: it is about machines).
LEAVES_WITHIN = timedelta(seconds=1)
TRAVELS_WITHIN = timedelta(milliseconds=500)
# Who was rung for and hasn't come for this long (real time) is passed over until it asks again.
PATIENCE = timedelta(seconds=10)
# The code of a call that was not made, because its place was not used in time.
NOT_SENT = "portal.not_sent"
# No more of the queue is looked at; a queue of this length is an hour and a half.
MOST_TICKETS = 2000
# No path has more places than this.
MOST_PLACES = 100

# A ticket is void once its grant has moved on.
WAITS_IN: dict[str, frozenset[str]] = {
    PathKind.ASSIGN: frozenset({GrantStatus.ACTIVATING}),
    PathKind.CARRY: frozenset({GrantStatus.PROVISIONING}),
    PathKind.REMOVE: frozenset({GrantStatus.REMOVING, GrantStatus.DEPROVISIONING}),
}
ORDER = ("rank", F("front_at").desc(nulls_last=True), "starts_at", "pk")


def application() -> str:
    """The enterprise application whose path it is."""
    return settings.ENTRA_AWS_SERVICE_PRINCIPAL_ID or "default"


def window() -> timedelta:
    """How long a place stays taken, in real time: the vendor's span as it passes here, and the way there."""
    return business_clock().real_duration(settings.NARROW_PATH_SPAN) + LEAVES_WITHIN + TRAVELS_WITHIN


def valid_tickets(whose: str = "") -> QuerySet[PathTicket]:
    """Tickets whose grants still wait for what they are for, of this application or by default of the own one."""
    still = Q()
    for kind, statuses in WAITS_IN.items():
        still |= Q(kind=kind, grant__status__in=statuses)
    return PathTicket.objects.filter(still, application=whose or application())


@dataclass(frozen=True, slots=True)
class Turns:
    """When places become free (real time)."""

    now: datetime
    frees: Sequence[datetime]  # of the places that are taken, those that become free last
    held_until: datetime | None

    @property
    def free(self) -> int:
        """How many may go at this moment."""
        if self.held_until is not None and self.held_until > self.now:
            return 0
        return max(0, int(settings.NARROW_PATH_PLACES) - len(self.frees))

    def turns(self, count: int) -> list[datetime]:
        """When each of the next `count` gets its place at the earliest; those that may go now: now."""
        earliest = max(self.now, self.held_until or self.now)
        slots = [max(earliest, at) for at in self.frees][: settings.NARROW_PATH_PLACES]
        slots += [earliest] * (settings.NARROW_PATH_PLACES - len(slots))
        heapq.heapify(slots)
        span, found = window(), []
        for _ in range(count):
            turn = heapq.heappop(slots)
            heapq.heappush(slots, turn + span)
            found.append(turn)
        return found


def read_turns(path: NarrowPath | None) -> Turns:
    """The places as they are now. One query."""
    now = real_now()
    frees = _TAKEN.rows(application(), now)[: settings.NARROW_PATH_PLACES]
    return Turns(now=now, frees=frees, held_until=path.held_until if path else None)


_TAKEN = Readymade(
    lambda whose, now: (
        PathUse.objects.filter(application=whose, frees_at__gt=now)
        .order_by("-frees_at")
        .values_list("frees_at", flat=True)[:MOST_PLACES]
    ),
    str,
    datetime,
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody's place in the queue, counted from one, and when their turn is expected (business time)."""

    ticket: PathTicket
    place: int
    of: int
    expected_at: datetime


@dataclass(frozen=True, slots=True)
class Queue:
    """Who waits, in order, and what was used lately."""

    waiting: Sequence[Waiting]
    used: Sequence[PathUse]
    held_until: datetime | None  # business time; the vendor asked to wait


def read_queue(*, uses: int = 20) -> Queue:
    """The whole queue. Three bounded queries."""
    path = NarrowPath.objects.filter(pk=application()).first()
    turns = read_turns(path)
    tickets = list(
        valid_tickets()
        .select_related("grant__person", "grant__group", "grant__first_request")
        .order_by(*ORDER)[:MOST_TICKETS]
    )
    clock = business_clock()
    expected = turns.turns(len(tickets))
    used = PathUse.objects.filter(application=application()).select_related("grant__person", "grant__group")
    held = turns.held_until if turns.held_until and turns.held_until > turns.now else None
    return Queue(
        waiting=[
            Waiting(ticket, place, len(tickets), clock.at(at))
            for place, (ticket, at) in enumerate(zip(tickets, expected, strict=True), start=1)
        ],
        used=list(used.order_by("-frees_at")[:uses]),
        held_until=clock.at(held) if held else None,
    )


def waiting_of(grant: Grant) -> Waiting | None:
    """The grant's own place, or None when it waits for none. At most four small queries."""
    kinds = [kind for kind, statuses in WAITS_IN.items() if grant.status in statuses]
    own = PathTicket.objects.filter(grant=grant, kind__in=kinds).first() if kinds else None
    if own is None:
        return None
    turns = read_turns(NarrowPath.objects.filter(pk=application()).first())
    order = list(valid_tickets().order_by(*ORDER).values_list("pk", flat=True)[:MOST_TICKETS])
    if own.pk not in order:
        return None
    place = order.index(own.pk) + 1
    return Waiting(own, place, len(order), business_clock().at(turns.turns(place)[-1]))
