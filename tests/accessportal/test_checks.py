"""System checks: each wrong configuration is refused with its id, and right ones pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from django.core import checks
from django.db import connection
from pytest_django import Settings

from accessportal.checks import (
    SECRETS,
    check_allow_list,
    check_database_role,
    environment_problems,
)
from identity.personal.sealing import add_key
from stack import processes
from tests.support.servers import PostgresServer, pointed_at

ROOT = Path(__file__).resolve().parents[2]
TENANT_ID = "11111111-2222-4333-8444-555555555555"
COMMON = {
    "DATABASE_PASSWORD": "p",
    "ENTRA_TENANT_ID": TENANT_ID,
    "ENTRA_AUTHORITY": "https://login.microsoftonline.com",
    "PORTAL_ORIGIN": "https://access.example.com",
}
GOOD: dict[str, dict[str, str]] = {
    "web": COMMON
    | {
        "SECRET_KEY": "k" * 50,
        "ENTRA_SIGNIN_CLIENT_ID": TENANT_ID,
        "ENTRA_SIGNIN_CLIENT_SECRET": "s",
        "REDIS_URL": "redis://redis:6379/0",
    },
    "worker": COMMON
    | {
        "ENTRA_WORKER_CLIENT_ID": TENANT_ID,
        "ENTRA_WORKER_CERTIFICATE_PATH": str(Path(__file__)),
        "ENTRA_AWS_SERVICE_PRINCIPAL_ID": TENANT_ID,
        "AWS_REGION": "eu-west-1",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/run/token",
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/portal",
        "PORTAL_MANAGED_GROUPS_FILE": "/etc/groups.txt",
        "REDIS_URL": "redis://redis:6379/0",
    },
    "beat": COMMON | {"REDIS_URL": "redis://redis:6379/0"},
    "sealer": COMMON | {"SEALING_KEY_PATH": str(Path(__file__))},
    "remover": COMMON
    | {
        "FAST_REMOVAL": "direct",
        "AWS_REGION": "eu-west-1",
        "REMOVER_AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "REMOVER_AWS_SECRET_ACCESS_KEY": "secret",
        "PORTAL_MANAGED_GROUPS_FILE": "/etc/groups.txt",
    },
    "severer": COMMON
    | {
        "SESSION_SEVERING": "on",
        "SESSION_SEVERING_PLACES": "*=scp:p-0123456789",
        "AWS_REGION": "eu-west-1",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/run/token",
    },
    "migrate": COMMON,
}


def found(process: str, mode: str = "production", /, **changes: str | None) -> list[checks.CheckMessage]:
    """What is wrong with a good environment after changes; None takes a variable away."""
    environ = {name: value for name, value in (GOOD[process] | changes).items() if value is not None}
    return list(environment_problems(environ, process=process, mode=mode))


def ids(messages: list[checks.CheckMessage]) -> list[str]:
    return [str(message.id) for message in messages]


@pytest.mark.parametrize("process", sorted(GOOD))
def test_a_right_configuration_passes(process: str) -> None:
    assert found(process) == []


@pytest.mark.parametrize(
    ("process", "name"),
    [
        ("web", "SECRET_KEY"),
        ("web", "PORTAL_ORIGIN"),
        ("web", "ENTRA_TENANT_ID"),
        ("web", "ENTRA_SIGNIN_CLIENT_ID"),
        ("web", "ENTRA_SIGNIN_CLIENT_SECRET"),
        ("web", "DATABASE_PASSWORD"),
        ("worker", "ENTRA_TENANT_ID"),
        ("worker", "ENTRA_WORKER_CLIENT_ID"),
        ("worker", "ENTRA_AWS_SERVICE_PRINCIPAL_ID"),
        ("worker", "AWS_REGION"),
        ("worker", "PORTAL_MANAGED_GROUPS_FILE"),
        ("sealer", "SEALING_KEY_PATH"),
        ("remover", "PORTAL_MANAGED_GROUPS_FILE"),
        ("remover", "DATABASE_PASSWORD"),
        ("severer", "AWS_REGION"),
        ("migrate", "DATABASE_PASSWORD"),
    ],
)
@pytest.mark.parametrize("empty", [None, "", "  "])
def test_a_missing_variable(process: str, name: str, empty: str | None) -> None:
    (message,) = found(process, **{name: empty})
    assert message.id == "portal.E002"
    assert name in message.msg
    assert message.hint


def test_a_missing_variable_is_no_error_in_tests() -> None:
    assert list(environment_problems({}, process="web", mode="test")) == []


@pytest.mark.parametrize("process", sorted(GOOD))
@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_of_another_process(process: str, name: str) -> None:
    if process in SECRETS[name]:
        return
    for mode in ("production", "demo", "test"):
        messages = found(process, mode, **{name: str(Path(__file__))})
        assert ids(messages) == ["portal.E003"]
        assert name in messages[0].msg


def test_what_make_demo_hands_out_is_what_the_check_allows() -> None:
    for name, allowed in processes.SECRETS.items():
        assert SECRETS[name] == allowed


@pytest.mark.parametrize("process", ["", "Web", "flower"])
def test_an_unknown_process_or_mode(process: str) -> None:
    assert "portal.E001" in ids(list(environment_problems(COMMON, process=process, mode="production")))
    assert ids(found("beat", "staging")) == ["portal.E001"]


@pytest.mark.parametrize("factor", ["60", "0.5", "1.01"])
def test_the_business_clock_is_real_time_in_production(factor: str) -> None:
    assert ids(found("beat", BUSINESS_CLOCK_FACTOR=factor)) == ["portal.E004"]
    for mode in ("demo", "test"):
        assert found("beat", mode, BUSINESS_CLOCK_FACTOR=factor) == []
    assert found("beat", BUSINESS_CLOCK_FACTOR="1.0") == []
    assert ids(found("beat", BUSINESS_CLOCK_ANCHOR_BUSINESS="2030-01-01T00:00:00Z")) == ["portal.E004"]


@pytest.mark.parametrize("factor", ["0", "-1", "fast", "nan"])
def test_a_business_clock_that_cannot_run(factor: str) -> None:
    assert ids(found("beat", "demo", BUSINESS_CLOCK_FACTOR=factor)) == ["portal.E004"]


def test_a_context_for_mfa_that_is_none() -> None:
    assert ids(found("web", ENTRA_MFA_CONTEXT="mfa")) == ["portal.E024"]
    assert ids(found("web", ENTRA_MFA_CONTEXT="c25")) == []


@pytest.mark.parametrize("tenant", ["common", "organizations", "contoso.onmicrosoft.com", TENANT_ID[:-1]])
def test_a_tenant_that_is_no_guid(tenant: str) -> None:
    assert ids(found("web", ENTRA_TENANT_ID=tenant)) == ["portal.E005"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENTRA_AUTHORITY", "http://login.example.com"),
        ("ENTRA_AUTHORITY", "http://127.0.0.1:8443"),
        ("ENTRA_AUTHORITY", "login.microsoftonline.com"),
        ("ENTRA_BROWSER_ORIGIN", "http://127.0.0.1:8081"),
        ("GRAPH_BASE_URL", "http://127.0.0.1:8081/v1.0"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:5000"),
        ("PORTAL_ORIGIN", "http://access.example.com"),
    ],
)
def test_an_address_without_tls(name: str, value: str) -> None:
    assert ids(found("worker", **{name: value})) == ["portal.E006"]


def test_stand_ins_on_this_machine_need_no_tls_outside_production() -> None:
    local = {
        "ENTRA_BROWSER_ORIGIN": "http://127.0.0.1:8081",
        "GRAPH_BASE_URL": "http://127.0.0.1:8081/v1.0",
        "AWS_ENDPOINT_URL": "http://localhost:5000",
        "PORTAL_ORIGIN": "http://127.0.0.1:8000",
    }
    assert found("worker", "demo", **local) == []
    assert ids(found("worker", "demo", ENTRA_AUTHORITY="http://127.0.0.1:8443")) == ["portal.E006"]
    assert ids(found("worker", "demo", GRAPH_BASE_URL="http://graph.example.com")) == ["portal.E006"]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"FAST_REMOVAL": "direct", "REMOVER_AWS_SECRET_ACCESS_KEY": None}, "portal.E017"),
        ({"FAST_REMOVAL": "direct", "REMOVER_AWS_ACCESS_KEY_ID": None}, "portal.E017"),
        ({"FAST_REMOVAL": "sometimes"}, "portal.E015"),
        ({"SESSION_SEVERING": "yes"}, "portal.E015"),
        ({"NOTIFY_LANGUAGE": "fr"}, "portal.E021"),
        ({"NOTIFY_TIME_ZONE": "Europe/Nowhere"}, "portal.E021"),
        ({"MAIL_BACKEND": "notifications.demo_mail.EmailBackend"}, "portal.E020"),
        ({"SESSION_SEVERING": "on"}, "portal.E016"),
        ({"SESSION_SEVERING_PLACES": "EC2AdminAccess=group:g-1"}, "portal.E016"),
        ({"SESSION_SEVERING_PLACES": "A=inline A=inline"}, "portal.E016"),
    ],
)
def test_taking_access_away_faster(changes: dict[str, str | None], number: str) -> None:
    assert ids(found("remover", **changes)) == [number]


LAKE = "arn:aws:cloudtrail:eu-west-1:111122223333:eventdatastore/0d5fbb1c-8ed2-4b3f-9d53-0c4f5b7a6e21"
WORKGROUP = "arn:aws:athena:eu-west-1:111122223333:workgroup/activity"


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"ACTIVITY": "yes"}, "portal.E022"),
        ({"ACTIVITY_LOOKUP": "prefix"}, "portal.E022"),
        ({"ACTIVITY_KEEP_DAYS": "30"}, "portal.E022"),
        ({"API_SIGN_IN_DAYS": "0"}, "portal.E025"),
        ({"API_SIGN_IN_DAYS": "91"}, "portal.E025"),
        ({"ACTIVITY": "on"}, "portal.E023"),
        ({"ACTIVITY_SOURCE": "logs"}, "portal.E022"),
        ({"ACTIVITY_SOURCE": "lake"}, "portal.E023"),
        ({"ACTIVITY_SOURCE": "lake", "ACTIVITY_LAKE_STORE": LAKE.partition("/")[2]}, "portal.E023"),
        ({"ACTIVITY_SOURCE": "athena", "ACTIVITY_ATHENA_TABLE": "logs.trail"}, "portal.E023"),
        ({"ACTIVITY_SOURCE": "athena", "ACTIVITY_ATHENA_WORKGROUP": WORKGROUP}, "portal.E023"),
        (
            {
                "ACTIVITY_SOURCE": "athena",
                "ACTIVITY_ATHENA_WORKGROUP": WORKGROUP,
                "ACTIVITY_ATHENA_TABLE": 'logs."trail',
            },
            "portal.E023",
        ),
    ],
)
def test_reading_activity(changes: dict[str, str | None], number: str) -> None:
    assert ids(found("worker", **changes)) == [number]
    assert found("worker", ACTIVITY="on", ACTIVITY_REGIONS="eu-west-1 us-east-1") == []
    assert found("worker", ACTIVITY_SOURCE="lake", ACTIVITY_LAKE_STORE=LAKE) == []
    athena: dict[str, str | None] = {
        "ACTIVITY_ATHENA_WORKGROUP": WORKGROUP,
        "ACTIVITY_ATHENA_TABLE": "logs.trail",
    }
    assert found("worker", ACTIVITY_SOURCE="athena", **athena) == []
    assert found("web", ACTIVITY_SOURCE="lake") == [], "where it is, is the worker's business"


def test_a_setting_that_is_on_without_its_process_credential() -> None:
    assert ids(found("severer", AWS_WEB_IDENTITY_TOKEN_FILE=None)) == ["portal.E017"]
    off: dict[str, str | None] = {"SESSION_SEVERING": "off", "AWS_WEB_IDENTITY_TOKEN_FILE": None}
    assert found("severer", **off) == []


def test_the_worker_has_exactly_one_credential() -> None:
    assert ids(found("worker", ENTRA_WORKER_CLIENT_SECRET="s")) == ["portal.E007"]
    assert ids(found("worker", ENTRA_WORKER_CERTIFICATE_PATH=None)) == ["portal.E007"]
    assert found("worker", ENTRA_WORKER_CERTIFICATE_PATH=None, ENTRA_WORKER_CLIENT_SECRET="s") == []


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.pem")
    assert ids(found("worker", ENTRA_WORKER_CERTIFICATE_PATH=absent)) == ["portal.E010"]
    assert ids(found("sealer", SEALING_KEY_PATH=absent)) == ["portal.E010"]
    assert ids(found("web", ENTRA_CA_BUNDLE=absent)) == ["portal.E010"]
    assert ids(found("web", ENTRA_CA_BUNDLE=str(tmp_path))) == ["portal.E010"]


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("SECRET_KEY", "short", "E011"),
        ("PORTAL_ORIGIN", "https://access.example.com/portal", "E012"),
        ("PORTAL_ORIGIN", "https://user@access.example.com", "E012"),
        ("ALLOWED_HOSTS", "access.example.com,*", "E013"),
        ("TRUSTED_PROXY_COUNT", "-1", "E014"),
        ("TRUSTED_PROXY_COUNT", "one", "E014"),
    ],
)
def test_what_only_the_web_process_gets_wrong(name: str, value: str, number: str) -> None:
    assert ids(found("web", **{name: value})) == [f"portal.{number}"]


# --- The allow-list


def test_the_allow_list(settings: Settings, tmp_path: Path) -> None:
    settings.PORTAL_PROCESS = "worker"
    settings.PORTAL_MANAGED_GROUPS_FILE = str(tmp_path / "groups.txt")
    assert ids(check_allow_list()) == ["portal.E009"]
    (tmp_path / "groups.txt").write_text("# nothing yet\n")
    assert ids(check_allow_list()) == ["portal.W002"]
    (tmp_path / "groups.txt").write_text(f"{TENANT_ID}\nnot-an-id\n")
    (message,) = check_allow_list()
    assert message.id == "portal.E009"
    assert "Line 2" in message.msg
    (tmp_path / "groups.txt").write_text(f"{TENANT_ID}  # platform\n")
    assert check_allow_list() == []


# --- The database role


@pytest.mark.parametrize(("process", "role"), [("web", "portal_web"), ("worker", "portal_worker")])
@pytest.mark.django_db
def test_a_process_of_its_own_role(
    settings: Settings, as_role: Callable[[str], AbstractContextManager[None]], process: str, role: str
) -> None:
    settings.PORTAL_PROCESS = process
    with as_role(role):
        assert check_database_role(databases=["default"]) == []


def as_login(server: PostgresServer, database: str, role: str, process: str) -> list[checks.CheckMessage]:
    with pointed_at(server, database, role=role):
        try:
            return check_database_role(databases=["default"])
        finally:
            connection.close()


def test_nobody_but_migrate_is_the_owner(
    settings: Settings, postgres_server: PostgresServer, committed_db: str
) -> None:
    for process in ("web", "worker", "sealer"):
        settings.PORTAL_PROCESS = process
        (message,) = as_login(postgres_server, committed_db, "portal_owner", process)
        assert message.id == "portal.E008"
        assert "which is the owner" in message.msg
    settings.PORTAL_PROCESS = "migrate"
    assert as_login(postgres_server, committed_db, "portal_owner", "migrate") == []
    (message,) = as_login(postgres_server, committed_db, "portal_web", "migrate")
    assert "which isn't the owner" in message.msg


def test_a_database_that_cannot_be_reached_is_a_warning() -> None:
    assert check_database_role() == []


# --- Before anything starts


def start(process: str, code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "PORTAL_PROCESS": process, "DATABASE_PORT": "1", **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.proof
def test_the_web_process_does_not_start_with_a_wrong_configuration() -> None:
    done = start(
        "web", "import accessportal.wsgi", SECRET_KEY="k" * 50, AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE"
    )
    assert done.returncode == 1
    assert set(re.findall(r"portal\.E\d+", done.stderr)) == {"portal.E002", "portal.E003"}
    assert "AKIAIOSFODNN7EXAMPLE" not in done.stderr + done.stdout


@pytest.mark.proof
def test_a_worker_does_not_start_with_a_wrong_configuration() -> None:
    code = (
        "from accessportal.celery import app; from celery.signals import worker_init as s; s.send(sender=app)"
    )
    done = start("worker", code, SECRET_KEY="k" * 50)
    assert done.returncode == 1
    assert "portal.E003" in done.stderr


def test_activation_as_the_person_is_configured_as_a_whole(tmp_path: Path) -> None:
    keys = tmp_path / "token-keys.pem"
    public = add_key(keys).text
    assert found("web", PERSONAL_TOKEN_PUBLIC_KEY=public) == []
    assert ids(found("web", PERSONAL_TOKEN_PUBLIC_KEY="nonsense")) == ["portal.E018"]
    whole = {
        "PERSONAL_TOKEN_KEYS_PATH": str(keys),
        "ENTRA_SIGNIN_CLIENT_ID": TENANT_ID,
        "ENTRA_SIGNIN_WORKER_SECRET": "s",
    }
    assert found("worker", **whole) == []
    assert found("worker", ENTRA_SIGNIN_CLIENT_ID=TENANT_ID) == []
    for name in whole:
        left = {other: value for other, value in whole.items() if other != name}
        assert ids(found("worker", **left)) == ["portal.E019"]
    for name in ("PERSONAL_TOKEN_KEYS_PATH", "ENTRA_SIGNIN_WORKER_SECRET"):
        assert "portal.E003" in ids(found("web", **{name: whole[name]}))
    broken = tmp_path / "broken.pem"
    broken.write_text("nonsense")
    assert ids(found("worker", **whole | {"PERSONAL_TOKEN_KEYS_PATH": str(broken)})) == ["portal.E018"]
    assert ids(found("worker", **whole | {"PERSONAL_TOKEN_KEYS_PATH": "/nowhere"})) == ["portal.E010"]
