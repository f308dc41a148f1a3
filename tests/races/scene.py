"""Threads on a stage: each with a database connection of its own, all let go at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.db import connections

from base import crash
from tests.support.stage import AsRole

PATIENCE_SECONDS = 60


def at_once[T](*actions: Callable[[], T]) -> list[T | Exception]:
    """Run each action in a thread of its own, started together; what each gave or raised, in their order."""
    together = threading.Barrier(len(actions))
    results: list[T | Exception] = [RuntimeError("not finished in time")] * len(actions)

    def run(number: int, action: Callable[[], T]) -> None:
        try:
            together.wait(PATIENCE_SECONDS)
            results[number] = action()
        except Exception as error:  # noqa: BLE001 - it is the result
            results[number] = error
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=run, args=(number, action), daemon=True)
        for number, action in enumerate(actions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    return results


def acting_as[T](as_role: AsRole, role: str, action: Callable[[], T]) -> Callable[[], T]:
    """The action with the rights of a database role, whichever thread runs it."""

    def run() -> T:
        with as_role(role):
            return action()

    return run


def raised(results: Sequence[object]) -> list[Exception]:
    """What the actions raised."""
    return [each for each in results if isinstance(each, Exception)]


@dataclass
class Paused:
    """A worker in a thread of its own that stops at a crash point until it is let go on."""

    point: str
    reached: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    _go_on: threading.Event = field(default_factory=threading.Event)
    errors: list[Exception] = field(default_factory=list)

    def start(self, action: Callable[[], object]) -> bool:
        """Run the action until it stops at the point; False when it ended without passing it."""
        self.finished.clear()
        worker = threading.Thread(target=self._run, args=(action,), daemon=True)
        crash.install(lambda reached: self._stop(worker, reached))
        worker.start()
        while worker.is_alive() and not self.reached.wait(0.05):
            pass
        return self.reached.is_set()

    def _stop(self, worker: threading.Thread, reached: str) -> None:
        if threading.current_thread() is worker and reached == self.point and not self.reached.is_set():
            self.reached.set()
            self._go_on.wait(PATIENCE_SECONDS)

    def _run(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - told to the test
            self.errors.append(error)
        finally:
            connections.close_all()
            self.finished.set()

    def go_on(self) -> None:
        """Let it run to its end."""
        self._go_on.set()
        assert self.finished.wait(PATIENCE_SECONDS), f"stuck after {self.point}"
        crash.install(None)
