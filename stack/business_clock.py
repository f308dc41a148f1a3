"""The demo's business clock: its anchors, kept between runs. It stands still while nothing runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stack.private import write_private

# How often a running demo writes down how far the clock has come. Each mark lies ahead of the next one, so
# business time never goes back, even after a demo that was killed.
MARK_EVERY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Anchors:
    """business = anchor_business + (real - anchor_real) * factor; both instants aware, in UTC."""

    real: datetime
    business: datetime
    factor: float

    def at(self, real: datetime) -> datetime:
        """The business instant that belongs to a real one."""
        return self.business + (real - self.real) * self.factor

    def variables(self) -> dict[str, str]:
        """The product's settings for it."""
        return {
            "BUSINESS_CLOCK_FACTOR": f"{self.factor:g}",
            "BUSINESS_CLOCK_ANCHOR_REAL": self.real.isoformat(),
            "BUSINESS_CLOCK_ANCHOR_BUSINESS": self.business.isoformat(),
        }

    def arguments(self) -> list[str]:
        """The simulator's options for it."""
        return [
            *("--clock-factor", f"{self.factor:g}"),
            *("--clock-anchor-real", self.real.isoformat()),
            *("--clock-anchor-business", self.business.isoformat()),
        ]


def begin(path: Path, factor: float) -> Anchors:
    """Anchors for a run that begins now: business time goes on where it was left, never behind real time."""
    real = datetime.now(UTC)
    business = real
    if path.exists():
        left = datetime.fromisoformat(json.loads(path.read_text())["business"])
        business = max(business, left)
    anchors = Anchors(real, business, factor)
    mark(path, anchors, stopped=False)
    return anchors


def mark(path: Path, anchors: Anchors, *, stopped: bool) -> None:
    """Write down how far the clock has come, or will have come when the next mark is due."""
    real = datetime.now(UTC) + (timedelta() if stopped else 2 * MARK_EVERY)
    write_private(path, json.dumps({"business": anchors.at(real).isoformat()}) + "\n")
