"""Starts processes in groups of their own, watches them, and stops every one of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from stack.private import StackError, die_with_parent

STOP_SECONDS = 12.0
# A process that has run this long is healthy again: its next crash counts as its first.
HEALTHY_SECONDS = 60.0
LONGEST_PAUSE = 30.0
MOST_CRASHES = 5


class Service(Protocol):
    """What the supervisor can watch: one of our processes, or an embedded server."""

    log_path: Path

    @property
    def process(self) -> subprocess.Popen[bytes]: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(slots=True)
class Child:
    """One process with its log. Its environment is given whole: nothing of ours is inherited.

    With `stdout_path`, what it prints goes to this file, emptied first, and only its errors to the log.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_path: Path
    folder: Path
    stdout_path: Path | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _log_from: int = field(default=0, init=False)
    _asked: bool = field(default=False, init=False)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process. Raises StackError when it hasn't been started."""
        if self._process is None:
            raise StackError(f"{self.name} hasn't been started.")
        return self._process

    def start(self) -> None:
        """Start it and return at once; what it prints goes to its log, after what is there."""
        with contextlib.ExitStack() as files:
            log = files.enter_context(self.log_path.open("ab"))
            self._log_from = log.tell()
            self._asked = False
            out = files.enter_context(self.stdout_path.open("wb")) if self.stdout_path else log
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,  # a process group of its own, which Ctrl-C doesn't reach
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509  # one C call, no Python lock
            )

    def ask_to_end(self) -> None:
        """Ask it to end, and don't wait."""
        if self._process is not None and not self._asked and self._process.poll() is None:
            self._asked = True  # once: some programs take a second signal for impatience
            self._process.terminate()

    def stop(self) -> None:
        """Ask it to end, wait, then kill it and whatever is left of its group."""
        process = self._process
        if process is None:
            return
        self.ask_to_end()
        self._process = None
        if process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def has_logged(self, text: str) -> bool:
        """Whether its log holds `text` since it was started."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_from)
            return text in log.read().decode(errors="replace")


def run_to_end(child: Child, *, seconds: float) -> None:
    """Run a process that is meant to end. Raises StackError, with the end of its log, when it fails."""
    child.start()
    try:
        code = child.process.wait(seconds)
    except subprocess.TimeoutExpired:
        child.stop()
        raise StackError(
            f"{child.name} took longer than {seconds:.0f} s. {log_tail(child.log_path)}"
        ) from None
    if code != 0:
        raise StackError(f"{child.name} failed. {log_tail(child.log_path)}")


def wait_until(condition: Callable[[], bool], child: Child, *, seconds: float) -> None:
    """Wait for a condition that `child` brings about.

    Raises StackError, with the end of its log, when it ends before, or takes too long.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if child.process.poll() is not None:
            raise StackError(f"{child.name} ended while starting. {log_tail(child.log_path)}")
        if time.monotonic() > deadline:
            raise StackError(f"{child.name} isn't ready after {seconds:.0f} s. {log_tail(child.log_path)}")
        time.sleep(0.05)


def log_tail(path: Path, lines: int = 8) -> str:
    """The end of a log, with where it is."""
    text = path.read_text(errors="replace") if path.exists() else ""
    return f"The end of {path}:\n" + "\n".join(text.splitlines()[-lines:])


@dataclass(slots=True)
class Watch:
    """Starts a service again when it has ended, with growing pauses; gives up when that doesn't help."""

    name: str
    service: Service
    say: Callable[[str], None]
    crashes: int = 0
    started: float = field(default_factory=time.monotonic)
    due: float | None = None

    def look(self) -> None:
        """Look once. Raises StackError when the service keeps ending."""
        now = time.monotonic()
        if self.due is not None:
            if now >= self.due:
                self.due = None
                self.started = now
                self.service.start()
            return
        code = self.service.process.poll()
        if code is None:
            return
        if now - self.started > HEALTHY_SECONDS:
            self.crashes = 0
        self.crashes += 1
        if self.crashes >= MOST_CRASHES:
            raise StackError(
                f"{self.name} ended {self.crashes} times in a row, so everything stops. "
                f"{log_tail(self.service.log_path)}"
            )
        pause = min(2.0 ** (self.crashes - 1), LONGEST_PAUSE)
        self.due = now + pause
        self.say(
            f"{self.name} ended ({describe(code)}); starting it again in {pause:.0f} s. "
            f"Its log: {self.service.log_path}"
        )
        self.service.stop()


def describe(code: int) -> str:
    """A process's end in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
