"""A million requests and ten million events against a thousand and ten thousand: pages of everybody, and an export."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from audit.exporting.streaming import stream
from audit.ledger.reading import EventFilter
from audit.ledger.recorder import Actor
from benchmarks import people, trail
from benchmarks.bulk import Size
from benchmarks.loading import Much, World, load
from benchmarks.measuring import Figure
from benchmarks.setting import acting_as, database
from benchmarks.visiting import compared, peak, peak_begins_anew, reachable
from tests.support.servers import PostgresServer

TURNS = 4
_WORLD = {"accounts": 1_000, "permission_sets": 750, "groups": 500, "people": 5_000}
SMALL = Much(Size(**_WORLD, requests=1_000, pending=30), events=10_000, active=10)
LARGE = Much(Size(**_WORLD, requests=1_000_000, pending=3_000, wide=1_000), events=10_000_000, active=1_000)
EXPORTED = 1_000_000  # rows of which an export's speed and memory are measured
_MEBIBYTE = 1024


def run(
    server: PostgresServer,
    *,
    small: Much = SMALL,
    large: Much = LARGE,
    turns: int = TURNS,
    exported: int = EXPORTED,
) -> Iterator[Figure]:
    """The figures, as they come. Loading takes most of the time, and some forty gigabytes of disk."""
    with ExitStack() as stack:
        worlds = [load(server, stack.enter_context(database(server)), much) for much in (large, small)]
        yield from measure(server, (worlds[0], worlds[1]), turns=turns)
        yield from export(server, worlds[0], rows=exported)


def measure(server: PostgresServer, worlds: tuple[World, World], *, turns: int) -> Iterator[Figure]:
    """Every page in both worlds, which are loaded: the large one first."""
    with reachable():
        asking, deciding = zip(*[people.places_of(server, world) for world in worlds], strict=True)
        yield from compared("million", people.asking, asking, turns=turns)
        yield from compared("million", people.deciding, deciding, turns=turns)
        auditors = trail.place_of(server, worlds[0]), trail.place_of(server, worlds[1])
        visits = {
            place.database: trail.visits(place, world) for place, world in zip(auditors, worlds, strict=True)
        }
        yield from compared("million", lambda place: visits[place.database], auditors, turns=turns)


def export(server: PostgresServer, world: World, *, rows: int) -> Iterator[Figure]:
    """A CSV of so many of the newest events, or of all: whether it slows down, and by how much memory grows."""
    with acting_as(server, world.name, "web"):
        who = Actor.person(world.boss.object_id, world.boss.display_name)
        next(stream("csv", EventFilter(), query="", actor=who))  # whatever is loaded once
        before, taken, lines, size = peak_begins_anew(), [], 0, 0
        began = time.process_time()
        for chunk in stream("csv", EventFilter(), query="", actor=who):
            now = time.process_time()
            taken.append(now - began)
            began, lines, size = now, lines + chunk.count(b"\r\n"), size + len(chunk)
            if lines >= rows:
                break
        grown = (peak() - before) / _MEBIBYTE
    part = max(1, len(taken) // 10)
    yield Figure(
        "million: export, last tenth to first",
        f"{median(taken[-part:]) / median(taken[:part]):.2f}",
        detail=f"{lines:,} rows, {size / 1e6:.0f} MB, {sum(taken):.0f} s of this process",
    )
    yield Figure("million: export, MiB of memory more", f"{grown:.0f}", detail=f"for {lines:,} rows")
