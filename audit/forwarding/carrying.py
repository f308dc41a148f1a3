"""Carrying the trail to its receivers: claim the stream, send what follows its place, note what was acknowledged.

A receiver that is away is tried for ever, ever more rarely, and holds up nothing but its own stream. A worker that
dies between an acknowledgement and its note leaves the place where it was: the same events are sent again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from django.db import connection
from django.db.models import F
from django_subatomic.db import durable

from audit.forwarding.configured import configured
from audit.forwarding.models import Stream
from audit.forwarding.receivers import Receiver, Sealed, Undelivered
from audit.ledger.reading import Position, events_at
from audit.ledger.retirement import removed
from base.clock import real_now
from base.crash import crash_point, register

log = structlog.get_logger(__name__)

register("forwarding.before_noted")

# Bounds of one pass; the next one follows in seconds.
MOST_AT_ONCE = 100
MOST_SECONDS = 15.0
LEASE = timedelta(seconds=60)
FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(minutes=5)

_FOLLOWING = """
SELECT event_id, at, batch, idx FROM audit_leaf WHERE (batch, idx) > (%s, %s) ORDER BY batch, idx LIMIT %s
"""
_DUE = """
SELECT given.name FROM unnest(%s::text[]) AS given (name)
LEFT JOIN forwarding_stream stream ON stream.name = given.name
WHERE (stream.name IS NULL OR (stream.lease_until <= %s AND stream.retry_at <= %s))
  AND EXISTS (SELECT FROM audit_leaf
              WHERE (batch, idx) > (coalesce(stream.batch, 0), coalesce(stream.idx, -1)))
"""


def due(names: Sequence[str]) -> Sequence[str]:
    """Those of the streams that have something to carry and are neither being carried nor waiting."""
    now = real_now()
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [list(names), now, now])
        return [name for (name,) in cursor.fetchall()]


@durable
def carry(name: str) -> int:
    """Carry what is due to one receiver, for a bounded time; gives how many events it acknowledged.

    Nothing happens when the settings don't name it, or when another worker is at it.
    """
    receiver = configured().get(name)
    if receiver is None:
        return 0
    claim = _claim(name)
    if claim is None:
        return 0
    carried, last = 0, time.monotonic() + MOST_SECONDS
    try:
        while time.monotonic() < last:
            leaves = _following(Stream.objects.get(name=name))
            if not leaves:
                break
            events = _events(leaves)
            gone = _gone(leaves, events)
            if not events:  # their month was removed from the trail, or somebody took them out of it
                _note(name, leaves[-1], 0, gone, claim)
                continue
            acknowledged = _deliver(receiver, events, gone, claim, last)
            if acknowledged is None:
                break
            carried += acknowledged
    except Exception as error:  # noqa: BLE001 - whatever it is: a stream that stands still has to say so
        _recover()
        _postpone(name, _problem(name, error), claim)
    finally:
        Stream.objects.filter(name=name, lease_until=claim).update(lease_until=real_now())
    return carried


def _claim(name: str) -> datetime | None:
    """Until when it is this worker's; None when it is another's, or has to wait."""
    now = real_now()
    until = now + LEASE
    Stream.objects.get_or_create(name=name, defaults={"lease_until": now, "retry_at": now})
    free = Stream.objects.filter(name=name, lease_until__lte=now, retry_at__lte=now)
    return until if free.update(lease_until=until) else None


class _Leaf(NamedTuple):
    event_id: int
    at: datetime
    batch: int
    idx: int


def _following(stream: Stream) -> Sequence[_Leaf]:
    """The places after the stream's, a bounded number."""
    with connection.cursor() as cursor:
        cursor.execute(_FOLLOWING, [stream.batch, stream.idx, MOST_AT_ONCE])
        return [_Leaf(*row) for row in cursor.fetchall()]


def _events(leaves: Sequence[_Leaf]) -> Sequence[Sealed]:
    """The events of these places, as far as they are still in the trail."""
    found = events_at([Position(leaf.at, leaf.event_id) for leaf in leaves])
    entries = {entry.event.id: entry for entry in found}
    return [
        Sealed(entries[leaf.event_id], leaf.batch, leaf.idx) for leaf in leaves if leaf.event_id in entries
    ]


