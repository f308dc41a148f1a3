"""How long the simulated clouds take to be there, made and loaded again from a file, and to let a year pass."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.measuring import Figure
from simulator.sample import load_sample, named_world
from simulator.world.clock import WorldClock
from simulator.world.world import World
from tests.support.servers import PostgresServer

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ROUNDS = 5


def run(server: PostgresServer, *, seed: str = "large", rounds: int = ROUNDS) -> Iterator[Figure]:
    """Seconds, because a budget is stated in them: 20 s until the large world is there."""
    del server
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "world.json")
        yield _figure(
            "worlds: large organisation, made", lambda: named_world(seed, WorldClock.stepping(START)), rounds
        )
        named_world(seed, WorldClock.stepping(START)).save(kept)
        yield _figure(
            "worlds: large organisation, loaded again",
            lambda: World.load(kept, WorldClock.stepping(START)),
            rounds,
        )
    yield _year(rounds)


def _year(rounds: int) -> Figure:
    taken, steps = [], 0
    for _ in range(rounds + 1):  # one goes before and isn't counted
        world = load_sample(WorldClock.stepping(START))
        world.clock.step(timedelta(days=365))
        began = time.perf_counter()
        steps = world.advance()
        taken.append(time.perf_counter() - began)
    del taken[0]
    span = f"{min(taken):.2f} to {max(taken):.2f}"
    return Figure(
        "worlds: a year of the sample passes", f"{median(taken):.2f}", span, f"seconds, {steps:,} steps"
    )


def _figure(name: str, make: Callable[[], World], rounds: int) -> Figure:
    taken, worlds = [], [make()]  # one goes before and isn't counted
    for _ in range(rounds):
        began = time.perf_counter()
        worlds[0] = make()
        taken.append(time.perf_counter() - began)
    world = worlds[0]
    state = world.state
    size = (
        f"{len(state.organization.accounts):,} accounts, {len(state.identity_center.permission_sets):,} permission sets, "
        f"{len(state.managed_group_ids):,} PIM groups, {len(state.users):,} people"
    )
    return Figure(name, f"{median(taken):.1f}", f"{min(taken):.1f} to {max(taken):.1f}", f"seconds, {size}")
