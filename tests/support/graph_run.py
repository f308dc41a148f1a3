"""Every exchange with the simulated Graph in a whole test run is held to the contract, and counted.

Fronts in a test's own process are watched; simulators that are processes of their own record into a folder of the
session, because SIMULATOR_RECORDINGS says so. A test that broke the contract fails; what came from another process
fails the run at its end. With pytest-xdist the workers hand over what they saw, and the controller reports.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clients.entra.operations import used
from simulator.__main__ import RECORDINGS
from simulator.entra.graph.exchange import EVERYWHERE, Exchange
from tests.support.graph_contract import GraphContract

# Where `python -m stack.tiers` wants a report of this session, one JSON file.
REPORTS = "TEST_REPORTS"
_REMEMBERED = 20_000


class Recorder:
    """What this process's fronts exchanged: problems since they were last taken, and operations with statuses."""

    def __init__(self) -> None:
        self._contract = GraphContract()
        self._lock = threading.Lock()
        self._seen: dict[str, list[str]] = {}
        self._problems: list[str] = []
        self._wrong: list[str] | None = None

    def observe(self, exchange: Exchange) -> None:
        """Check one exchange. The very same one (ids of the request apart) is checked once."""
        with self._lock:
            found = self._found(exchange)
            (self._problems if self._wrong is None else self._wrong).extend(found)

    def _found(self, exchange: Exchange) -> list[str]:
        headers = sorted(name.lower() for name in exchange.response_headers)
        alike = json.dumps(
            [exchange.method, exchange.path, dict(exchange.query), exchange.request_body, exchange.status,
             headers, exchange.response_body],
            default=str,
        )  # fmt: skip
        found = self._seen.get(alike)
        if found is None:
            # What a test sends wrongly on purpose doesn't count as exercised.
            contract = self._contract if self._wrong is None else GraphContract()
            found = contract.check(exchange)
            if self._wrong is None and len(self._seen) < _REMEMBERED:
                self._seen[alike] = found
        return found

    def hold_request(self, exchange: Exchange) -> None:
        """Check what was sent to something else than a Graph front, and count it as nothing's exercise."""
        found = GraphContract().check(exchange)
        with self._lock:
            (self._problems if self._wrong is None else self._wrong).extend(found)

    def take(self) -> list[str]:
        """The problems found since the last time."""
        with self._lock:
            taken, self._problems = self._problems, []
        return taken

    @contextmanager
    def wrong_on_purpose(self) -> Iterator[list[str]]:
        """For a test that breaks the contract itself; fails when the contract doesn't notice. Gives the problems."""
        with self._lock:
            found = self._wrong = []
        try:
            yield found
        finally:
            with self._lock:
                self._wrong = None
        assert found, "the contract should have found something wrong"

    @property
    def exercised(self) -> Mapping[str, set[int]]:
        """Operations with the statuses seen."""
        return self._contract.exercised


RECORDER = Recorder()


class GraphRun:
    """The pytest plugin: one in each process of a session; the controller's reports."""

    def __init__(self, recordings: Path) -> None:
        self._recordings = recordings
        self._exercised: dict[str, set[int]] = defaultdict(set)
        self._problems: list[str] = []

    @classmethod
    def install(cls, config: pytest.Config, session_folder: Path) -> None:
        """Watch this process, let its children record, and join the session."""
        if not hasattr(config, "workerinput"):
            # Several controllers may share the session's folder: each reports what its own children recorded.
            os.environ[RECORDINGS] = tempfile.mkdtemp(prefix="graph-", dir=session_folder)
        recordings = Path(os.environ[RECORDINGS])
        EVERYWHERE.append(RECORDER.observe)
        config.pluginmanager.register(cls(recordings), "graph-run")

    # --- tests of this process

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from _held())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from _held())

    # --- the session

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker is done."""
        self._merge(getattr(node, "workeroutput", {}).get("graph", {}))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        own = {
            "exercised": {name: sorted(statuses) for name, statuses in RECORDER.exercised.items()},
            "problems": RECORDER.take(),
        }
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["graph"] = own
            return
        self._merge(own)
        for path in sorted(self._recordings.glob("*.jsonl")):
            self._merge(read(path))
        if self._problems:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if folder := os.environ.get(REPORTS):
            report = {
                "exercised": {name: sorted(statuses) for name, statuses in self._exercised.items()},
                "used": sorted(used()),
                "problems": len(self._problems),
            }
            (Path(folder) / f"graph-{os.getpid()}.json").write_text(json.dumps(report))

    def _merge(self, other: Mapping[str, Any]) -> None:
        for name, statuses in other.get("exercised", {}).items():
            self._exercised[name].update(statuses)
        self._problems += other.get("problems", [])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._exercised:
            terminalreporter.section("Microsoft Graph: operations exercised, * used by the product", "-")
            for line in lines(self._exercised, used()):
                terminalreporter.line(line)
        if self._problems:
            terminalreporter.section("Microsoft Graph: the contract was broken", "=", red=True)
            for problem in dict.fromkeys(self._problems):
                terminalreporter.line(problem)


def _held() -> Generator[None, object, object]:
    """Run the wrapped hook; fail when an exchange broke the contract meanwhile."""
    try:
        result = yield
    except BaseException as error:
        for problem in RECORDER.take():
            error.add_note(f"Graph contract broken: {problem}")
        raise
    if problems := RECORDER.take():
        pytest.fail("Graph contract broken:\n" + "\n".join(problems), pytrace=False)
    return result


def read(recording: Path) -> dict[str, Any]:
    """Check what a simulator process recorded; a last line that a killed process left unfinished is passed over."""
    recorder = Recorder()
    text = recording.read_text()
    complete, _, _ = text.rpartition("\n")
    for line in complete.splitlines():
        recorder.observe(Exchange.from_line(line))
    return {"exercised": recorder.exercised, "problems": recorder.take()}


def lines(exercised: Mapping[str, Iterable[int]], wanted: Iterable[str]) -> list[str]:
    """One line an operation with its statuses."""
    marked = set(wanted)
    return [
        f"{'*' if name in marked else ' '} {name}: "
        + ", ".join(str(status) if status else "no answer" for status in sorted(statuses))
        for name, statuses in sorted(exercised.items())
    ]
