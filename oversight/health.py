"""Whether every hop of the way works, from PostgreSQL alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from catalog.freshness import HealthState, ages, provisioning_health


@dataclass(frozen=True, slots=True)
class Hop:
    """One part of the way from a request to access and back. `tone` is a badge's; `succeeded_at` is business time."""

    name: str
    tone: str
    state: str
    succeeded_at: datetime | None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """Everything on the health page."""

    hops: Sequence[Hop]

    @property
    def troubles(self) -> Sequence[Hop]:
        """The hops that need somebody."""
        return [hop for hop in self.hops if hop.tone == "problem"]


def health() -> Health:
    """As of now; a fixed number of queries, no cloud call."""
    return Health([*_catalogue(), _provisioning()])


def _catalogue() -> Sequence[Hop]:
    found = []
    for age in ages():
        tone, state = ("problem", "Failing") if age.problem else ("live", "Works")
        if age.read_at is None and not age.problem:
            tone, state = "waiting", "Not read yet"
        found.append(Hop(f"Catalogue: {age.label}", tone, state, age.read_at, age.problem))
    return found


def _provisioning() -> Hop:
    seen = provisioning_health()
    tone, state = {
        HealthState.WELL: ("live", "Works"),
        HealthState.SLOW: ("waiting", "Slow"),
        HealthState.STOPPED: ("problem", "Stopped"),
        HealthState.UNKNOWN: ("problem", "Not known"),
    }[seen.state]
    return Hop("Provisioning job", tone, state, seen.observed_at, seen.sentence)
