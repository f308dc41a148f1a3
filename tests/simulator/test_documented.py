"""docs/simulator.md: its tables are held to the code, and its examples are run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from simulator.__main__ import parse
from simulator.aws import s3
from simulator.aws.protocol import OPERATIONS
from simulator.sample.named import SEEDS
from simulator.server import Options, Simulator
from simulator.world.faults import KINDS
from simulator.world.happenings import NAMES
from simulator.world.switches import Switches
from tests.docs.test_documents import blocks, table_after
from tests.simulator.process import SimulatorProcess, simulator_process

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulator.md"
ABBREVIATED = {
    "PIM/": "/identityGovernance/privilegedAccess/group/",
    "JOBS": "/servicePrincipals/{id}/synchronization/jobs",
}
CALL_TABLES = ("Sign-in", "Microsoft Graph", "SCIM", "AWS")
NO_CALLS = {"/favicon.ico", "/_static/{filename}", "/"}  # pages' own


def told(heading: str, column: int = 0) -> set[str]:
    """What stands in backticks in one column of a table."""
    return {
        name for cells in table_after(DOCUMENT, heading) for name in re.findall(r"`([^`]+)`", cells[column])
    }


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One that nobody calls."""
    made = Simulator(Options(state_dir=tmp_path_factory.mktemp("documented") / "state"))
    yield made
    made.stop()


@pytest.fixture
def apps(simulator: Simulator) -> dict[str, Flask]:
    """The applications that serve HTTP."""
    return dict(simulator.apps)


def served(app: Flask, prefix: str) -> set[str]:
    """`METHOD /path` of everything below a prefix, as the document writes it; what catches the rest is left out."""
    found = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        if not path.startswith(prefix) or "{path}" in path or "{rest}" in path:
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            found.add(f"{method} {path.removeprefix(prefix)}")
    return found


def test_every_call_of_a_front_has_a_row_and_every_row_a_call(apps: dict[str, Flask]) -> None:
    graph = {
        call.replace(short, long)
        for call in told("Microsoft Graph")
        for short, long in (next((pair for pair in ABBREVIATED.items() if pair[0] in call), ("", "")),)
    }
    assert graph == served(apps["browser"], "/v1.0")
    assert told("SCIM") == served(apps["browser"], "/scim/{tenant}/scim/v2")
    assert told("Sign-in") == (
        served(apps["authority"], "/{tenant}")
        | served(apps["browser"], "/{tenant}")
        | {f"GET {path}" for path in ("/oidc/userinfo",)}
    )
    services = {**OPERATIONS, s3.SERVICE: s3.OPERATIONS}
    assert told("AWS") == {f"{service}.{name}" for service, names in services.items() for name in names}


def test_every_row_says_something() -> None:
    for heading in CALL_TABLES:
        for call, documented, here, _ in table_after(DOCUMENT, heading):
            assert documented, call
            assert here, call


def test_every_switch_has_its_default_and_stands_beside_what_it_answers() -> None:
    rows = {cells[0].strip("`"): cells[1].strip("`") for cells in table_after(DOCUMENT, "Switches")}
    assert rows == {each.name: str(each.default) for each in fields(Switches)}
    calls = DOCUMENT.read_text().partition("\n## Calls\n")[2]
    assert {name for name in rows if f"`{name}`" not in calls} == set()


def test_whatever_is_not_established_has_a_switch() -> None:
    switches = {each.name for each in fields(Switches)}
    unanswered = [
        (call, question)
        for heading in CALL_TABLES
        for call, _, _, questions in table_after(DOCUMENT, heading)
        for question in questions.split(";")
        if question.strip() and not switches & set(re.findall(r"`([^`]+)`", question))
    ]
    assert unanswered == []


def test_every_fault_and_happening_is_there(apps: dict[str, Flask]) -> None:
    assert told("Faults") == set(KINDS)
    assert told("Things that happen") == set(NAMES)
    control = {
        f"{method} {re.sub(r'{\w+}', '<id>', path)}"
        for method, _, path in (each.partition(" ") for each in served(apps["browser"], "/_control"))
    }
    assert told("Control API") == control


def test_options_names_and_worlds_are_those_of_the_program(
    simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    options = told("Start it")
    with pytest.raises(SystemExit):
        parse(["--help"])
    assert options == set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    text = DOCUMENT.read_text()
    unexplained = {name for name in simulator.description() if f"`{name}`" not in text}
    assert {
        name for name in unexplained if not re.match(r"aws_\w+_(access_key_id|secret_access_key)$", name)
    } == {"pid"}
    assert told("Worlds") - {"simulator/sample/organisation.yaml"} == {name for name, _ in SEEDS}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """A simulator for the examples; its clock is stepped."""
    with simulator_process(tmp_path_factory.mktemp("examples") / "state", "--clock", "stepped") as process:
        yield process


@pytest.mark.proof
def test_the_examples_in_python_run(running: SimulatorProcess) -> None:
    examples = blocks(DOCUMENT, "python")
    assert len(examples) > 5
    results = (
        "{'groups': groups, 'store': instance['IdentityStoreId'], 'before': before, 'after': after, "
        "'refused': [refused.status_code, refused.headers['Retry-After']]}"
    )
    script = "\n".join(
        [
            "import json, os",
            "said = json.loads(os.environ['SAID'])",
            *examples,
            f"print(json.dumps({results}))",
        ]
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "SAID": json.dumps(running.said)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    names: dict[str, Any] = json.loads(answer.stdout)
    assert len(names["groups"]) > 5
    assert names["store"].startswith("d-")
    passed = datetime.fromisoformat(names["after"]) - datetime.fromisoformat(names["before"])
    assert passed == timedelta(days=365)
    assert names["refused"] == [429, "7"]
    assert running.control("GET", "/switches")["admin_assign_fast_path"] is False
    assert running.control("POST", "/tokens", {})["worker_credentials_expired"] is False


@pytest.mark.proof
def test_the_example_of_the_aws_cli_runs(running: SimulatorProcess) -> None:
    (example,) = [each for each in blocks(DOCUMENT, "sh") if "aws " in each]
    said = running.said
    answer = subprocess.run(
        ["sh", "-e", "-c", example],
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": said["aws_endpoint_url"],
            "AWS_ACCESS_KEY_ID": said["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": said["aws_secret_access_key"],
            "AWS_DEFAULT_REGION": said["region"],
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert re.fullmatch(r"d-[0-9a-f]{10}", answer.stdout.strip())
