"""One clock for the whole simulated world: nothing sleeps, and a year is over at once."""

import ast
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from simulator.delays import Delays
from simulator.sample import load_sample
from simulator.world.clock import WorldClock

SIMULATOR = Path(__file__).parents[2] / "simulator"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
# Who may wait, and for what. `wait` of anything else than an event of the process's own end would be a sleep.
WAITS = {
    "delays.py": {"gate.wait"},  # an answer that a fault holds back
    "server.py": {"self._stopping.wait"},  # the keeper, which saves
    "__main__.py": {"asked_to_stop.wait"},
}


def names(path: Path) -> Iterator[str]:
    """What a module imports, its attributes with what they are of, and names that speak of sleep."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name) and "sleep" in node.id:
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)
        elif isinstance(node, ast.alias):
            yield node.name


def waits_for_time(name: str) -> bool:
    return "sleep" in name or name.rpartition(".")[2] in {"wait", "wait_for", "Timer"}


@pytest.mark.parametrize(
    "path", sorted(SIMULATOR.rglob("*.py")), ids=lambda path: str(path.relative_to(SIMULATOR))
)
def test_nothing_in_the_simulator_sleeps(path: Path) -> None:
    allowed = WAITS.get(str(path.relative_to(SIMULATOR)), set())
    assert {name for name in names(path) if waits_for_time(name)} == allowed


def test_the_search_for_sleepers_finds_them(tmp_path: Path) -> None:
    module = tmp_path / "sleeper.py"
    module.write_text("from time import sleep as nap\nimport threading\nthreading.Event().wait(3)\nnap(2)\n")
    assert {name for name in names(module) if waits_for_time(name)} == {"sleep", "threading.Event().wait"}


def test_a_year_passes_in_a_second() -> None:
    world = load_sample(WorldClock.stepping(START))
    before = world.provisioning.job.last
    began = time.monotonic()

    world.step(timedelta(days=365))

    assert time.monotonic() - began < 15, "0.2 s on two cores; far beyond that, something waits"
    last = world.provisioning.job.last
    assert before is not None
    assert last is not None
    assert world.now() - timedelta(minutes=41) < last.began_at <= world.now()
    assert last.id != before.id


def test_a_scaled_world_runs_by_itself() -> None:
    real = [START]
    clock = WorldClock(factor=600, anchor_real=START, anchor_world=START, real=lambda: real[0])
    world = load_sample(clock)
    before = world.provisioning.job.last
    assert before is not None

    real[0] += timedelta(seconds=6)  # an hour there
    world.advance()

    last = world.provisioning.job.last
    assert last is not None
    assert last.began_at > before.began_at
    assert world.now() == START + timedelta(hours=1)


def test_an_answer_that_is_held_back_can_be_let_go() -> None:
    delays = Delays()
    threads = [threading.Thread(target=delays.hold, args=(60,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
        delays.let_go()  # again, because a thread may not have come to its gate yet
        threads[-1].join(timeout=0.01)
    assert not any(thread.is_alive() for thread in threads)
    assert delays.held == 0
