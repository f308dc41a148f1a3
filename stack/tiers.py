"""Runs the tests tier by tier and prints each one's time against its budget: `make test`, `make proof`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from tests.support.servers import Session

ROOT = Path(__file__).resolve().parent.parent
NO_TESTS = 5  # pytest's exit code when it found none
# Where each pytest session leaves a report of what it exchanged with the simulated Graph (tests/support/graph_run.py).
REPORTS = "TEST_REPORTS"


@dataclass(frozen=True, slots=True)
class Tier:
    """Some folders of tests. `budget` is in seconds beside the others, on two cores.

    A tier is one process in one lane, or `workers` processes. One that `waits` for processes, clocks and pages more
    than it computes takes no lane: it runs beside the others from the beginning.
    """

    name: str
    folders: tuple[str, ...]
    budget: int
    workers: int = 0
    waits: bool = False


# So many tiers run at a time, besides those that wait. Each is read and run by one process: two that share a tier
# both have to read all of its tests, and the one that is ready first waits for the other.
LANES = 2

# What stands in no other tier is "unit".
TIERS = (
    Tier("lifecycle", ("tests/requests_app", "tests/oversight"), budget=400),
    Tier("pages", ("tests/pages", "tests/policy"), budget=100),
    Tier("trail", ("tests/audit",), budget=110),
    Tier("unit", (), budget=125),
    Tier("contract", ("tests/clients", "tests/simulator"), budget=145),
    Tier("races", ("tests/races",), budget=65),
    Tier("faults", ("tests/faults",), budget=400),
    Tier("browser", ("tests/browser",), budget=450, waits=True),
)
# Playwright leaves an event loop running in its process, in which Django refuses to touch a database: the browser's
# proofs have a session of their own.
PROOFS = (
    Tier("proof", (), budget=2350, workers=LANES),
    Tier("browser proof", ("tests/browser",), budget=1200, waits=True),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    tier: Tier
    code: int
    seconds: float
    summary: str
    red: tuple[str, ...] = ()


def pytest_arguments(tier: Tier, *, proof: bool, workers: int | None = None) -> list[str]:
    """How pytest is called for `tier`, by as many processes as it says, or as `workers` says."""
    arguments = [
        "-m",
        "proof and not marathon" if proof else "not proof",
        "--quiet",
        f"--numprocesses={tier.workers if workers is None else workers}",
        # The process that has nothing left takes half of what the other still has: dealt out beforehand, all the
        # longest ones once fell to one, and the other stood idle for half of the time.
        "--dist=worksteal",
    ]
    if tier.folders:
        return [*arguments, *tier.folders]
    others = [folder for other in (PROOFS if proof else TIERS) for folder in other.folders]
    arguments += [f"--ignore={folder}" for folder in others]
    return [*arguments, "tests"]


@dataclass(slots=True)
class GraphReport:
    """Operations of Microsoft Graph over several sessions, with the statuses seen, and those that the product uses."""

    exercised: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    used: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, folder: Path) -> GraphReport:
        """What the sessions left in `folder`."""
        report = cls()
        for path in sorted(folder.glob("graph-*.json")):
            left = json.loads(path.read_text())
            report.used.update(left["used"])
            for name, statuses in left["exercised"].items():
                report.exercised[name].update(statuses)
        return report

    @property
    def unmet(self) -> list[str]:
        """What the product uses and no test saw succeed: a refusal shows the request alone, and not the answer."""
        return sorted(name for name in self.used if not any(map(_succeeded, self.exercised.get(name, ()))))

    def text(self) -> str:
        """A line for each operation that the product uses, and a count of the others."""
        unmet = self.unmet
        lines = ["", "Microsoft Graph, operations that the product uses:"]
        for name in sorted(self.used):
            statuses = sorted(self.exercised.get(name, ()))
            seen = ", ".join(str(status) if status else "no answer" for status in statuses)
            lines.append(
                f"  {name}: {seen or 'NEVER EXERCISED'}{' NEVER SUCCEEDED' if seen and name in unmet else ''}"
            )
        others = len(set(self.exercised) - self.used)
        lines.append(f"  and {others} others")
        return "\n".join(lines)


def _succeeded(status: int) -> bool:
    return 200 <= status < 300


def run(tier: Tier, *, proof: bool, alone: bool = False) -> Outcome:
    """Run one tier, showing pytest's output in one piece afterwards, or as it comes where it runs `alone`.

    Alone, it has all the lanes.
    """
    title = f"\n--- {tier.name} (budget {tier.budget} s)\n"
    print(title if alone else f"{tier.name} begins", end="" if alone else "\n", flush=True)
    said = [title]
    began = time.monotonic()
    workers = LANES if alone and not tier.waits else None
    command = [sys.executable, "-m", "pytest", *pytest_arguments(tier, proof=proof, workers=workers)]
    last = ""
    red: list[str] = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if alone:
                print(line, end="", flush=True)
            else:
                said.append(line)
            if re.search(r"\d+ (passed|failed|error|deselected)|no tests ran", line):
                last = line.strip().strip("=").strip()
            if line.startswith(("FAILED ", "ERROR ")):
                red.append(line.strip())
    if not alone:
        print("".join(said), end="", flush=True)
    if proof and process.returncode == NO_TESTS:
        return Outcome(tier, 0, time.monotonic() - began, "no test is marked proof")
    return Outcome(tier, process.returncode, time.monotonic() - began, last.partition(" in ")[0], tuple(red))


def lanes(wanted: Sequence[Tier]) -> list[Tier]:
    """What takes a lane, in the order in which they begin: the longest first, so that both lanes end together."""
    return sorted((tier for tier in wanted if not tier.waits), key=lambda tier: -tier.budget)


def budget(wanted: Sequence[Tier]) -> int:
    """Seconds that these tiers may take in all."""
    shared = sum(tier.budget * max(tier.workers, 1) for tier in lanes(wanted))
    return max(*(tier.budget for tier in wanted), ceil(shared / LANES))


def run_all(wanted: Sequence[Tier], *, proof: bool) -> tuple[list[Outcome], float]:
    """Run these tiers; gives what came out, and how long they took in all (seconds)."""
    began = time.monotonic()
    waiting = [tier for tier in wanted if tier.waits]
    alone = len(wanted) == 1
    with ThreadPoolExecutor(LANES) as threads, ThreadPoolExecutor(len(waiting) + 1) as beside:
        aside = [beside.submit(run, tier, proof=proof, alone=alone) for tier in waiting]
        ran = [threads.submit(run, tier, proof=proof, alone=alone) for tier in lanes(wanted)]
        outcomes = [future.result() for future in (*ran, *aside)]
    return outcomes, time.monotonic() - began


def report(outcomes: list[Outcome], seconds: float) -> str:
    """The end of the output: what is red, then each tier's time against its budget, and that of all, in seconds.

    Whoever sees only the last lines, as those who read a long log do, has to see what failed.
    """
    lines = ["", *(line for outcome in outcomes for line in outcome.red)]
    lines += ["", f"{'tier':<13} {'seconds':>8} {'budget':>8}   result"]
    for outcome in outcomes:
        over = "  OVER ITS BUDGET" if outcome.seconds > outcome.tier.budget else ""
        state = "ok" if outcome.code == 0 else f"FAILED ({outcome.code})"
        lines.append(
            f"{outcome.tier.name:<13} {outcome.seconds:>8.1f} {outcome.tier.budget:>8}   "
            f"{state}: {outcome.summary}{over}"
        )
    lines.append(f"{'all':<13} {seconds:>8.1f} {budget([outcome.tier for outcome in outcomes]):>8}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """`test [TIER ...]` or `proof`; 0 when every tier passed."""
    proof = arguments[:1] == ["proof"]
    wanted = [tier for tier in TIERS if tier.name in arguments[1:] or not arguments[1:]]
    if proof:
        wanted = list(PROOFS)
    unknown = set(arguments[1:]) - {tier.name for tier in TIERS}
    if arguments[:1] not in (["test"], ["proof"]) or unknown:
        names = ", ".join(tier.name for tier in TIERS)
        print(f"Usage: python -m stack.tiers test [TIER ...] | proof; tiers: {names}", file=sys.stderr)
        return 2
    # One migrated PostgreSQL for all tiers.
    with tempfile.TemporaryDirectory(prefix="access-portal-reports-") as folder, Session.open():
        os.environ[REPORTS] = folder
        outcomes, seconds = run_all(wanted, proof=proof)
        graph = GraphReport.read(Path(folder))
    print(graph.text())
    print(report(outcomes, seconds))
    # Some tiers alone needn't meet every operation; all of them have to.
    unmet = graph.unmet if wanted == list(TIERS) else []
    for name in unmet:
        print(f"No test saw {name} succeed, which the product uses.", file=sys.stderr)
    # A tier without tests is a mistake: its folder moved, or nothing guards what it is named after.
    return 1 if unmet or any(outcome.code != 0 for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
