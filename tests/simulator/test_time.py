"""One clock for the whole simulated world: nothing sleeps, and a year is over at once."""

import ast
import select
import threading
import time
from collections.abc import Callable, Iterator
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


# Waits with a limit of their own while a server or a keeper is stopped.
ENDS = {
    "listener.py": {"socket.create_connection", "stopping.join", "self._thread.join"},
    "server.py": {"self._keeper.join"},
}
SLEEPERS = {"wait", "wait_for", "Timer", "sigtimedwait"}
WAITING_MODULES = {"select", "selectors", "sched"}
LIMITS = {"timeout", "timeout_seconds", "block"}


def names(path: Path) -> Iterator[str]:
    """What a module imports, its attributes with what they are of, and names that speak of sleep."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name) and "sleep" in node.id:
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{each.name}" for each in node.names)


def limited(path: Path) -> Iterator[str]:
    """Calls that take a time to wait: by the name of an argument, or a thread's `join` with a number or nothing."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        joins = name.endswith(".join") and all(
            isinstance(each, ast.Constant) and not isinstance(each.value, str) for each in node.args
        )
        if joins or any(each.arg in LIMITS for each in node.keywords):
            yield name


def waits_for_time(name: str) -> bool:
    first, last = name.partition(".")[0], name.rpartition(".")[2]
    return "sleep" in name or first in WAITING_MODULES or last in SLEEPERS


@pytest.mark.parametrize(
    "path", sorted(SIMULATOR.rglob("*.py")), ids=lambda path: str(path.relative_to(SIMULATOR))
)
def test_nothing_in_the_simulator_sleeps(path: Path) -> None:
    module = str(path.relative_to(SIMULATOR))
    assert {name for name in names(path) if waits_for_time(name)} == WAITS.get(module, set())
    # A server is made with limits for its clients' connections, which hold nobody up.
    assert set(limited(path)) - {"wsgi.Server"} == ENDS.get(module, set())


def test_the_search_for_sleepers_finds_them(tmp_path: Path) -> None:
    module = tmp_path / "sleeper.py"
    module.write_text(
        "from time import sleep as nap\nimport threading, queue, select\nthreading.Event().wait(3)\nnap(2)\n"
        "select.select([], [], [], 3)\nqueue.Queue().get(timeout=3)\nthreading.Lock().acquire(timeout=3)\n"
        "threading.Thread().join(3)\nthread.join()\n', '.join(names)\n"
    )
    assert {name for name in names(module) if waits_for_time(name)} == {
        "time.sleep",
        "select",
        "threading.Event().wait",
        "select.select",
    }
    assert set(limited(module)) == {
        "queue.Queue().get",
        "threading.Lock().acquire",
        "threading.Thread().join",
        "thread.join",
    }


def test_a_year_passes_without_waiting_and_in_no_more_steps_than_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How long that takes is the machine's affair: `python -m benchmarks worlds` measures it."""
    world = load_sample(WorldClock.stepping(START))
    before = world.provisioning.job.last

    stepping = threading.get_ident()

    def refusing(usual: Callable[..., object]) -> Callable[..., object]:
        """Other threads of the process, of servers that a session shares, go on as they do."""

        def refuse(*given: object, **named: object) -> object:
            assert threading.get_ident() != stepping, "something waits"
            return usual(*given, **named)

        return refuse

    for place, name in (
        (time, "sleep"),
        (select, "select"),
        (threading.Condition, "wait"),
        (threading.Thread, "start"),
        (threading.Thread, "join"),
    ):
        monkeypatch.setattr(place, name, refusing(getattr(place, name)))
    waiting = len(world.state.due)
    world.clock.step(timedelta(days=365))
    steps = world.advance()
    monkeypatch.undo()

    cycles = timedelta(days=365) / world.provisioning.interval
    assert 2 * cycles - 2 <= steps <= 2 * cycles + 2 * waiting, (
        "each cycle begins and ends; little else is due"
    )
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
