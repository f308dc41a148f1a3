"""Answers that a `delay` fault holds back: the one place of the simulator where a request waits.

Nothing else waits for time, and nobody waits with the world's lock held.
"""

import threading
from collections.abc import Callable

LONGEST_DELAY_SECONDS = 120.0
type Hold = Callable[[float], None]


class Delays:
    """Holds answers back in real time, and lets them all go when asked to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gate = threading.Event()
        self._held = 0

    @property
    def held(self) -> int:
        """How many answers are held back now."""
        with self._lock:
            return self._held

    def hold(self, seconds: float) -> None:
        """Return after `seconds` of real time, at most two minutes, or as soon as `let_go` is called."""
        with self._lock:
            gate = self._gate
            self._held += 1
        try:
            gate.wait(min(seconds, LONGEST_DELAY_SECONDS))
        finally:
            with self._lock:
                self._held -= 1

    def let_go(self) -> None:
        """Answer everything that is held back now; later faults hold again."""
        with self._lock:
            gate, self._gate = self._gate, threading.Event()
        gate.set()


DELAYS = Delays()
"""Of this process; fronts use it unless they are given something else."""
