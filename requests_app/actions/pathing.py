"""Taking a place on the narrow path, waiting for one, and calling up whose turn it is.

A place is taken under the lock of the path's row, in a transaction of its own that is over before the call
leaves. Whoever dies between the two has wasted one place, and nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django_subatomic.db import run_after_commit, transaction

from audit.ledger.recorder import Actor
from base.clock import business_now, real_now
from base.crash import crash_point, register
from base.errors import Conflict, Missing
from base.readymade import Readymade
from clients import errors
from clients.breaker import CircuitOpen
from requests_app import nudges
from requests_app.actions.recording import record_of
from requests_app.models import Grant
from requests_app.narrow_path import (
    LEAVES_WITHIN,
    MOST_PLACES,
    MOST_TICKETS,
    NOT_SENT,
    ORDER,
    PATIENCE,
    TRAVELS_WITHIN,
    application,
    read_turns,
    valid_tickets,
    window,
)
from requests_app.path_models import NarrowPath, PathKind, PathTicket, PathUse

register("pathing.taken")

KEEP_USES = timedelta(hours=1)
MOST_DROPPED = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """Leave to make one call, which has to leave before `leaves_by` (real time). None: it draws on no narrow path."""

    leaves_by: datetime | None
    use_id: int = 0  # of the row; 0 when there is none
    spent: bool = False  # an earlier call has left on it, so that it stays taken whether or not this one does

    def is_over(self) -> bool:
        """Whether it is too late for the call to leave."""
        return self.leaves_by is not None and real_now() >= self.leaves_by


@dataclass(frozen=True, slots=True)
class Wait:
    """No place yet; `span` (real time) is how long it probably takes."""

    span: timedelta


WAITS = "Entra takes few at a time, so this waits for its turn."


def take_place(grant: Grant, kind: PathKind) -> Place | Wait:
    """A place for one call, or a place in the queue. To be called outside any transaction, right before the call."""
    if kind == PathKind.ASSIGN and not settings.NARROW_PATH_SHARED_WITH_PIM:
        return Place(None)
    with transaction():
        turns = read_turns(_lock())
        own = _OWN.first(grant.pk, kind)
        ahead = _ahead_of(grant, kind, own, turns.now)
        if ahead >= turns.free:
            _queue(grant, kind, own)
            return Wait(max(turns.turns(ahead + 1)[-1] - turns.now, timedelta(milliseconds=100)))
        leaves_by = turns.now + LEAVES_WITHIN
        use = PathUse.objects.create(
            application=application(),
            kind=kind,
            grant=grant,
            used_at=business_now(),
            leaves_by=leaves_by,
            frees_at=turns.now + window(),
        )
        if own is not None:
            own.delete()
    crash_point("pathing.taken")
    return Place(leaves_by, use.pk)


def take_place_again(grant: Grant, kind: PathKind) -> Place | Wait:
    """As `take_place`, for a call that completes one that has left: the place of that one, if it is still taken.

    It then stays taken for a whole span from now, as what both calls come to may count at the vendor only then.
    """
    with transaction():
        turns = read_turns(_lock())
        held = turns.held_until is not None and turns.held_until > turns.now
        taken = PathUse.objects.filter(
            application=application(), grant=grant, kind=kind, frees_at__gt=turns.now
        )
        own = None if held else taken.order_by("-frees_at").first()
        again = own and _move_on(own, leaves_by=turns.now + LEAVES_WITHIN, frees_at=turns.now + window())
    if again is None:
        return take_place(grant, kind)
    return Place(again.leaves_by, again.pk, spent=True)


def _move_on(use: PathUse, *, leaves_by: datetime, frees_at: datetime) -> PathUse:
    """The same place, taken until later: a row of it is never changed."""
    use.delete()
    return PathUse.objects.create(
        application=use.application,
        kind=use.kind,
        grant_id=use.grant_id,
        used_at=use.used_at,
        leaves_by=leaves_by,
        frees_at=frees_at,
    )


def give_back(place: Place) -> None:
    """The call was not made, and will not be: the next in the queue may have its place at once."""
    if place.use_id and not place.spent:
        PathUse.objects.filter(pk=place.use_id).delete()


def never_left(error: errors.ClientError | None) -> bool:
    """Whether the error is the portal's own, in place of a call that it didn't make."""
    return isinstance(error, CircuitOpen) or (
        isinstance(error, errors.Throttled) and error.code in (NOT_SENT, "LocalRateLimit")
    )


def keep_if_slow(place: Place) -> None:
    """To be called when the answer is there: one that was long in coming may have counted at the vendor only now.

    Its place then stays taken for a whole span from now. While such a call is on its way nobody can know when it
    will count; more than this can't be held without stopping the path for as long as the vendor is slow.
    """
    if place.leaves_by is None or real_now() < place.leaves_by + TRAVELS_WITHIN:
        return
    with transaction():
        _lock()
        for use in PathUse.objects.filter(pk=place.use_id):
            _move_on(use, leaves_by=use.leaves_by, frees_at=real_now() + window())


def hold_path(span: timedelta) -> None:
    """The vendor said 429: nobody gets a place for this long (real time), whichever worker asks."""
    with transaction():
        path = _lock()
        until = real_now() + span
        if path.held_until is None or path.held_until < until:
            NarrowPath.objects.filter(pk=path.pk).update(held_until=until)


def hold_if_asked(error: errors.ClientError) -> None:
    """Hold the path when the vendor's answer says so; a call that never left says nothing about the vendor."""
    if isinstance(error, errors.Throttled) and not never_left(error):
        hold_path(error.retry_after)


