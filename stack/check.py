"""Every static check, one after another: `make check`. Runs them all, then says which failed."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PRODUCT = (
    "accessportal",
    "audit",
    "base",
    "catalog",
    "clients",
    "identity",
    "oversight",
    "policy",
    "requests_app",
    "reviews",
)
PACKAGES = (*PRODUCT, "simulator", "stack", "tests", "benchmarks")


@dataclass(frozen=True, slots=True)
class Step:
    """One check: a command that ends with 0 when all is well, and how to mend what it finds.

    With `prints`, what it prints must also be the content of that file.
    """

    name: str
    command: list[str]
    remedy: str
    environment: dict[str, str] = field(default_factory=dict)
    prints: Path | None = None


def steps() -> Iterator[Step]:
    """Every check, the quick ones first."""
    python = sys.executable
    yield Step("format", [str(BIN / "ruff"), "format", "--check", "--quiet", "."], "make fix")
    yield Step("lint", [str(BIN / "ruff"), "check", "--quiet", "."], "make fix mends some of it")
    # Those of the simulator are Jinja's, which another formatter would have to understand.
    templates = [name for name in tracked("*.html") if not name.startswith("simulator/")]
    yield Step(
        "templates", [str(BIN / "djade"), "--target-version", "6.1", "--check", *templates], "make fix"
    )
    yield Step("imports", [str(BIN / "lint-imports"), "--no-logo"], "see the contracts in pyproject.toml")
    packages = [package for package in PACKAGES if (ROOT / package).is_dir()]
    yield Step("types", [str(BIN / "mypy"), "manage.py", *packages], "mypy says where and why")
    manage = [python, "manage.py"]
    yield Step(
        "migrations",
        [*manage, "makemigrations", "--check", "--dry-run"],
        "manage.py makemigrations",
        environment(process="migrate"),
    )
    yield Step(
        "deployment",
        [*manage, "check", "--deploy", "--fail-level", "WARNING"],
        "the message says how",
        environment(process="web")
        | {"PORTAL_MODE": "production", "SECRET_KEY": secrets.token_hex(32)}
        | {"PORTAL_ORIGIN": "https://access.example.com", "ENTRA_TENANT_ID": str(uuid.uuid4())}
        | dict.fromkeys(
            ("DATABASE_PASSWORD", "ENTRA_SIGNIN_CLIENT_ID", "ENTRA_SIGNIN_CLIENT_SECRET"), "given"
        ),
    )
    yield Step(
        "life cycle page",
        [*manage, "lifecycle"],
        "make fix writes it anew",
        environment(process="worker"),
        prints=ROOT / "docs" / "lifecycle.md",
    )


def tracked(pattern: str) -> list[str]:
    """Paths of the repository that match, leaving out what git ignores."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", pattern],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(name for name in listing.split("\0") if name and (ROOT / name).exists())


def environment(*, process: str) -> dict[str, str]:
    """Settings with which manage.py loads and reaches no server."""
    return {
        "PORTAL_PROCESS": process,
        "PORTAL_MODE": "test",
        "DATABASE_HOST": "127.0.0.1",
        "DATABASE_PORT": "1",
    }


def run(step: Step) -> bool:
    """Run one check, print its result and, when it fails, all it said."""
    began = time.monotonic()
    result = subprocess.run(
        step.command,
        cwd=ROOT,
        env=os.environ | step.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = result.stdout
    passed = result.returncode == 0
    if passed and step.prints is not None:
        kept = step.prints.read_text() if step.prints.exists() else ""
        passed = kept.strip() == said.strip()
        said = f"{step.prints.relative_to(ROOT)} isn't what {' '.join(step.command[1:])} prints."
    print(f"{'ok    ' if passed else 'FAILED'} {step.name:<18} {time.monotonic() - began:5.1f} s", flush=True)
    if not passed:
        print(said.rstrip())
        print(f"       to mend: {step.remedy}", flush=True)
    return passed


def main() -> int:
    """Run every check; 0 when all pass."""
    if shutil.which("git") is None:
        print("make check needs git, to know which files belong to the project.", file=sys.stderr)
        return 1
    failed = [step.name for step in steps() if not run(step)]
    print(f"\n{len(failed)} failed: {', '.join(failed)}" if failed else "\nAll checks passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
