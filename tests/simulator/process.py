"""Run the simulator as a process of its own, as the demo does."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
READY_WITHIN_SECONDS = 60
STOPS_WITHIN_SECONDS = 20


@dataclass(frozen=True)
class SimulatorProcess:
    """A running simulator and the line that it printed."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API; gives the JSON of the answer, None when there is no body."""
        response = httpx.request(method, f"{self.said['control_url']}{path}", json=body, timeout=30)
        response.raise_for_status()
        return response.json() if response.content else None


def start(state_dir: Path, *arguments: str) -> SimulatorProcess:
    """Start it and wait until it says that it is ready. Raises RuntimeError with its errors otherwise."""
    log = state_dir.parent / f"{state_dir.name}.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "simulator", "--state-dir", str(state_dir), *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    lines: queue.Queue[str] = queue.Queue()
    stdout = process.stdout
    assert stdout is not None
    threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
    try:
        said = json.loads(lines.get(timeout=READY_WITHIN_SECONDS))
    except (queue.Empty, ValueError) as reason:
        process.kill()
        process.wait()
        stdout.close()
        raise RuntimeError(f"the simulator did not start: {log.read_text()[-3000:]}") from reason
    return SimulatorProcess(process, said)


def stop(running: SimulatorProcess) -> int:
    """Ask it to stop and give its exit status."""
    running.process.terminate()
    try:
        return running.process.wait(timeout=STOPS_WITHIN_SECONDS)
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
        if running.process.stdout is not None:
            running.process.stdout.close()


@contextmanager
def simulator_process(state_dir: Path, *arguments: str) -> Iterator[SimulatorProcess]:
    """A simulator that runs until the block ends."""
    running = start(state_dir, *arguments)
    try:
        yield running
    finally:
        stop(running)
