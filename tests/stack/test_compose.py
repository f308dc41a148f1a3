"""The container files: the same processes as the demo's, each with its own secrets, every variable explained."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from accessportal.checks import environment_problems
from stack.postgres import BOOTSTRAP, INITDB_ARGUMENTS, MAJOR, PASSWORD_VARIABLES
from stack.processes import CONCERNS, DATABASE_ROLES, LONG_RUNNING, MIGRATION, SECRETS
from stack.running import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROCESSES = {process.kind: process for process in (*LONG_RUNNING, MIGRATION)}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
SETTINGS_SOURCES = (
    *(ROOT / "accessportal").glob("*.py"),
    *(ROOT / "clients").rglob("*.py"),
    ROOT / "gunicorn.conf.py",
    BOOTSTRAP,
)
# Read by the libraries and images themselves.
READ_BY_OTHERS = {
    "AWS_ACCESS_KEY_ID": "boto3",
    "AWS_SECRET_ACCESS_KEY": "boto3",
    "AWS_SESSION_TOKEN": "boto3",
    "POSTGRES_PASSWORD": "image postgres",
    "POSTGRES_INITDB_ARGS": "image postgres",
    "REDIS_PASSWORD": "its own command",
    "DEMO_SPEED": "stack.demo",
}


def example_names() -> set[str]:
    return set(re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE))


def substituted(value: object) -> set[str]:
    """The variables of .env that a value of docker-compose.yml takes in; `$$` is the container's own."""
    return set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", yaml.safe_dump(value)))


def filled_in(kind: str, **filled: str) -> dict[str, str]:
    """The environment of a service when .env is .env.example with `filled` on top, as compose works it out."""
    values = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE)) | filled

    def value(text: str) -> str:
        return re.sub(r"\$\{([A-Z_]+):-([^}]*)\}", lambda found: values.get(found[1]) or found[2], text)

    return {name: value(text) for name, text in SERVICES[kind]["environment"].items()}


ANSWERS = {
    **dict.fromkeys(PASSWORD_VARIABLES.values(), "p" * 64),
    "SECRET_KEY": "k" * 64,
    "ENTRA_TENANT_ID": "3f2a1c5e-8d4b-4e6f-9a7b-1c2d3e4f5a6b",
    "ENTRA_SIGNIN_CLIENT_ID": "an id",
    "ENTRA_SIGNIN_CLIENT_SECRET": "a secret",
    "ENTRA_WORKER_CLIENT_ID": "an id",
    "ENTRA_AWS_SERVICE_PRINCIPAL_ID": "an id",
}
# What an operator who wants an optional process fills in besides.
SWITCHED_ON = {
    "severer": {
        "SESSION_SEVERING": "on",
        "SESSION_SEVERING_PLACES": "*=inline",
        "SEVERER_AWS_ACCESS_KEY_ID": "k",
        "SEVERER_AWS_SECRET_ACCESS_KEY": "s",
    },
    "remover": {
        "FAST_REMOVAL": "direct",
        "REMOVER_AWS_ACCESS_KEY_ID": "k",
        "REMOVER_AWS_SECRET_ACCESS_KEY": "s",
    },
}


@pytest.mark.parametrize("kind", sorted(PROCESSES))
def test_the_example_filled_in_passes_the_systems_checks(kind: str) -> None:
    problems = environment_problems(
        filled_in(kind, **ANSWERS, **SWITCHED_ON.get(kind, {})), process=kind, mode="production"
    )
    # The files are mounted in the container and absent here.
    assert [problem.msg for problem in problems if problem.id != "portal.E010"] == []


@pytest.mark.parametrize("kind", sorted(set(PROCESSES) - {"beat"}))
def test_the_example_as_it_is_is_refused(kind: str) -> None:
    problems = environment_problems(filled_in(kind), process=kind, mode="production")
    assert "portal.E002" in {problem.id for problem in problems}


@pytest.mark.parametrize("kind", sorted(PROCESSES))
def test_a_service_runs_the_same_command_as_the_demo(kind: str) -> None:
    assert SERVICES[kind]["command"] == list(PROCESSES[kind].command)
    assert SERVICES[kind]["environment"]["PORTAL_PROCESS"] == kind


def test_as_many_copies_as_the_demo_runs() -> None:
    for kind, process in PROCESSES.items():
        assert SERVICES[kind].get("deploy", {}).get("replicas", 1) == process.copies


