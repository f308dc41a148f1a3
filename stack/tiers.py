"""Runs the tests tier by tier and prints each one's time against its budget: `make test`, `make proof`."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NO_TESTS = 5  # pytest's exit code when it found none


@dataclass(frozen=True, slots=True)
class Tier:
    """Some folders of tests. `budget` is in seconds on two cores; `workers` 0 means one process."""

    name: str
    folders: tuple[str, ...]
    workers: int
    budget: int


# The quick ones first, so that a mistake shows early. What stands in no other tier is "unit".
TIERS = (
    Tier("unit", (), workers=2, budget=130),
    Tier("contract", ("tests/clients", "tests/simulator"), workers=2, budget=80),
    Tier("races", ("tests/races",), workers=2, budget=40),
    Tier("faults", ("tests/faults",), workers=2, budget=140),
    Tier("browser", ("tests/browser",), workers=0, budget=320),
)
PROOF = Tier("proof", (), workers=2, budget=2400)


@dataclass(frozen=True, slots=True)
class Outcome:
    tier: Tier
    code: int
    seconds: float
    summary: str


def pytest_arguments(tier: Tier, *, proof: bool) -> list[str]:
    """How pytest is called for `tier`."""
    arguments = ["-m", "proof" if proof else "not proof", "--quiet", f"--numprocesses={tier.workers}"]
    if tier.folders:
        return [*arguments, *tier.folders]
    if not proof:
        others = [folder for other in TIERS for folder in other.folders]
        arguments += [f"--ignore={folder}" for folder in others]
    return [*arguments, "tests"]


def run(tier: Tier, *, proof: bool) -> Outcome:
    """Run one tier, showing pytest's output as it comes."""
    print(f"\n--- {tier.name} (budget {tier.budget} s)", flush=True)
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", *pytest_arguments(tier, proof=proof)]
    last = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if re.search(r"\d+ (passed|failed|error|deselected)|no tests ran", line):
                last = line.strip().strip("=").strip()
    if proof and process.returncode == NO_TESTS:
        return Outcome(tier, 0, time.monotonic() - began, "no test is marked proof")
    return Outcome(tier, process.returncode, time.monotonic() - began, last.partition(" in ")[0])


def report(outcomes: list[Outcome]) -> str:
    """The table at the end: time of each tier against its budget."""
    lines = ["", f"{'tier':<10} {'seconds':>8} {'budget':>8}   result"]
    for outcome in outcomes:
        over = "  OVER ITS BUDGET" if outcome.seconds > outcome.tier.budget else ""
        state = "ok" if outcome.code == 0 else f"FAILED ({outcome.code})"
        lines.append(
            f"{outcome.tier.name:<10} {outcome.seconds:>8.1f} {outcome.tier.budget:>8}   "
            f"{state}: {outcome.summary}{over}"
        )
    seconds = sum(outcome.seconds for outcome in outcomes)
    budget = sum(outcome.tier.budget for outcome in outcomes)
    lines.append(f"{'all':<10} {seconds:>8.1f} {budget:>8}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """`test [TIER ...]` or `proof`; 0 when every tier passed."""
    proof = arguments[:1] == ["proof"]
    wanted = [PROOF] if proof else [tier for tier in TIERS if tier.name in arguments[1:] or not arguments[1:]]
    unknown = set(arguments[1:]) - {tier.name for tier in TIERS}
    if arguments[:1] not in (["test"], ["proof"]) or unknown:
        names = ", ".join(tier.name for tier in TIERS)
        print(f"Usage: python -m stack.tiers test [TIER ...] | proof; tiers: {names}", file=sys.stderr)
        return 2
    outcomes = [run(tier, proof=proof) for tier in wanted]
    print(report(outcomes))
    # A tier without tests is a mistake: its folder moved, or nothing guards what it is named after.
    return max((1 for outcome in outcomes if outcome.code != 0), default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
