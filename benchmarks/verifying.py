"""Verifying a trail of a million events as `audit_verify` does, against one of ten thousand: what each event takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import psycopg

from audit.ledger import verifying
from audit.ledger.keys import SealingKey, make_key
from audit.ledger.sealing import seal_everything
from benchmarks.loading import SPAN, Much, load
from benchmarks.measuring import Figure
from benchmarks.million import SMALL
from benchmarks.setting import acting_as, database
from benchmarks.visiting import peak, peak_begins_anew, worked
from tests.support.servers import PostgresServer

LONG = replace(SMALL, size=replace(SMALL.size, requests=100_000), events=1_000_000)
_MEBIBYTE = 1024


@dataclass(frozen=True, slots=True)
class Verified:
    """One verification: events, seconds by the clock and of the processors, and MiB of memory more."""

    events: int
    clock: float
    work: float
    memory: float


def run(server: PostgresServer, *, short: Much = SMALL, long: Much = LONG) -> Iterator[Figure]:
    """The long trail to the short one, for each event, and what the long one takes."""
    with ExitStack() as stack:
        key = make_key(Path(stack.enter_context(TemporaryDirectory())) / "key.pem")
        one, other = (
            _verify(server, stack.enter_context(database(server)), much, key) for much in (long, short)
        )
    yield Figure(
        "verifying: an event of a long trail to one of a short one",
        f"{(one.work / one.events) / (other.work / other.events):.2f}",
        detail=f"{one.events:,} events in {one.clock:.0f} s, {one.work:.0f} s of the processors; "
        f"{other.events:,} in {other.clock:.1f} s, {other.work:.1f} s of the processors",
    )
    yield Figure(
        "verifying: events a second of the processors",
        f"{one.events / one.work:,.0f}",
        detail=f"{1e6 * one.work / one.events:.0f} microseconds an event",
    )
    yield Figure("verifying: MiB of memory more", f"{one.memory:.0f}", detail=f"{one.events:,} events")


def _verify(server: PostgresServer, name: str, much: Much, key: SealingKey) -> Verified:
    load(server, name, much)
    with acting_as(server, name, "sealer"):
        seal_everything(key)
    with psycopg.connect(server.conninfo("portal_owner", name), autocommit=True) as owner:
        owner.execute("VACUUM (ANALYZE) audit_leaf, audit_seal")
    # Events of two years were sealed at once: each would be found to claim a time that was over when it was sealed.
    with (
        acting_as(server, name, "worker"),
        patch.object(verifying, "LATE_AFTER", 2 * SPAN + timedelta(days=1)),
    ):
        before, began, worked_before = peak_begins_anew(), time.perf_counter(), worked()
        report = verifying.verify({key.id: key.trusted})
        assert report.sound, report.findings[:3]
        clock, work = time.perf_counter() - began, worked() - worked_before
        return Verified(report.events, clock, work, (peak() - before) / _MEBIBYTE)