@pytest.mark.parametrize("kind", sorted(PROCESSES))
def test_a_service_is_given_its_own_secrets_only(kind: str) -> None:
    environment = SERVICES[kind]["environment"]
    for name, holders in ({**SECRETS, **CONCERNS}).items():
        if name in environment:
            assert kind in holders, f"{kind} is told {name}"
    password = environment["DATABASE_PASSWORD"]
    assert password == f"${{{PASSWORD_VARIABLES[DATABASE_ROLES[kind]]}:-}}"
    # Not by a detour either: no value may be made from another's secret.
    others = set(PASSWORD_VARIABLES.values()) - {PASSWORD_VARIABLES[DATABASE_ROLES[kind]]}
    forbidden = (
        others | {"POSTGRES_PASSWORD"} | {name for name, holders in SECRETS.items() if kind not in holders}
    )
    assert not substituted(SERVICES[kind]) & forbidden
    assert "env_file" not in SERVICES[kind]


def test_every_secret_that_a_process_needs_reaches_it() -> None:
    for name, holders in SECRETS.items():
        for kind in holders:
            assert name in SERVICES[kind]["environment"], f"{kind} isn't told {name}"


def test_files_with_secrets_are_mounted_where_they_belong() -> None:
    mounts = {name: str(service.get("volumes", "")) for name, service in SERVICES.items()}
    assert [name for name, text in mounts.items() if "deployment/sealer" in text] == ["sealer"]
    assert [name for name, text in mounts.items() if "deployment/worker:" in text] == ["worker"]
    sources = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    for source in sources:
        if source.startswith("./stack/"):
            assert (ROOT / source).is_file()
        elif not source.startswith("./deployment/"):
            assert source in COMPOSE["volumes"]


def test_every_variable_is_explained_and_none_is_left_over() -> None:
    used = substituted(SERVICES) | substituted(COMPOSE["x-everybody"])
    assert used == example_names()
    for paragraph in EXAMPLE.split("\n\n"):
        if re.search(r"^[A-Z_]+=", paragraph, re.MULTILINE):
            assert paragraph.startswith("# "), f"not explained: {paragraph}"


def test_every_variable_means_something_to_somebody() -> None:
    sources = "\n".join(path.read_text() for path in SETTINGS_SOURCES)
    told = {name for service in SERVICES.values() for name in service.get("environment", {})}
    unknown = {name for name in told if not re.search(rf"\b{name}\b", sources)}
    assert unknown <= set(READ_BY_OTHERS)


def test_the_database_is_made_as_the_embedded_one_is() -> None:
    postgres = SERVICES["postgres"]
    assert shlex.split(postgres["environment"]["POSTGRES_INITDB_ARGS"]) == list(INITDB_ARGUMENTS)
    assert postgres["image"] == f"postgres:{MAJOR}"
    assert f"./stack/{BOOTSTRAP.name}:/docker-entrypoint-initdb.d/{BOOTSTRAP.name}:ro" in postgres["volumes"]
    assert set(PASSWORD_VARIABLES.values()) <= set(postgres["environment"])


def test_redis_appends_every_write_to_a_file() -> None:
    assert "appendonly yes" in " ".join(SERVICES["redis"]["command"])
    assert "$$REDIS_PASSWORD" in " ".join(SERVICES["redis"]["command"])  # read inside, in no argument list


def test_processes_wait_for_what_they_need() -> None:
    for kind in PROCESSES:
        waits = {name: on["condition"] for name, on in SERVICES[kind]["depends_on"].items()}
        assert waits["postgres"] == "service_healthy"
        if kind != "migrate":
            assert waits["migrate"] == "service_completed_successfully"
    for name in ("web", "worker", "beat", "postgres", "redis"):
        assert SERVICES[name]["healthcheck"]["test"]


def test_nothing_listens_beyond_the_hosts_loopback() -> None:
    ports = [str(port) for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_only_the_demo_profile_has_simulated_clouds() -> None:
    optional = {process.kind for process in LONG_RUNNING if process.only_when}
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {"demo"} | optional
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    portal = next(stage for stage in stages if " AS portal\n" in stage)
    assert "simulator" not in portal
    assert "stack" not in portal


def test_the_image_copies_what_exists_and_what_the_context_lets_in() -> None:
    sources = re.findall(r"^COPY (?!--from)(\S.*) \S+$", DOCKERFILE, re.MULTILINE)
    names = [name for line in sources for name in line.split()]
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert names
    for name in names:
        assert (ROOT / name).exists(), name
        assert Path(name).parts[0] in allowed, name


def test_every_package_of_the_product_is_in_the_image() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "simulator", "stack"}
    for package in packages - {"benchmarks"}:
        assert f"\nCOPY {package} {package}\n" in DOCKERFILE


def test_the_image_runs_as_an_ordinary_user_without_compilers() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    final = [stage for stage in stages if " AS packages" not in stage and stage.strip() != "portal"]
    assert all("\nUSER 10001:10001\n" in stage for stage in final)
    assert stages[-1].strip() == "portal"
    assert not re.search(r"apt-get|gcc|build-essential", DOCKERFILE)
    assert DOCKERFILE.count("--require-hashes") == 2
