"""Sealing: batches of events get a Merkle root, a place in the chain of seals, and a signature.

It runs beside the writers, never in their way. What is sealed is found by an anti-join on the leaves,
not by a position in the sequence: a writer that commits late, with an id long passed, is not missed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django_subatomic.db import transaction

from audit.ledger.keys import SealingKey
from audit.ledger.merkle import NO_SEAL, leaf_hash, root_hash, seal_hash

log = structlog.get_logger(__name__)

BATCH = 1_000
EMPTY_SEAL_AFTER = timedelta(hours=1)
MONTHS_AHEAD = 24
_LOCK = 0x617564697473  # "audits": one sealer at a time, whoever and wherever

# How far back a pass looks, and how often, both real time. A transaction is over in seconds, so the short
# look finds everything soon; the long ones find what an open transaction or a sealer's outage left behind.
SHORT_LOOK = timedelta(minutes=15)
LONG_LOOK, LONG_LOOK_EVERY = timedelta(hours=26), timedelta(minutes=5)
FULL_LOOK_EVERY = timedelta(hours=6)
MONTHS_EVERY, MONTHS_AGAIN = timedelta(hours=24), timedelta(minutes=10)  # after months were made, and weren't

_first: list[Callable[[], object]] = []

# Found in the order of time, in the index alone, and no more of them than a batch takes. Left to choose, Postgres would join
# and sort all that waits for each batch: its statistics say of the newest events that there are few, or all are sealed.
WALKING = """
SELECT set_config(name, 'off', true)
FROM unnest(ARRAY['enable_sort', 'enable_hashjoin', 'enable_mergejoin']) AS choice (name)
"""
UNSEALED = """
WITH unsealed AS MATERIALIZED (
    SELECT id, at FROM audit_event event WHERE event.at >= coalesce(%s::timestamptz, '-infinity')
    AND NOT EXISTS (SELECT FROM audit_leaf leaf WHERE leaf.event_id = event.id)
    ORDER BY at, id LIMIT %s
)
SELECT event.id, event.at, event.canon FROM unsealed
JOIN audit_event event ON event.id = unsealed.id AND event.at = unsealed.at
"""


def at_each_pass(act: Callable[[], object]) -> None:
    """Have the sealer do this before every pass; the same again is harmless."""
    if act not in _first:
        _first.append(act)


@dataclass(frozen=True, slots=True)
class Sealed:
    """One batch, as it was sealed; `last_at` is the time of its last event."""

    batch: int
    n: int
    seal: bytes
    last_at: datetime | None


def seal_everything(key: SealingKey, *, look_back: timedelta | None = None) -> int:
    """Seal all events that have no leaf yet, in batches; gives how many.

    With `look_back`, only those at most that old. Leaves an empty seal when the last is an hour old.
    """
    with connection.cursor() as cursor:
        seconds = look_back.total_seconds() if look_back else None
        cursor.execute("SELECT clock_timestamp() - make_interval(secs => %s)", [seconds])
        ((since,),) = cursor.fetchall()
    total = 0
    while True:
        sealed = seal_batch(key, since=since)
        if sealed is None:
            return total
        total += sealed.n
        if sealed.n < BATCH:
            return total
        since = sealed.last_at


def seal_batch(key: SealingKey, *, since: datetime | None = None) -> Sealed | None:
    """Seal the oldest events without a leaf, of those that happened at or after `since`.

    None when there is nothing to seal yet, or when somebody else is sealing.
    """
    with transaction(), connection.cursor() as cursor:
        # In its own statement: the next one's view of the table begins after the lock is ours.
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s), clock_timestamp()", [_LOCK])
        ((locked, at),) = cursor.fetchall()
        if not locked:
            return None
        cursor.execute("SELECT batch, seal, at FROM audit_seal ORDER BY batch DESC LIMIT 1")
        last_batch, last_seal, last_at = cursor.fetchone() or (0, NO_SEAL, None)
        cursor.execute(WALKING)
        cursor.execute(UNSEALED, [since, BATCH])
        events = sorted(cursor.fetchall(), key=lambda event: (event[1], event[0]))
        if not events and last_at is not None and at - last_at < EMPTY_SEAL_AFTER:
            return None
        batch, n = last_batch + 1, len(events)
        leaves = [leaf_hash(event_id, event_at, canon) for event_id, event_at, canon in events]
        root = root_hash(leaves)
        seal = seal_hash(bytes(last_seal), root, n, batch, at)
        cursor.execute(
            "INSERT INTO audit_seal (batch, n, root, prev_seal, seal, key_id, signature, at) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [batch, n, root, bytes(last_seal), seal, key.id, key.sign(seal), at],
        )
        cursor.execute(
            "INSERT INTO audit_leaf (event_id, at, batch, idx, leaf) "
            "SELECT id, at, %s, place - 1, leaf FROM unnest(%s::bigint[], %s::timestamptz[], %s::bytea[]) "
            "WITH ORDINALITY AS given (id, at, leaf, place)",
            [batch, [event[0] for event in events], [event[1] for event in events], leaves],
        )
    return Sealed(batch, n, seal, events[-1][1] if events else None)


def make_months() -> int:
    """Make the ledger's partitions for the coming months; gives how many were new.

    The sealer does it, because it is the one process that always runs and no request reaches; the
    function belongs to the tables' owner and makes months, nothing else.
    """
    with transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT audit_make_months(%s)", [MONTHS_AHEAD])
        ((made,),) = cursor.fetchall()
    return int(made)


@dataclass(slots=True)
class Sealer:
    """The sealer's loop: short looks every second, longer ones now and then, until `stop` is set."""

    key: SealingKey
    stop: threading.Event = field(default_factory=threading.Event)
    pause: float = 1.0  # seconds between passes
    _due: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Seal until told to stop. A database that is away is waited for, and said in the log."""
        while not self.stop.is_set():
            try:
                for act in _first:
                    act()
                self.step()
            except (OperationalError, InterfaceError) as error:
                connection.close()
                log.warning("sealer.database_away", error=str(error).strip())
                self.stop.wait(self.pause * 5)
            self.stop.wait(self.pause)

    def step(self) -> int:
        """One pass; gives how many events were sealed. Nothing stands before them: months are made afterwards."""
        sealed = self._seal()
        if sealed:
            log.info("sealer.sealed", events=sealed)
        if self._is_due("months"):
            self._make_months()
        return sealed

    def _seal(self) -> int:
        if self._is_due("full"):
            sealed = seal_everything(self.key)
            self._done("full", FULL_LOOK_EVERY)
        elif self._is_due("long"):
            sealed = seal_everything(self.key, look_back=LONG_LOOK)
            self._done("long", LONG_LOOK_EVERY)
        else:
            sealed = seal_everything(self.key, look_back=SHORT_LOOK)
        return sealed

    def _make_months(self) -> None:
        """What goes wrong is said and tried again later: a month that isn't there stops no event, and no seal."""
        try:
            made = make_months()
        except (DatabaseError, InterfaceError) as error:
            log.error(
                "sealer.months_not_made",
                problem="The months ahead couldn't be made. Events find their place without them; `manage.py check "
                "--database default` says what stands in the way.",
                error=str(error).strip(),
            )
            self._done("months", MONTHS_AGAIN)
            return
        self._done("months", MONTHS_EVERY)
        if made:
            log.info("sealer.months_made", made=made)

    def _is_due(self, name: str) -> bool:
        return time.monotonic() >= self._due.get(name, 0.0)

    def _done(self, name: str, every: timedelta) -> None:
        self._due[name] = time.monotonic() + every.total_seconds()