def leave_queue(grant: Grant, kind: PathKind) -> None:
    """What it waited for is not needed any more, or goes along with somebody else's call."""
    PathTicket.objects.filter(grant=grant, kind=kind).delete()


def call_up() -> tuple[UUID, ...]:
    """The grants whose turn it is: nothing but the queue keeps them from being claimed now. Drops what is over."""
    if not _ANYBODY.rows(application()):
        return ()
    with transaction():
        turns = read_turns(_lock())
        if void := _VOID.rows(application()):
            PathTicket.objects.filter(pk__in=void).delete()
        awake = _FIRST_AWAKE.rows(application(), turns.now - PATIENCE)[: turns.free]
        called = [(ticket, grant_id) for ticket, grant_id, called_at in awake if called_at is None]
        PathTicket.objects.filter(pk__in=[pk for pk, _ in called]).update(called_at=turns.now)
        Grant.objects.filter(
            Q(lease_until=None) | Q(lease_until__lt=turns.now), pk__in=[grant_id for _, grant_id in called]
        ).update(retry_at=None)
    return tuple(grant_id for _, grant_id in called)


_VOID = Readymade(
    lambda whose: (
        PathTicket.objects.filter(application=whose)
        .exclude(pk__in=valid_tickets(whose).values("pk"))
        .values_list("pk", flat=True)
    ),
    str,
)
_FIRST_AWAKE = Readymade(
    lambda whose, called_since: (
        valid_tickets(whose)
        .filter(_awake(called_since))
        .order_by(*ORDER)
        .values_list("pk", "grant_id", "called_at")[:MOST_PLACES]
    ),
    str,
    datetime,
)


def drop_old_uses() -> None:
    """Delete uses that nobody looks at any more, a bounded number at a time."""
    if old := _OLD_USES.rows(application(), real_now() - KEEP_USES):
        PathUse.objects.filter(pk__in=old).delete()


_OWN = Readymade(
    lambda grant_id, kind: PathTicket.objects.filter(grant=grant_id, kind=kind).order_by("pk")[:1], UUID, str
)
_ANYBODY = Readymade(
    lambda whose: PathTicket.objects.filter(application=whose).values_list("pk", flat=True)[:1], str
)
_OLD_USES = Readymade(
    lambda whose, until: PathUse.objects.filter(application=whose, frees_at__lt=until).values_list(
        "pk", flat=True
    )[:MOST_DROPPED],
    str,
    datetime,
)


