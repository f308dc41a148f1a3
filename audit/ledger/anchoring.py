"""Anchoring: each newest seal is put at every configured place, beside sealing and never in its way.

A seal stands for everything before it, so not every one need be put: at most one a minute and place, and of a
time-stamping authority as few as the settings say. A place
that doesn't answer is asked again for ever, ever more rarely; what it missed is covered by what it takes next.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django_subatomic.db import transaction

from audit.ledger import tsa_anchor
from audit.ledger.anchors import Anchor, AnchorError, SignedSeal

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)  # real time, by the database's clock
MOST_PAUSE = timedelta(minutes=5)

_NEWEST = """
SELECT batch, n, root, prev_seal, seal, key_id, signature, at FROM audit_seal seal
WHERE batch = (SELECT max(batch) FROM audit_seal)
  AND NOT EXISTS (SELECT FROM audit_anchor kept WHERE kept.place = %s
                  AND (kept.batch >= seal.batch OR kept.at > clock_timestamp() - make_interval(secs => %s)))
"""
_RECEIPT = """
INSERT INTO audit_anchor (place, batch, seal, receipt) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


def pace(place: str) -> timedelta:
    """How often that place is given the newest seal, in real time."""
    if place == tsa_anchor.NAME:
        return timedelta(minutes=settings.AUDIT_ANCHOR_TSA_MINUTES)
    return EVERY


def anchor_newest(place: Anchor, *, every: timedelta | None = None) -> SignedSeal | None:
    """Put the newest seal at the place, unless it is there or the last was put less than `every` (the place's own pace) ago.

    Claim, call, settle: nothing is open in the database during the call, and a death between the call and its
    receipt puts the same line again. Raises AnchorError when the place doesn't take it.
    """
    every = pace(place.name) if every is None else every
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, [place.name, every.total_seconds()])
        row = cursor.fetchone()
    if row is None:
        return None
    batch, n, root, prev_seal, seal, key_id, signature, at = row
    newest = SignedSeal(batch, n, bytes(root), bytes(prev_seal), bytes(seal), key_id, bytes(signature), at)
    receipt = place.put(newest)
    with transaction(), connection.cursor() as cursor:
        cursor.execute(_RECEIPT, [place.name, batch, newest.seal, receipt])
    return newest


@dataclass(slots=True)
class Anchorer:
    """The loop of one place, in a thread of its own, until `stop` is set."""

    place: Anchor
    stop: threading.Event
    pause: float = 1.0  # seconds between looks
    _failures: int = field(default=0, init=False)

    def run(self) -> None:
        """Anchor until told to stop, whatever the place and the database do meanwhile."""
        try:
            while not self.stop.wait(self.step()):
                pass
        finally:
            connection.close()

    def step(self) -> float:
        """One look; gives how many seconds to wait until the next."""
        try:
            anchored = anchor_newest(self.place)
        except AnchorError as error:
            return self._failed("anchor.failed", str(error))
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            return self._failed("anchor.database_failed", str(error).strip())
        if anchored is not None:
            self._failures = 0
            log.info("anchor.put", place=self.place.name, batch=anchored.batch)
        return self.pause

    def _failed(self, event: str, error: str) -> float:
        self._failures += 1
        wait = min(self.pause * 2.0 ** min(self._failures, 20), MOST_PAUSE.total_seconds())
        log.warning(
            event, place=self.place.name, error=error, failures=self._failures, again_in=round(wait, 1)
        )
        return wait


def start(places: Sequence[Anchor], stop: threading.Event) -> Sequence[threading.Thread]:
    """A thread for each place; they end with the process at the latest, since a put may be repeated."""
    threads = [
        threading.Thread(target=Anchorer(place, stop).run, name=f"anchor-{place.name}", daemon=True)
        for place in places
    ]
    for thread in threads:
        thread.start()
    return threads


@dataclass(frozen=True, slots=True)
class AnchorState:
    """How one place stands: its newest receipt, and how long the oldest seal that it doesn't cover has waited.

    Where a place is given a seal an hour, that hour is no wait.
    """

    place: str
    batch: int | None
    at: datetime | None  # of the receipt, real time
    lag: timedelta  # real time; zero when it covers everything
    waits_since: datetime | None = None  # the first event of the oldest seal that isn't there, real time
    newest_event: int | None = None  # that it covers


_STATES = """
SELECT given.place, kept.batch, kept.at,
       coalesce(greatest(clock_timestamp() - waiting.at - make_interval(secs => given.meant), interval '0'), interval '0'),
       coalesce((SELECT at FROM audit_leaf WHERE batch = waiting.batch ORDER BY idx LIMIT 1), waiting.at),
       (SELECT event_id FROM audit_leaf WHERE batch <= kept.batch ORDER BY batch DESC, idx DESC LIMIT 1)
FROM unnest(%s::text[], %s::float[]) WITH ORDINALITY AS given (place, meant, number)
LEFT JOIN LATERAL (SELECT batch, at FROM audit_anchor WHERE place = given.place ORDER BY batch DESC LIMIT 1)
    kept ON true
LEFT JOIN LATERAL (SELECT batch, at FROM audit_seal WHERE batch > coalesce(kept.batch, 0) ORDER BY batch LIMIT 1)
    waiting ON true
ORDER BY given.number
"""


def anchor_states(places: Sequence[str]) -> Sequence[AnchorState]:
    """How the places stand, in one bounded query; none without places."""
    if not places:
        return ()
    with connection.cursor() as cursor:
        meant = [(pace(place) - EVERY).total_seconds() for place in places]
        cursor.execute(_STATES, [list(places), meant])
        return [AnchorState(*row) for row in cursor.fetchall()]
