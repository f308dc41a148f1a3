"""A whole test run is held to the contract of Graph: whatever breaks it, wherever, fails the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.__main__ import RECORDINGS
from simulator.entra.graph.exchange import Exchange
from stack.tiers import REPORTS
from tests.support import graph_run
from tests.support.graph_contract import EXAMPLES
from tests.support.servers import ROOT, SESSION_VARIABLE

# What these tests play stands in files of a folder outside the project, run by a pytest of its own.
CONFTEST = """
from pathlib import Path
import pytest
from tests.support.graph_run import GraphRun

def pytest_configure(config):
    GraphRun.install(config, Path({folder!r}))
"""
TESTS = """
import json, os, subprocess, sys
from pathlib import Path
import pytest
from simulator.entra.graph.exchange import EVERYWHERE, Exchange

def tell(**changes):
    told = {{"method": "GET", "path": "/groups", "query": {{}}, "request_body": None, "status": 0,
             "response_headers": {{"request-id": "x"}}, "response_body": None, **changes}}
    for observer in EVERYWHERE:
        observer(Exchange(**told))

def test_fine():
    tell()

def test_other():
    {other}
"""
POST = "/identityGovernance/privilegedAccess/group/assignmentScheduleRequests"


def body(**changes: Any) -> dict[str, Any]:
    """The documented adminAssign, changed."""
    return {**json.loads((EXAMPLES / "adminAssign.request.json").read_text()), **changes}


def play(folder: Path, other: str, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """Run the tests above with `other` as the second one's body: exit code, output, report for the tiers."""
    tests, reports, session = folder / "tests", folder / "reports", folder / "session"
    for each in (tests, reports, session):
        each.mkdir()
    (tests / "conftest.py").write_text(CONFTEST.format(folder=str(session)))
    (tests / "test_it.py").write_text(TESTS.format(other=other))
    (tests / "pytest.ini").write_text("[pytest]\n")
    environment = {name: value for name, value in os.environ.items() if name != SESSION_VARIABLE}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-p", "no:randomly", "-p", "no:playwright",
         *arguments, str(tests)],
        cwd=tests,
        env={**environment, REPORTS: str(reports), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    (report,) = [json.loads(path.read_text()) for path in reports.iterdir()]
    return done.returncode, done.stdout + done.stderr, report


@pytest.mark.proof
def test_a_clean_run_lists_what_it_exercised(tmp_path: Path) -> None:
    code, said, report = play(tmp_path, "tell(path='/me', status=0)")
    assert code == 0, said
    assert "* GET /groups: no answer" in said
    assert "  GET /me: no answer" in said
    assert report["exercised"] == {"GET /groups": [0], "GET /me": [0]}
    assert "GET /groups" in report["used"]
    assert report["problems"] == 0


@pytest.mark.proof
def test_a_test_that_breaks_the_contract_fails_on_a_worker_too(tmp_path: Path) -> None:
    code, said, report = play(tmp_path, "tell(query={'$teapot': '1'})", "-n1")
    assert code == 1
    assert "FAILED" in said
    assert "unknown query option $teapot" in said
    assert "1 failed, 1 passed" in said
    assert report["exercised"] == {"GET /groups": [0]}, "handed over by the worker"


@pytest.mark.proof
def test_what_another_process_recorded_fails_the_run(tmp_path: Path) -> None:
    line = "Exchange('GET', '/teapots', {}, None, 200, {}, {}).to_line()"
    other = f"Path(os.environ['{RECORDINGS}'], '1.jsonl').write_text({line} + chr(10) + 'cut o')"
    code, said, report = play(tmp_path, other)
    assert code == 1
    assert "2 passed" in said
    assert "GET /teapots: not an operation of the contract" in said
    assert report["problems"] == 1


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"method": "POST", "path": POST, "request_body": body(colour="red")}, "colour"),
        ({"method": "POST", "path": POST, "request_body": body(action="adminGive")}, "adminGive"),
        ({"path": POST}, "is mandatory"),
        (
            {
                "method": "POST",
                "path": POST,
                "request_body": body(
                    scheduleInfo={"expiration": {"type": "afterDuration", "duration": "2:00:00"}}
                ),
            },
            "2:00:00",
        ),
        (
            {
                "path": "/users/x",
                "status": 200,
                "response_headers": {"request-id": "x"},
                "response_body": {"id": 3},
            },
            "answer at $",
        ),
        ({"path": "/users/x", "status": 418}, "status 418 is not documented"),
    ],
    ids=["unknown property", "wrong enum", "missing filter", "duration", "wrong answer", "unknown status"],
)
def test_each_kind_of_break_is_noticed(changes: dict[str, Any], word: str) -> None:
    recorder = graph_run.Recorder()
    told: dict[str, Any] = {
        "method": "GET",
        "query": {},
        "request_body": None,
        "status": 0,
        "response_headers": {},
        "response_body": None,
        **changes,
    }
    recorder.observe(Exchange(**told))
    (problem,) = recorder.take()
    assert word in problem
    assert recorder.take() == []
    recorder.observe(Exchange(**told))
    assert recorder.take() == [problem], "what was seen before is wrong again"
    with recorder.wrong_on_purpose() as found:
        recorder.observe(Exchange(**told))
    assert found == [problem]
    assert recorder.take() == []


def test_being_wrong_on_purpose_has_to_be_wrong() -> None:
    recorder = graph_run.Recorder()
    with pytest.raises(AssertionError, match="should have found something"), recorder.wrong_on_purpose():
        recorder.observe(Exchange("GET", "/me", {}, None, 0, {}, None))
    assert not recorder.exercised
