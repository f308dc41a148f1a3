"""`python -m benchmarks [name ...]`: measure, and say beside each figure what the README states."""

from __future__ import annotations

import importlib
import os
import re
import sys
import time
from pathlib import Path

import psycopg

from tests.support.servers import PostgresServer, Session

NAMES = (
    "ledger",
    "history",
    "pages",
    "calls",
    "catalogue",
    "worlds",
    "arriving",
    "leaving",
    "processes",
    "million",
    "verifying",
    "writers",
)
# Only when they are named: twenty minutes and more, and 24 GB of disk; ten minutes, and three.
LONG = ("million", "verifying")
README = Path(__file__).with_name("README.md")


def stated() -> dict[str, str]:
    """Each figure of the README's tables by its name."""
    rows = re.findall(r"^\| ([a-z]+: [^|]+?) +\| ([\d.,]+)", README.read_text(), re.MULTILINE)
    return dict(rows)


def machine(server: PostgresServer) -> str:
    """What it ran on."""
    with psycopg.connect(server.conninfo("portal_worker")) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    cores, load = os.cpu_count(), os.getloadavg()[0]
    version = row[0] if row else "?"
    return (
        f"{cores} cores (load {load:.1f} at the beginning), PostgreSQL {version} with fsync off, "
        f"Python {sys.version.split()[0]}"
    )


def main(names: list[str]) -> int:
    """Run the named benchmarks, all but LONG by default; 0, or 2 for a name that there isn't."""
    if unknown := set(names) - set(NAMES):
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.")
        return 2
    session = Session.open()
    try:
        known, server = stated(), session.postgres(as_installed=True)
        print(machine(server))
        for name in names or [name for name in NAMES if name not in LONG]:
            began = time.monotonic()
            print(f"\n{name}: python -m benchmarks {name}", flush=True)
            for figure in importlib.import_module(f"benchmarks.{name}").run(server):
                spread = f" ({figure.spread})" if figure.spread else ""
                print(f"  {figure.name}\n      {figure.value}{spread}; {figure.detail}")
                print(f"      README states {known.get(figure.name, 'nothing')}", flush=True)
            print(f"  took {time.monotonic() - began:.0f} s")
    finally:
        session.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
