"""What goes wrong in a run: processes are killed, PostgreSQL is stopped at once, a tenth of the calls fails.

Only processes that this run's own stack started are killed, by their ids. Everything here runs in the main thread:
a child dies with the thread that started it.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from stack.postgres import stop_server
from stack.private import StackError
from stack.processes import BEAT, WEB
from stack.running import Stack
from stack.supervisor import Service

# How often each is killed, out of a hundred.
SHARES = {"worker": 12, "pool child": 48, "web": 10, "web child": 14, "beat": 8, "redis": 8}
FAULTY = 0.1  # of all calls of the product
OPERATIONS = ("graph.*", "aws.*")
# In the proportions of what clouds do: lost before, worked and lost, errors, throttled, late.
KINDS: tuple[tuple[dict[str, Any], int], ...] = (
    ({"kind": "lose_request"}, 20),
    ({"kind": "lose_answer"}, 15),
    ({"kind": "error_after", "status": 504}, 15),
    ({"kind": "error", "status": 500}, 12),
    ({"kind": "error", "status": 503}, 8),
    ({"kind": "throttle", "retry_after": 2}, 20),
    ({"kind": "delay", "seconds": 3}, 10),
)
STALE_SECONDS = 300  # of the clouds' time: five seconds of a run


@dataclass
class Breaker:
    """Kills, restarts what has ended, and lets calls to the simulated clouds fail."""

    stack: Stack
    seed: int
    killed: Counter[str] = field(default_factory=Counter)
    restarts_of_postgres: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    stale_spells: int = 0
    calls: int = 0  # of everybody, sign-ins too
    fitted: int = 0  # to Graph and AWS while a tenth failed
    _dice: random.Random = field(init=False)
    _flush: bool = False

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._control = requests.Session()
        self._control.trust_env = False
        self.calls = self._count_calls()

    def services(self) -> dict[str, Service]:
        """All that is started again when it ends; the simulated clouds are nobody's to kill."""
        return {
            **{name: child for name, child in self.stack.children.items() if name != "simulator"},
            "redis": self.stack.redis,
        }

    def keep_alive(self) -> None:
        """Start again what has ended, at once."""
        for name, service in self.services().items():
            if service.process.poll() is None:
                continue
            service.stop()
            if name == "redis" and self._flush:
                # Every second time it comes back empty.
                shutil.rmtree(self.stack.redis.state_dir / "appendonlydir", ignore_errors=True)
            with contextlib.suppress(StackError):  # it ended again while starting: the next look tries anew
                service.start()

    def kill_one(self) -> None:
        """SIGKILL to one process, if one of the kind that was drawn is up."""
        kind = self._dice.choices(list(SHARES), weights=list(SHARES.values()))[0]
        victims = self._victims(kind)
        if not victims:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._dice.choice(victims), signal.SIGKILL)
            self.killed[kind] += 1
            if kind == "redis":
                self._flush = not self._flush

    def _victims(self, kind: str) -> list[int]:
        alive = {
            name: service.process.pid
            for name, service in self.services().items()
            if service.process.poll() is None
        }
        workers = [pid for name, pid in alive.items() if name.partition("-")[0] == "worker"]
        match kind:
            case "worker":
                return workers
            case "pool child":
                return [child for pid in workers for child in children_of(pid)]
            case "web":
                return [alive[WEB]] if WEB in alive else []
            case "web child":
                return children_of(alive[WEB]) if WEB in alive else []
            case "beat":
                return [alive[BEAT]] if BEAT in alive else []
            case _:
                return [alive["redis"]] if "redis" in alive else []

    def restart_postgres(self) -> None:
        """Stop it as `pg_ctl -m immediate` does, without a checkpoint, and start it again: it recovers."""
        process = self.stack.postgres.process
        process.send_signal(signal.SIGQUIT)
        process.wait(30)
        stop_server(process)
        self.stack.postgres.start()
        self.restarts_of_postgres += 1

    # ------------------------------------------------------------ the clouds

    def _control_call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._control.request(method, f"{self.stack.control_url}{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _count_calls(self) -> int:
        return int(self._control_call("GET", "/calls?count=1")["total"])

    def fail_calls(self) -> None:
        """From now on a tenth of the calls fails, however many there are and whenever they come."""
        for operation in OPERATIONS:
            left = 1.0  # the share that comes past the faults before: the oldest that meets a call is used
            for settings, share in KINDS:
                part = FAULTY * share / sum(share for _, share in KINDS)
                standing = {"count": None, "rate": part / left, "seed": self.seed}
                self._control_call("POST", "/faults", {"operation": operation, **settings, **standing})
                left -= part

    def note_calls(self) -> None:
        """Learn from the clouds how many calls there were, and how many met which fault."""
        self.calls = self._count_calls()
        taken, fitted = Counter[str](), 0
        for fault in self._control_call("GET", "/faults"):
            taken[fault["kind"]] += fault["taken"]
            # Every call comes to the first kind.
            fitted += fault["fitted"] if fault["kind"] == KINDS[0][0]["kind"] else 0
        self.faults, self.fitted = taken, fitted

    def be_stale(self, *, stale: bool) -> None:
        """Graph's reads show the past, or don't."""
        self._control_call("PATCH", "/switches", {"replication_seconds": STALE_SECONDS if stale else 0})
        self.stale_spells += stale

    def mend(self) -> None:
        """No faults any more; what there was is noted."""
        self.note_calls()
        self._control_call("DELETE", "/faults")
        self._control_call("PATCH", "/switches", {"replication_seconds": 0})


def children_of(pid: int) -> list[int]:
    """The processes that this one started, one level down."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