def _gone(leaves: Sequence[_Leaf], events: Sequence[Sealed]) -> Sequence[_Leaf]:
    """The places whose events are in the trail no more, though no removal of their month says why."""
    there = {each.entry.event.id for each in events}
    absent = [leaf for leaf in leaves if leaf.event_id not in there]
    if not absent:
        return ()
    try:
        until = removed().until
    except ValueError:  # what the newest removal says can't be read, so that it explains nothing
        until = None
    return [leaf for leaf in absent if until is None or leaf.at >= until]


def _deliver(
    receiver: Receiver, events: Sequence[Sealed], gone: Sequence[_Leaf], claim: datetime, last: float
) -> int | None:
    """Send them and note what was acknowledged; gives how many, None after a failure or without the claim."""
    reached: list[Sealed] = []
    problem = ""
    try:
        with closing(receiver.deliver(events)) as acknowledged:
            for each in acknowledged:
                reached.append(each)
                if time.monotonic() > last:
                    break
    except Exception as error:  # noqa: BLE001 - what was acknowledged before it is noted all the same
        problem = _problem(receiver.name, error)
        _recover()
    crash_point("forwarding.before_noted")
    count = events.index(reached[-1]) + 1 if reached else 0
    if reached and not _note(receiver.name, reached[-1], count, gone, claim):
        return None
    if problem:
        _postpone(receiver.name, problem, claim)
        return None
    return count


def _problem(name: str, error: Exception) -> str:
    """What operators read of it; of what nobody foresaw, a task's soft time limit among it, the log has the place."""
    if isinstance(error, Undelivered):
        return str(error)
    log.error("stream.broken", stream=name, exc_info=error)
    return (
        f"Carrying it fails in a way that nobody foresaw ({type(error).__name__}). A worker's log says where."
    )


def _recover() -> None:
    """A time limit may strike in the middle of a statement, and leave a connection on which nothing can be said."""
    if not connection.in_atomic_block and not connection.is_usable():
        connection.close()


def _note(name: str, place: _Leaf | Sealed, count: int, gone: Sequence[_Leaf], claim: datetime) -> bool:
    """Whether it was noted; not when the claim ran out, and another worker may be at the same events.

    Of what is `gone` it counts what stands before the place.
    """
    now = real_now()
    passed = [each.event_id for each in gone if (each.batch, each.idx) <= (place.batch, place.idx)]
    if passed:
        log.error("stream.events_missing", stream=name, events=passed)
    return bool(
        Stream.objects.filter(name=name, lease_until=claim).update(
            batch=place.batch,
            idx=place.idx,
            sent=F("sent") + count,
            missing=F("missing") + len(passed),
            acknowledged_at=now,
            failures=0,
            problem="",
        )
    )


def _postpone(name: str, problem: str, claim: datetime) -> None:
    failures = Stream.objects.values_list("failures", flat=True).get(name=name) + 1
    wait = min(FIRST_RETRY * 2 ** min(failures - 1, 10), LONGEST_RETRY)
    Stream.objects.filter(name=name, lease_until=claim).update(
        failures=failures, problem=problem, retry_at=real_now() + wait
    )
    log.warning("stream.failed", stream=name, problem=problem, failures=failures)


@dataclass(frozen=True, slots=True)
class StreamState:
    """How one stream stands; `lag` is how long the oldest sealed event that it lacks has waited since it happened.

    `missing` were passed by, because they are in the trail no more: somebody took them out of it.
    """

    name: str
    sent: int
    missing: int
    acknowledged_at: datetime | None
    problem: str
    lag: timedelta


_STATES = """
SELECT given.name, coalesce(stream.sent, 0), coalesce(stream.missing, 0), stream.acknowledged_at,
       coalesce(stream.problem, ''),
       coalesce(greatest(clock_timestamp() - waiting.at, interval '0'), interval '0')
FROM unnest(%s::text[]) WITH ORDINALITY AS given (name, number)
LEFT JOIN forwarding_stream stream ON stream.name = given.name
LEFT JOIN LATERAL (SELECT at FROM audit_leaf
                   WHERE (batch, idx) > (coalesce(stream.batch, 0), coalesce(stream.idx, -1))
                   ORDER BY batch, idx LIMIT 1) waiting ON true
ORDER BY given.number
"""


def stream_states(names: Sequence[str]) -> Sequence[StreamState]:
    """How the streams stand, in one bounded query; none without streams."""
    if not names:
        return ()
    with connection.cursor() as cursor:
        cursor.execute(_STATES, [list(names)])
        return [StreamState(*row) for row in cursor.fetchall()]