def move_to_front(*, ticket_id: int, actor: Actor) -> None:
    """An operator lets one go before all others of its kind: arrivals stay behind removals.

    Raises:
        Missing: it doesn't wait any more, or never did.
        Conflict: it is next already.
    """
    with transaction():
        found = valid_tickets().select_related("grant__person", "grant__group")
        ticket = found.filter(pk=ticket_id).first()
        if ticket is None:
            raise _gone()
        first = valid_tickets().filter(rank=ticket.rank).order_by(*ORDER).first()
        if first is not None and first.pk == ticket.pk:
            raise Conflict("queue.first", "This one is next already. Nothing was changed.")
        front_at = business_now()
        if not PathTicket.objects.filter(pk=ticket.pk).update(front_at=front_at, front_by=actor.name):
            raise _gone()
        waits_for = PathKind(ticket.kind).label.lower()
        fields = {"waits_for": waits_for, "front_at": front_at}
        record_of(ticket.grant, "queue.moved_to_front", fields, actor=actor)
        run_after_commit(nudges.queue)


def _gone() -> Missing:
    return Missing("queue.gone", "This one doesn't wait any more: its turn came, or it was ended.")


def _lock() -> NarrowPath:
    found = _PATH.first(application())
    if found is not None:
        return found
    NarrowPath.objects.get_or_create(pk=application())
    return NarrowPath.objects.select_for_update().get(pk=application())


_PATH = Readymade(lambda whose: NarrowPath.objects.select_for_update().filter(pk=whose), str)


def _awake(called_since: datetime) -> Q:
    """Tickets that count: not those that were rung for, earlier than this, and didn't come."""
    return Q(called_at=None) | Q(called_at__gt=called_since)


def _ahead_of(grant: Grant, kind: PathKind, own: PathTicket | None, now: datetime) -> int:
    """How many go before this one, which may have its own ticket already."""
    if own is not None:
        pks = _IN_ORDER.rows(application(), now - PATIENCE, own.pk)
        return pks.index(own.pk) if own.pk in pks else len(pks)
    return _BEFORE.first(application(), now - PATIENCE, _rank(kind), _begin(grant, kind)) or 0


def _before(whose: str, called_since: datetime, rank: int, begin: datetime) -> QuerySet[PathTicket, int]:
    before = Q(rank__lt=rank) | Q(rank=rank, front_at__isnull=False) | Q(rank=rank, starts_at__lte=begin)
    counted = valid_tickets(whose).filter(_awake(called_since), before).values("application")
    return counted.annotate(many=Count("pk")).values_list("many", flat=True)


_BEFORE = Readymade(_before, str, datetime, int, datetime)
_IN_ORDER = Readymade(
    lambda whose, called_since, own: (
        valid_tickets(whose)
        .filter(_awake(called_since) | Q(pk=own))
        .order_by(*ORDER)
        .values_list("pk", flat=True)[:MOST_TICKETS]
    ),
    str,
    datetime,
    int,
)


def _rank(kind: PathKind) -> int:
    return 0 if kind == PathKind.REMOVE else 1


def _begin(grant: Grant, kind: PathKind) -> datetime:
    """By what it is ordered: provisioning by when Entra was seen to hold the membership, all else by the start.

    If the provisioning of whoever began first went before the assignment of whoever began next, each would go
    alone. Behind the assignments, members of a group meet and go as one call.
    """
    if kind == PathKind.CARRY and grant.seen_in_entra_at is not None:
        return grant.seen_in_entra_at
    return grant.starts_at


def _queue(grant: Grant, kind: PathKind, own: PathTicket | None) -> None:
    """Wait, or go on waiting; whoever asks again is awake. The path's lock keeps two from doing it at once."""
    if own is not None and own.called_at is not None:
        PathTicket.objects.filter(pk=own.pk).update(called_at=None)
    elif own is None:
        PathTicket.objects.create(
            grant=grant,
            kind=kind,
            application=application(),
            rank=_rank(kind),
            starts_at=_begin(grant, kind),
            since=business_now(),
        )
