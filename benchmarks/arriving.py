"""Thirty approvals at once, paced and not: how long until each is usable, on the simulated clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from benchmarks.measuring import Figure
from benchmarks.setting import on_a_stage
from tests.support.burst import burst
from tests.support.servers import PostgresServer, as_role

PEOPLE = 30
SHARES = (("p50", 0.5), ("p95", 0.95), ("worst", 1.0))


def run(server: PostgresServer, *, people: int = PEOPLE) -> Iterator[Figure]:
    """Seconds of the simulated clouds' time, from the approval to the membership in AWS."""
    taken: dict[bool, dict[str, timedelta]] = {}
    for paced in (True, False):
        with on_a_stage(server):
            # Without on-demand provisioning, so that the path alone decides who comes at once and who waits a cycle.
            found = burst(as_role, people=people, groups=6, paced=paced, on_demand=False)
        taken[paced] = {name: found.share(share) for name, share in SHARES}
    for name, _ in SHARES:
        one, other = taken[True][name].total_seconds(), taken[False][name].total_seconds()
        yield Figure(
            f"arriving: thirty approvals at once, {name}, unpaced to paced",
            f"{other / one:.2f}",
            detail=f"{other:,.0f} s to {one:,.0f} s of simulated time",
        )
