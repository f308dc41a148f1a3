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
from pathlib import Path

from tests.support.servers import Session

ROOT = Path(__file__).resolve().parent.parent
NO_TESTS = 5  # pytest's exit code when it found none
# Where each pytest session leaves a report of what it exchanged with the simulated Graph (tests/support/graph_run.py).
REPORTS = "TEST_REPORTS"


@dataclass(frozen=True, slots=True)
class Tier:
    """Some folders of tests. `budget` is in seconds on two cores; `workers` 0 means one process.

    `beside` names a tier that this one runs beside, as it waits for processes, clocks and pages more than it computes.
    """

    name: str
    folders: tuple[str, ...]
    workers: int
    budget: int
    beside: str = ""


# The quick ones first, so that a mistake shows early. What stands in no other tier is "unit".
TIERS = (
    Tier("unit", (), workers=2, budget=260),
    Tier("contract", ("tests/clients", "tests/simulator"), workers=2, budget=105),
    Tier("races", ("tests/races",), workers=2, budget=45),
    Tier("faults", ("tests/faults",), workers=2, budget=250),
    Tier("browser", ("tests/browser",), workers=0, budget=310, beside="unit"),
)
# Playwright leaves an event loop running in its process, in which Django refuses to touch a database: the browser's
# proofs have a session of their own.
PROOFS = (
    Tier("proof", (), workers=2, budget=2000),
    Tier("browser proof", ("tests/browser",), workers=0, budget=400),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    tier: Tier
    code: int
    seconds: float
    summary: str


def pytest_arguments(tier: Tier, *, proof: bool) -> list[str]:
    """How pytest is called for `tier`."""
    arguments = [
        "-m",
        "proof and not marathon" if proof else "not proof",
        "--quiet",
        f"--numprocesses={tier.workers}",
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
        """What the product uses and no test met."""
        return sorted(self.used - set(self.exercised))

    def text(self) -> str:
        """A line for each operation that the product uses, and a count of the others."""
        lines = ["", "Microsoft Graph, operations that the product uses:"]
        for name in sorted(self.used):
            statuses = sorted(self.exercised.get(name, ()))
            seen = ", ".join(str(status) if status else "no answer" for status in statuses)
            lines.append(f"  {name}: {seen or 'NEVER EXERCISED'}")
        others = len(set(self.exercised) - self.used)
        lines.append(f"  and {others} others")
        return "\n".join(lines)


def run(tier: Tier, *, proof: bool) -> Outcome:
    """Run one tier, showing pytest's output as it comes, or in one piece afterwards where it runs beside another."""
    said = [f"\n--- {tier.name} (budget {tier.budget} s)\n"]
    if not tier.beside:
        print(said.pop(), end="", flush=True)
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", *pytest_arguments(tier, proof=proof)]
    last = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if tier.beside:
                said.append(line)
            else:
                print(line, end="", flush=True)
            if re.search(r"\d+ (passed|failed|error|deselected)|no tests ran", line):
                last = line.strip().strip("=").strip()
    if tier.beside:
        print("".join(said), end="", flush=True)
    if proof and process.returncode == NO_TESTS:
        return Outcome(tier, 0, time.monotonic() - began, "no test is marked proof")
    return Outcome(tier, process.returncode, time.monotonic() - began, last.partition(" in ")[0])


def groups(wanted: Sequence[Tier]) -> list[list[Tier]]:
    """What runs one after another; tiers of one group run at the same time."""
    found: list[list[Tier]] = []
    for tier in wanted:
        together = next((group for group in found if tier.beside in {each.name for each in group}), None)
        if together is None:
            found.append([tier])
        else:
            together.append(tier)
    return found


def budget(wanted: Sequence[Tier]) -> int:
    """Seconds that these tiers may take in all."""
    return sum(max(tier.budget for tier in group) for group in groups(wanted))


def run_all(wanted: Sequence[Tier], *, proof: bool) -> tuple[list[Outcome], float]:
    """Run these tiers; gives what came out, and how long they took in all (seconds)."""
    began = time.monotonic()
    outcomes: list[Outcome] = []
    for group in groups(wanted):
        with ThreadPoolExecutor(len(group)) as threads:
            outcomes += threads.map(lambda tier: run(tier, proof=proof), group)
    return outcomes, time.monotonic() - began


def report(outcomes: list[Outcome], seconds: float) -> str:
    """The table at the end: time of each tier against its budget, and of all, in seconds."""
    lines = ["", f"{'tier':<10} {'seconds':>8} {'budget':>8}   result"]
    for outcome in outcomes:
        over = "  OVER ITS BUDGET" if outcome.seconds > outcome.tier.budget else ""
        state = "ok" if outcome.code == 0 else f"FAILED ({outcome.code})"
        lines.append(
            f"{outcome.tier.name:<10} {outcome.seconds:>8.1f} {outcome.tier.budget:>8}   "
            f"{state}: {outcome.summary}{over}"
        )
    lines.append(f"{'all':<10} {seconds:>8.1f} {budget([outcome.tier for outcome in outcomes]):>8}")
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
        print(f"No test met {name}, which the product uses.", file=sys.stderr)
    # A tier without tests is a mistake: its folder moved, or nothing guards what it is named after.
    return 1 if unmet or any(outcome.code != 0 for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
