"""`make demo`: everything on this machine, until Ctrl-C.

DEMO_SPEED is the factor of business time (default 20: an hour of access takes three minutes).
RESET=1 deletes what earlier runs made. With `--once-ready COMMAND...`, runs COMMAND when everything is up and
ends with it; PORTAL_ORIGIN and CONTROL_URL tell it where everything is.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from stack.private import LOOPBACK, StackError, private_dir, remove_state, write_private
from stack.running import ROOT, Stack

DEFAULT_SPEED = 20.0
FASTEST = 3600.0
WEB_PORT = 8000
STATE = ROOT / ".state" / "demo"


class BusyError(StackError):
    """Another demo runs on the same state."""


@contextlib.contextmanager
def only_one(state: Path) -> Iterator[None]:
    """Hold the demo's lock. Raises BusyError, with where the other one answers."""
    lock_folder = private_dir(state.parent / f"{state.name}-lock")
    with (lock_folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = lock_folder / "running.json"
            facts = json.loads(other.read_text()) if other.exists() else {}
            where = f"at {facts['origin']}, process {facts['pid']}" if facts else "and is still starting"
            raise BusyError(
                f"The demo is already running ({where}). Stop it with Ctrl-C where it runs."
            ) from None
        yield


@contextlib.contextmanager
def announced(state: Path, stack: Stack) -> Iterator[None]:
    """While the body runs, others can read where the demo answers."""
    path = state.parent / f"{state.name}-lock" / "running.json"
    write_private(path, json.dumps({"origin": stack.origin, "pid": os.getpid()}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def describe(stack: Stack, seconds: float) -> str:
    """What a person needs to know once everything runs."""
    lines = ["", f"Access Portal is ready after {seconds:.0f} s:  {stack.origin}", "", "Sign in as"]
    lines += [f"  {person['name']:<22} {person['upn']:<36} {person['what']}" for person in stack.people()]
    hour = 60 / stack.speed
    lines += [
        "",
        f"Business time runs {stack.speed:g} times as fast: an hour of access takes {hour:.1f} minutes.",
        f"In the portal it is {stack.business_now():%Y-%m-%d %H:%M} UTC. DEMO_SPEED=N changes the speed.",
        f"Mail to people:     {stack.origin}/demo/mail/",
        f"Each process's log: {stack.logs}",
        f"Simulated clouds:   {stack.control_url}",
        "Ctrl-C stops everything and keeps the data; make demo RESET=1 starts over.",
    ]
    return "\n".join(lines)


def serve(stack: Stack, stop: threading.Event) -> None:
    """Watch everything until `stop` is set. Raises StackError when a process keeps ending."""
    while not stop.wait(0.5):
        stack.watch()


def run_once(stack: Stack, command: list[str], stop: threading.Event) -> int:
    """Run `command` against the stack; its exit code."""
    environment = os.environ | {"PORTAL_ORIGIN": stack.origin, "CONTROL_URL": stack.control_url}
    with subprocess.Popen(command, env=environment) as process:
        while process.poll() is None:
            if stop.wait(0.5):
                process.terminate()
                break
            stack.watch()
    return process.returncode


def speed_from(text: str) -> float:
    """DEMO_SPEED as a number. Raises StackError for what isn't a sensible one."""
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 1 <= speed <= FASTEST:
        raise StackError(f"DEMO_SPEED is {text!r}; use a number from 1 (real time) to {FASTEST:.0f}.")
    return speed


def main(arguments: list[str]) -> int:
    """Run the demo until it is told to stop; 0 when it ended as asked."""
    parser = argparse.ArgumentParser(prog="python -m stack.demo", description=__doc__)
    parser.add_argument("--state-dir", type=Path, default=STATE)
    parser.add_argument("--web-port", type=int, default=WEB_PORT, help="taken when it is free")
    parser.add_argument("--simulator-ports", type=int, help="the first of three, taken when they are free")
    parser.add_argument("--bind", default=LOOPBACK, help="another address makes sense in a container only")
    parser.add_argument("--once-ready", nargs=argparse.REMAINDER, default=[], metavar="COMMAND")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    interrupted = _stop_on_signals(stop)
    began = time.monotonic()
    try:
        speed = speed_from(os.environ.get("DEMO_SPEED") or str(DEFAULT_SPEED))
        with only_one(options.state_dir):
            if os.environ.get("RESET", "") not in ("", "0"):
                print("Deleting the data of earlier runs ...", flush=True)
                remove_state(options.state_dir)
            stack = Stack(
                options.state_dir,
                speed=speed,
                web_port=options.web_port,
                simulator_ports=options.simulator_ports,
                bind=options.bind,
                say=lambda text: print(text, flush=True),
            )
            with stack, announced(options.state_dir, stack):
                interrupted.armed = False
                print(describe(stack, time.monotonic() - began), flush=True)
                if options.once_ready:
                    return run_once(stack, options.once_ready, stop)
                serve(stack, stop)
                print("\nStopping ...", flush=True)
    except KeyboardInterrupt:
        print("Stopped while starting; nothing is left running.", flush=True)
        return 130
    except BusyError as busy:
        print(busy)
        return 0
    except StackError as error:
        print(f"\nThe demo can't go on: {error}", file=sys.stderr, flush=True)
        return 1
    print("Stopped.", flush=True)
    return 0


class _Interrupt:
    """While starting, a signal raises in whatever is being waited for; later it is only noted."""

    def __init__(self) -> None:
        self.armed = True


def _stop_on_signals(stop: threading.Event) -> _Interrupt:
    interrupt = _Interrupt()

    def handle(_number: int, _frame: object) -> None:
        stop.set()
        if interrupt.armed:
            interrupt.armed = False  # a second one doesn't disturb the stopping
            raise KeyboardInterrupt

    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, handle)
    return interrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
