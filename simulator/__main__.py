"""`python -m simulator --state-dir DIR`: run the simulated clouds until SIGINT or SIGTERM."""

import argparse
import json
import os
import signal
import sys
import threading
from datetime import datetime
from pathlib import Path

from simulator.entra.graph.exchange import EVERYWHERE, Recording
from simulator.listener import LOOPBACK
from simulator.sample.named import SEEDS
from simulator.server import Options, Simulator

# A folder for recordings of every simulator that is started below this process, a file each.
RECORDINGS = "SIMULATOR_RECORDINGS"


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"'{text}' has no offset: write it as 2026-01-31T09:00:00Z")
    return moment


def _factor(text: str) -> float:
    factor = float(text)
    if not 0 < factor <= 100_000:
        raise argparse.ArgumentTypeError("the factor has to lie between 0 and 100000")
    return factor


def parse(arguments: list[str]) -> Options:
    """Options from the command line; exits with a message when they make no sense."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="where the world and its keys are kept")
    parser.add_argument(
        "--seed",
        default="sample",
        help="which world to begin with: " + "; ".join(f"{name} ({what})" for name, what in SEEDS),
    )
    parser.add_argument("--port-base", type=int, default=0, help="first of three ports; 0 takes free ones")
    parser.add_argument("--clock", choices=("running", "stepped"), default="running")
    parser.add_argument("--clock-factor", type=_factor, default=1.0, help="world seconds per real second")
    parser.add_argument("--clock-anchor-real", type=_instant, help="real time of the anchor")
    parser.add_argument("--clock-anchor-business", type=_instant, help="the world's time at the anchor")
    parser.add_argument("--redirect-uri", action="append", default=[], help="of the sign-in app; repeatable")
    parser.add_argument("--post-logout-redirect-uri", action="append", default=[], help="repeatable")
    parser.add_argument(
        "--record", type=Path, help="append every Graph exchange to this file, one JSON a line"
    )
    parser.add_argument(
        "--page-size", type=int, default=0, help="most rows in one page of Graph; 0: Graph's own"
    )
    parser.add_argument("--bind", default=LOOPBACK, help="another address makes sense in a container only")
    given = parser.parse_args(arguments)
    return Options(
        state_dir=given.state_dir,
        seed=given.seed,
        port_base=given.port_base,
        clock_factor=given.clock_factor,
        clock_anchor_real=given.clock_anchor_real,
        clock_anchor_business=given.clock_anchor_business,
        stepped=given.clock == "stepped",
        redirect_uris=tuple(given.redirect_uri),
        post_logout_redirect_uris=tuple(given.post_logout_redirect_uri),
        record=given.record,
        page_size=given.page_size,
        bind=given.bind,
    )


def main() -> int:
    """Run until asked to stop; 2 when the options or the kept world make no sense."""
    options = parse(sys.argv[1:])
    if folder := os.environ.get(RECORDINGS):
        EVERYWHERE.append(Recording(Path(folder) / f"{os.getpid()}.jsonl"))
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_stop.set())
    try:
        simulator = Simulator(options)
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 2
    simulator.start()
    print(json.dumps(simulator.description()), flush=True)
    asked_to_stop.wait()
    simulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
