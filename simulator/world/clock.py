"""The clock of the simulated world: real, scaled, or stepped by a test. It never sleeps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


def real_now() -> datetime:
    """The machine's time, in UTC."""
    return datetime.now(UTC)


@dataclass
class WorldClock:
    """world = anchor_world + (real - anchor_real) * factor + steps; a stepped clock has factor 0.

    The formula is the business clock's, so that both sides agree when they get the same anchors.
    """

    factor: float = 1.0
    anchor_real: datetime = field(default_factory=real_now)
    anchor_world: datetime | None = None
    stepped: timedelta = timedelta()
    real: Callable[[], datetime] = real_now

    @classmethod
    def stepping(cls, start: datetime) -> "WorldClock":
        """A clock that stands at `start` until somebody steps it."""
        return cls(factor=0.0, anchor_real=start, anchor_world=start)

    @classmethod
    def scaled(cls, factor: float, *, anchor_real: datetime, anchor_world: datetime) -> "WorldClock":
        """A clock that runs `factor` times as fast as real time from the anchors on."""
        return cls(factor=factor, anchor_real=anchor_real, anchor_world=anchor_world)

    def now(self) -> datetime:
        """The world's time, in UTC."""
        start = self.anchor_world if self.anchor_world is not None else self.anchor_real
        elapsed = (self.real() - self.anchor_real) * self.factor if self.factor else timedelta()
        return start + elapsed + self.stepped

    def step(self, by: timedelta) -> datetime:
        """Move forward and return the new time. Raises ValueError for a negative step."""
        if by < timedelta():
            raise ValueError("time only moves forward")
        self.stepped += by
        return self.now()
