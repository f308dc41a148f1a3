"""A reading of the catalogue of the simulator's large organisation, paced as the product is, against who reads by pairs.

Everything goes over HTTP through the product's own adapters, and waits at the product's own limits on the simulated clock:
what is counted are the vendors' calls, every page for itself, and the time is that of the pacing alone. For the two others
the same sync runs again with one port replaced, so that all else is equal.
"""

from __future__ import annotations

import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any, cast

from django.test import override_settings

from benchmarks.calls import read_everything, read_whole
from benchmarks.measuring import Figure
from benchmarks.setting import acting_as, database
from catalog.models import SyncRun
from catalog.sync.intervals import INTERVALS
from clients.limits import RATES, LocalLimiter
from clients.ports import IdentityCenter
from clients.registry import Clients, using
from clients.types import GroupAssignment, Reading, Receipt
from simulator.sample import named_world
from simulator.world.clock import WorldClock
from simulator.world.world import World
from tests.support.http_clients import http_clients
from tests.support.servers import PostgresServer
from tests.support.world_clients import world_clients

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PAGE = 100  # rows, the most that sso-admin gives at once
EVERY, PROVISIONED = "every account with every permission set", "every provisioned pair"


def run(server: PostgresServer, *, seed: str = "large") -> Iterator[Figure]:
    """Calls and time of one reading that finds nothing new, each way's to the product's."""
    world = named_world(seed, WorldClock.stepping(START))
    with _in_a_database(server, world):
        with using(world_clients(world)[0]):
            read_everything()  # the first one, which isn't counted
        pace = _Pace(world.clock)
        with tempfile.TemporaryDirectory() as folder, http_clients(world, Path(folder), pace) as (ours, _):
            parts = {part: _read(part, ours, pace) for part in INTERVALS}
            groups = {
                EVERY: _read(SyncRun.Part.GROUPS, _by_pairs(ours, world, pace, provisioned=False), pace),
                PROVISIONED: _read(SyncRun.Part.GROUPS, _by_pairs(ours, world, pace, provisioned=True), pace),
            }
    product = _sum(parts)
    yield from _figures(product, {way: _sum({**parts, SyncRun.Part.GROUPS: groups[way]}) for way in groups})


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a reading took: the vendors' calls, and time on the simulated clock."""

    calls: int
    time: timedelta


@dataclass(slots=True)
class _Pace:
    """The product's limits on the simulated clock; counts what it lets through. A clients.limits.Limiter.

    One caller at a time, because whoever waits moves the clock for all.
    """

    clock: WorldClock
    calls: Counter[str] = field(default_factory=Counter)
    limiter: LocalLimiter = field(init=False)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.limiter = LocalLimiter(RATES, now=self._now, sleep=self._sleep)

    def _now(self) -> float:
        return (self.clock.now() - START).total_seconds()

    def _sleep(self, seconds: float) -> None:
        self.clock.step(timedelta(seconds=seconds))

    def acquire(self, bucket: str, cost: int = 1) -> None:
        """See Limiter."""
        with self.lock:
            self.limiter.acquire(bucket, cost)
            self.calls[bucket] += cost

    def hold(self, bucket: str, span: timedelta) -> None:
        """See Limiter."""
        self.limiter.hold(bucket, span)


@contextmanager
def _in_a_database(server: PostgresServer, world: World) -> Iterator[None]:
    with (
        database(server) as name,
        tempfile.TemporaryDirectory() as folder,
        acting_as(server, name, "worker"),
    ):
        allowed = Path(folder, "managed-groups.txt")
        allowed.write_text("\n".join(world.state.managed_group_ids))
        with override_settings(
            PORTAL_MANAGED_GROUPS_FILE=str(allowed), ENTRA_TENANT_ID=world.state.tenant_id
        ):
            yield


def _read(part: SyncRun.Part, clients: Clients, pace: _Pace) -> _Cost:
    """One part, from full buckets."""
    pace.clock.step(timedelta(minutes=1))
    began, before = pace.clock.now(), pace.calls.total()
    with using(clients):
        read_whole(part)
    return _Cost(pace.calls.total() - before, pace.clock.now() - began)


def _sum(parts: dict[SyncRun.Part, _Cost]) -> _Cost:
    """One worker that reads a part after the other."""
    return _Cost(
        sum(each.calls for each in parts.values()), sum((each.time for each in parts.values()), timedelta())
    )


class _ByPairs:
    """The product's adapter, but for account assignments: asked for by account and permission set, once for all groups.

    Either all pairs (`ListAccountAssignments`), or those of `ListPermissionSetsProvisionedToAccount`. The rows are the
    world's, so that only calls are made up: each waits at the product's own limit.
    """

    def __init__(self, usual: IdentityCenter, world: World, pace: _Pace, *, provisioned: bool) -> None:
        self._usual, self._world, self._pace, self._provisioned = usual, world, pace, provisioned
        self._found: dict[str, list[GroupAssignment]] | None = None
        self._lock = threading.Lock()  # the product reads several groups at once

    def __getattr__(self, name: str) -> Any:
        return getattr(self._usual, name)

    def group_assignments(self, store_group_id: str) -> Reading[tuple[GroupAssignment, ...]]:
        """See the port."""
        with self._lock:
            if self._found is None:
                self._found = self._read_all()
        return Reading(tuple(self._found.get(store_group_id, ())), Receipt("by pairs"))

    def _read_all(self) -> dict[str, list[GroupAssignment]]:
        rows: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in self._world.state.identity_center.assignments:
            rows[row.account_id, row.permission_set_arn].append(row.principal_id)
        found: dict[str, list[GroupAssignment]] = defaultdict(list)
        sets = self._world.identity_center.permission_sets()
        for account_id in self._world.state.organization.accounts:
            asked = [each for each in sets if not self._provisioned or account_id in each.provisioned]
            if self._provisioned:
                self._call(len(asked))
            for permission_set in asked:
                principals = rows.get((account_id, permission_set.arn), [])
                self._call(len(principals))
                for principal_id in principals:
                    found[principal_id].append(GroupAssignment(account_id, permission_set.arn))
        return found

    def _call(self, rows: int) -> None:
        for _ in range(max(1, ceil(rows / PAGE))):
            self._pace.acquire("sso-admin")


def _by_pairs(ours: Clients, world: World, pace: _Pace, *, provisioned: bool) -> Clients:
    center = _ByPairs(ours.identity_center, world, pace, provisioned=provisioned)
    return replace(ours, identity_center=cast("IdentityCenter", center))


def _figures(product: _Cost, others: dict[str, _Cost]) -> Iterator[Figure]:
    for way, cost in others.items():
        yield Figure(
            f"catalogue: calls of a reading, {way}, to the product's",
            f"{cost.calls / product.calls:.1f}",
            detail=f"{cost.calls:,} calls to {product.calls:,}",
        )
        yield Figure(
            f"catalogue: time of a reading, {way}, to the product's",
            f"{cost.time / product.time:.1f}",
            detail=f"{cost.time.total_seconds():,.0f} s to {product.time.total_seconds():,.0f} s on the simulated clock",
        )
