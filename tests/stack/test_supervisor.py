"""Processes: started with nothing of ours, stopped with all of theirs, started again within reason."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from stack import supervisor
from stack.private import StackError
from stack.supervisor import Child, Watch, describe, run_to_end, wait_until


def python(tmp_path: Path, program: str, **environment: str) -> Child:
    needed = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    command = [sys.executable, "-c", program]
    return Child("thing", command, needed | environment, tmp_path / "thing.log", tmp_path)


def test_a_child_sees_only_the_environment_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the developer's shell")
    run_to_end(python(tmp_path, "import os; print(sorted(os.environ))", GIVEN="1"), seconds=10)
    assert "GIVEN" in (tmp_path / "thing.log").read_text()
    assert "AWS_SECRET_ACCESS_KEY" not in (tmp_path / "thing.log").read_text()


def test_stopping_takes_the_whole_group_even_who_ignores_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.2)
    child = python(
        tmp_path,
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('inner', inner.pid, flush=True)\n"
        "time.sleep(600)\n",
    )
    child.start()
    outer = child.process
    wait_until(lambda: child.has_logged("inner "), child, seconds=10)
    inner = os.pidfd_open(int(child.log_path.read_text().split()[1]))
    child.stop()
    assert outer.returncode is not None
    ready, _, _ = select.select([inner], [], [], 10)
    os.close(inner)
    assert ready, "a process of the group is still there"


def test_waiting_says_that_it_ended_and_shows_the_log(tmp_path: Path) -> None:
    child = python(tmp_path, "raise SystemExit('no such key: SECRET_KEY')")
    child.start()
    with pytest.raises(StackError, match=r"thing ended while starting[\s\S]*no such key"):
        wait_until(lambda: False, child, seconds=10)
    child.stop()


def test_waiting_ends(tmp_path: Path) -> None:
    child = python(tmp_path, "import time; time.sleep(600)")
    child.start()
    with pytest.raises(StackError, match="isn't ready after"):
        wait_until(lambda: False, child, seconds=0.1)
    child.stop()


def test_a_command_that_fails_or_hangs_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"thing failed[\s\S]*boom"):
        run_to_end(python(tmp_path, "raise SystemExit('boom')"), seconds=10)
    with pytest.raises(StackError, match="took longer than"):
        run_to_end(python(tmp_path, "import time; time.sleep(600)"), seconds=0.1)


def test_only_what_was_logged_since_the_start_counts(tmp_path: Path) -> None:
    child = python(tmp_path, "print('ready.')")
    child.log_path.write_text("ready. (yesterday)\n")
    child.start()
    child.process.wait(10)
    assert child.has_logged("ready.")
    assert not child.has_logged("yesterday")


class Clock:
    """A monotonic clock that a test steps."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(supervisor, "time", clock)
    return clock


def service(tmp_path: Path, *codes: int | None) -> Mock:
    fake = Mock(log_path=tmp_path / "thing.log")
    fake.process = Mock(spec=subprocess.Popen)
    fake.process.poll.side_effect = codes
    return fake


def test_a_crashed_service_is_started_again_after_a_growing_pause(tmp_path: Path, clock: Clock) -> None:
    said: list[str] = []
    fake = service(tmp_path, 1, -9, None)
    watch = Watch("thing", fake, said.append)
    watch.look()
    assert "exit code 1" in said[0]
    assert "in 1 s" in said[0]
    clock.now += 0.9
    watch.look()
    fake.start.assert_not_called()
    clock.now += 0.2
    watch.look()
    fake.start.assert_called_once()
    watch.look()
    assert "signal SIGKILL" in said[1]
    assert "in 2 s" in said[1]


def test_a_service_that_keeps_ending_ends_everything(tmp_path: Path, clock: Clock) -> None:
    watch = Watch("thing", service(tmp_path, *[1] * 5), Mock())
    for _ in range(4):
        watch.look()
        clock.now += 31
        watch.look()
    with pytest.raises(StackError, match="ended 5 times in a row"):
        watch.look()


def test_a_crash_after_a_long_healthy_time_counts_as_the_first(tmp_path: Path, clock: Clock) -> None:
    said: list[str] = []
    watch = Watch("thing", service(tmp_path, 1, 1), said.append)
    watch.look()
    clock.now += 2
    watch.look()
    clock.now += supervisor.HEALTHY_SECONDS + 1
    watch.look()
    assert "in 1 s" in said[1]


def test_ends_are_described_in_words() -> None:
    assert (describe(-15), describe(3)) == ("signal SIGTERM", "exit code 3")
