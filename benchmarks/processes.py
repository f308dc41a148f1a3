"""The running portal: memory of each process, and the way from an approver's click to the call that assigns."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from uuid import UUID

from benchmarks.measuring import Figure
from requests_app.models import Attempt, Grant
from stack.postgres import DATABASE
from stack.private import private_dir
from stack.processes import WORKER, Process
from stack.running import Stack
from tests.chaos.breaking import children_of
from tests.chaos.people import ITEM, Browser
from tests.chaos.run import Plan, cast
from tests.support.servers import PostgresServer, pointed_at

APPROVALS = 8
# Four in ten seconds may go along Entra's narrow path: slower than that, nobody waits for a turn.
APART = 4.0
ARRIVES_WITHIN = 60.0
SWEEPER = Process(WORKER, ("python", "manage.py", "sweep", "--loop"))


def run(server: PostgresServer, *, approvals: int = APPROVALS) -> Iterator[Figure]:
    """One stack at the pace of real time; first with its broker, then with the sweeper alone."""
    del server  # the stack has one of its own, whose commits reach the disk
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(private_dir(Path(folder, "stack"))) as stack,
    ):
        own = PostgresServer(stack.postgres.port, stack.postgres.passwords)
        with pointed_at(own, DATABASE, role="portal_worker"):
            plan = Plan(requesters=2 * approvals, approvers=1)
            approvers, requesters = cast(stack, plan, Path(folder))
            pairs = [(who, group) for who, groups in requesters.items() for group in groups]
            boss = Browser(stack.origin, approvers[0])
            with_bell = _spans(stack, boss, pairs[:approvals])
            yield from _memory(stack)
            _without_broker(stack)
            without = _spans(stack, boss, pairs[approvals : 2 * approvals])
    for name, place in (("p50", 49), ("p95", 94)):
        one, other = (quantiles(spans, n=100, method="inclusive")[place] for spans in (with_bell, without))
        yield Figure(
            f"processes: approve click to Graph call, {name}, sweeper alone to doorbell",
            f"{other / one:.1f}",
            detail=f"{other:.2f} s to {one:.2f} s, {len(without)} approvals each",
        )


def _spans(stack: Stack, boss: Browser, pairs: list[tuple[str, str]]) -> list[float]:
    """Seconds from the click to the beginning of the call, for one approval after another."""
    found = []
    for who, group in pairs:
        fields = {
            "justification": "Something is stuck there",
            "length": "other",
            "hours": "0",
            "minutes": "30",
            "reference": "CHG1",
        }
        asked = Browser(stack.origin, who).post(f"/access/{group}/request/", **fields)
        if asked.status_code != 302:
            continue
        request_id = asked.headers["Location"].strip("/").rpartition("/")[2]
        began = time.time()
        for item in ITEM.findall(boss.get("/approvals/"))[:1]:
            began = time.time()
            boss.decide(item, "approve")
        attempt = _assignment(UUID(request_id))
        if attempt is not None:
            found.append(attempt.started_at.timestamp() - began)
        time.sleep(max(0.0, began + APART - time.time()))
    return found


def _assignment(request_id: UUID) -> Attempt | None:
    """The call for this request, once it has begun; None when none begins in time."""
    until = time.monotonic() + ARRIVES_WITHIN
    while time.monotonic() < until:
        grant = Grant.objects.filter(first_request_id=request_id).first()
        attempt = Attempt.objects.filter(grant=grant, kind=Attempt.Kind.ASSIGN).order_by("started_at").first()
        if grant is not None and attempt is not None:
            return attempt
        time.sleep(0.05)
    return None


def _without_broker(stack: Stack) -> None:
    """Redis is gone, and so are Celery's processes: what is owed is done by `manage.py sweep --loop`."""
    for name, child in stack.children.items():
        if name.partition("-")[0] in {"worker", "beat"}:
            child.stop()
    stack.redis.stop()
    stack.start_beside("sweeper", SWEEPER)


def _memory(stack: Stack) -> Iterator[Figure]:
    for name, child in stack.children.items():
        pids = [child.process.pid, *children_of(child.process.pid)]
        rss, pss = (sum(_mib(pid, field) for pid in pids) for field in ("Rss", "Pss"))
        if name != "simulator":
            yield Figure(
                f"processes: {name}, MiB of its own (PSS)",
                f"{pss:.0f}",
                detail=f"RSS {rss:.0f} MiB over {len(pids)} processes",
            )


def _mib(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return 0.0
