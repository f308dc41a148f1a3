"""`make demo` as a person meets it: started, met again, interrupted, killed, and with a part that fails."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from stack.private import LOOPBACK, port_is_free, remove_state
from stack.running import ROOT

# Generous, because other tests may keep the machine busy.
READY_SECONDS = 600
SOON_SECONDS = 120


class Demo:
    """One `python -m stack.demo`, its output, and every process below it."""

    def __init__(self, state: Path, *arguments: str, **environment: str) -> None:
        self.output = state.with_suffix(".out")
        self._from = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stack.demo", "--state-dir", str(state), *arguments],
                cwd=ROOT,
                env=os.environ | {"DEMO_SPEED": "60"} | environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.began = time.monotonic()

    def said(self) -> str:
        return self.output.read_bytes()[self._from :].decode()

    def wait_for(self, text: str, seconds: float = READY_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def origin(self) -> str:
        self.wait_for("Ctrl-C stops everything")
        line = next(line for line in self.said().splitlines() if "is ready after" in line)
        return line.split()[-1]

    def below(self) -> dict[int, int]:
        """Every process below the demo: process id → a descriptor that tells when it has ended."""
        parents = {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(status.parent.name)] = int(fields[1])
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        descriptors = {}
        for pid in found - {self.process.pid}:
            with suppress(ProcessLookupError):  # it has ended since it was listed
                descriptors[pid] = os.pidfd_open(pid)
        return descriptors

    def clear_away(self) -> None:
        """Stop it however the test went."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(SOON_SECONDS)

    def end(self, sig: signal.Signals) -> int:
        self.process.send_signal(sig)
        return self.process.wait(SOON_SECONDS)


type Starter = Callable[..., Demo]


def all_gone(descriptors: dict[int, int], seconds: float = SOON_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    left = set(descriptors.values())
    while left and time.monotonic() < deadline:
        ready, _, _ = select.select(left, [], [], 1)
        left -= set(ready)
    for descriptor in descriptors.values():
        os.close(descriptor)
    return not left


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "demo"
    remove_state(tmp_path / "demo")


@pytest.fixture
def start(state: Path) -> Iterator[Starter]:
    """Starts a demo on the test's state; all are gone afterwards."""
    with ExitStack() as started:

        def begin(*arguments: str, **environment: str) -> Demo:
            demo = Demo(state, *arguments, **environment)
            started.callback(demo.clear_away)
            return demo

        yield begin


def status_of(url: str) -> int:
    with urllib.request.urlopen(url, timeout=SOON_SECONDS) as answer:  # noqa: S310  # our own address
        return int(answer.status)


@pytest.mark.proof
def test_a_demo_from_start_to_ctrl_c_and_again(state: Path, start: Starter) -> None:
    with socket.socket() as squatter:
        squatter.bind((LOOPBACK, 0))
        squatter.listen()
        taken = squatter.getsockname()[1]
        first = start("--web-port", str(taken))
        origin = first.origin()
    assert not origin.endswith(f":{taken}")
    assert status_of(f"{origin}/healthz") == 200
    assert "Sign in as" in first.said()
    assert str(state / "logs") in first.said()

    second = start()
    assert second.process.wait(SOON_SECONDS) == 0
    assert f"The demo is already running (at {origin}, process {first.process.pid})" in first.said()

    below = first.below()
    assert len(below) >= 10
    assert first.end(signal.SIGINT) == 0
    assert all_gone(below)
    assert port_is_free(int(origin.rpartition(":")[2]))

    keys = [(state / name).read_text() for name in ("secret-key", "sealing-key.pem", "postgres/secrets.json")]
    left = json.loads((state / "clock.json").read_text())["business"]
    again = start()
    assert again.origin() == origin
    assert [
        (state / name).read_text() for name in ("secret-key", "sealing-key.pem", "postgres/secrets.json")
    ] == keys
    assert json.loads((state / "clock.json").read_text())["business"] > left

    kill_first(again, b"worker-1@")
    again.wait_for("worker-1 ended (signal SIGKILL); starting it again in 1 s.")
    assert status_of(f"{origin}/healthz") == 200

    below = again.below()
    again.process.kill()
    assert all_gone(below), "a killed demo left processes behind"


def command_line(pid: int) -> bytes:
    """How a process was called; nothing of one that has ended, as short-lived helpers of the parts do at any moment."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def kill_first(demo: Demo, words: bytes) -> None:
    """Kill the oldest process below the demo whose command line holds `words`. Raises ValueError when there is none."""
    processes = demo.below()
    found = [pid for pid in processes if words in command_line(pid)]
    signal.pidfd_send_signal(processes[min(found)], signal.SIGKILL)
    for descriptor in processes.values():
        os.close(descriptor)


def test_a_part_that_does_not_start_stops_the_rest_and_says_where_to_look(
    state: Path, start: Starter
) -> None:
    (state / "simulator").mkdir(parents=True)
    (state / "simulator" / "world.json").write_text("not a world")
    demo = start()
    assert demo.process.wait(READY_SECONDS) == 1
    assert "The demo can't go on: simulator ended while starting." in demo.said()
    assert "simulator.log" in demo.said()
    for kind in ("postgres", "redis"):
        port = state / kind / "port"
        assert not port.exists() or port_is_free(int(port.read_text()))


@pytest.mark.proof
def test_reset_starts_over_and_interrupted_while_starting_nothing_is_left(
    state: Path, start: Starter
) -> None:
    state.mkdir()
    (state / "of-an-earlier-run").touch()
    demo = start(RESET="1")
    demo.wait_for("Preparing the database")
    assert not (state / "of-an-earlier-run").exists()
    below = demo.below()
    assert below
    assert demo.end(signal.SIGINT) == 130
    assert all_gone(below)
    assert "nothing is left running" in demo.said()


@pytest.mark.parametrize("speed", ["fast", "0", "-3", "1e9"])
def test_a_senseless_speed_is_refused(state: Path, start: Starter, speed: str) -> None:
    state.mkdir()
    demo = start(DEMO_SPEED=speed, RESET="1")
    assert demo.process.wait(SOON_SECONDS) == 1
    assert state.exists(), "refused before anything was deleted"
    assert f"DEMO_SPEED is '{speed}'; use a number from 1" in demo.said()
