"""What was set when the portal started stands in the trail: once, without secrets, and never in the way of a start."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.db import connection
from django.test import Client
from structlog.testing import capture_logs

from accessportal import recorded_settings
from accessportal.environment import env
from accessportal.recorded_settings import PLAIN, SECRET, record_at_start, record_settings, settings_told
from audit.ledger.models import Event
from audit.ledger.reading import Entry
from audit.ledger.sentences import sentence
from stack.processes import CONCERNS, SECRETS
from tests.stack.test_compose import SERVICES

type AsRole = Callable[[str], AbstractContextManager[None]]
type CountQueries = Callable[[int], AbstractContextManager[None]]

GIVEN = {
    "LATEST_START_DAYS": "14",
    "SECRET_KEY": "a secret of the web process",
    "ENTRA_SIGNIN_CLIENT_SECRET": "hunter2",
    "DATABASE_PASSWORD": "hunter3",
    "REDIS_URL": "redis://:hunter4@redis:6379/0",
    "MAIL_PASSWORD": "hunter5",
    "MAIL_FROM": "Ada Lovelace <ada@example.org>",
    "ALERT_MAIL_TO": "ada@example.org, team@example.com",
    "AUDIT_STREAM_WEBHOOK_URL": "https://hunter6:hunter7@siem.example.org/services/hunter8?token=hunter9",
    "ON_CALL_DOCUMENT": "/etc/hunter/on-call.json",
    "GRAPH_BASE_URL": "https://hunter1:hunter0@graph.example.org/v1.0?key=hunter1#hunter2",
    "EMERGENCY_PROCEDURE_URL": "https://[nowhere",
    "ENTRA_SIGNIN_WORKER_SECRET": "hunter1",
    "METRICS_TOKEN": "hunter3",
    "AWS_SECRET_ACCESS_KEY": "hunter2",
}


def recorded() -> list[Event]:
    return list(Event.objects.filter(type__startswith="settings.").order_by("id"))


def start(process: str, **given: object) -> None:
    record_settings(
        process, settings_told(process, {**GIVEN, **{k: str(v) for k, v in given.items()}}, given)
    )


@pytest.mark.django_db
def test_a_changed_setting_is_one_event_and_the_first_start_is_another(as_role: AsRole) -> None:
    with as_role("portal_web"):
        start("web", LATEST_START_DAYS=14)
    with as_role("portal_worker"):
        start("worker", LATEST_START_DAYS=14, MAIL_HOST="mail")
        start("worker", LATEST_START_DAYS=14, MAIL_HOST="mail")
        start("worker", LATEST_START_DAYS=30, MAIL_HOST="mail")
        start("worker", LATEST_START_DAYS=30, MAIL_HOST="mail")
    with as_role("portal_web"):
        start("web", LATEST_START_DAYS=30)

    first, second, changed = recorded()
    assert [first.type, second.type, changed.type] == [
        "settings.recorded",
        "settings.recorded",
        "settings.changed",
    ]
    assert first.data["fields"]["process"] == "web"
    assert "LATEST_START_DAYS" not in second.data["fields"]["names"], "the web process told of it already"
    assert changed.data["fields"]["changes"] == [{"name": "LATEST_START_DAYS", "before": "14", "after": "30"}]
    assert sentence(Entry(changed)).endswith("than were recorded before: LATEST_START_DAYS")


@pytest.mark.django_db
def test_a_setting_that_comes_newly_beside_a_change_is_in_the_same_event() -> None:
    told = settings_told("worker", GIVEN, {"LATEST_START_DAYS": 14})
    record_settings("worker", {name: told[name] for name in told if name != "MAIL_HOST"})
    record_settings("worker", {**told, "LATEST_START_DAYS": "15"})
    _, changed = recorded()
    assert changed.data["fields"]["names"] == "LATEST_START_DAYS"
    assert changed.data["fields"]["changes"][1] == {"name": "MAIL_HOST", "before": None, "after": ""}


@pytest.mark.django_db
def test_of_a_secret_there_is_no_more_in_the_trail_than_that_it_is_given() -> None:
    for process in ("web", "worker"):
        start(process)
        start(process, MAIL_PASSWORD="another", SECRET_KEY="another")
        start(process, MAIL_PASSWORD="", SECRET_KEY="")
    whole = "".join(event.canon for event in recorded())
    assert not re.search(r"hunter|another|a secret of|ada", whole)
    told = recorded()[-1].data["fields"]["settings"]
    assert told["MAIL_FROM"] == "…@example.org"
    assert told["ALERT_MAIL_TO"] == "…@example.org,…@example.com"
    assert told["AUDIT_STREAM_WEBHOOK_URL"] == "https://siem.example.org/…"
    assert told["GRAPH_BASE_URL"] == "https://graph.example.org/v1.0"


@pytest.mark.django_db
def test_whether_a_secret_is_given_is_told() -> None:
    start("web")
    start("web", SECRET_KEY="")
    _, changed = recorded()
    assert changed.data["fields"]["changes"] == [{"name": "SECRET_KEY", "before": "(given)", "after": ""}]


def test_processes_that_start_together_leave_one_event(committed_db: None) -> None:
    told = settings_told("worker", GIVEN, {})
    together = threading.Barrier(4)

    def begin() -> None:
        together.wait(10)
        try:
            record_settings("worker", told)
        finally:
            connection.close()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [event.type for event in recorded()] == ["settings.recorded"]


@pytest.mark.django_db
def test_a_start_without_the_database_goes_on_and_what_it_owes_is_written_later(
    monkeypatch: pytest.MonkeyPatch, client: Client, django_assert_num_queries: CountQueries
) -> None:
    monkeypatch.setattr("django.db.connections.close_all", lambda: None)
    monkeypatch.setattr(recorded_settings, "_owed_from", None)
    monkeypatch.setattr(recorded_settings, "_NEWEST", "SELECT FROM no_such_table")
    with capture_logs() as lines:
        record_at_start()
    assert [line["event"] for line in lines] == ["settings.not_recorded"]
    monkeypatch.undo()
    monkeypatch.setattr(recorded_settings, "_owed_from", 0.0)

    client.get("/readyz")
    (event,) = recorded()
    assert event.data["fields"]["settings"]["PORTAL_MODE"] == "test"
    with django_assert_num_queries(1):
        client.get("/readyz")


def test_what_a_beat_or_sealer_goes_by_is_written_by_nobody_else() -> None:
    assert settings_told("beat", GIVEN, {}) == settings_told("sealer", GIVEN, {}) == {}


# --- What is written down, of which process

ELSEWHERE = {
    "PORTAL_PROCESS",  # each event says it
    "DATABASE_USER",  # left out; each kind of process has its own
}


def test_every_setting_of_the_two_is_written_down_or_said_not_to_be() -> None:
    for process in ("web", "worker"):
        theirs = {name for name, kinds in {**SECRETS, **CONCERNS}.items() if process in kinds}
        others = {*SECRETS, *CONCERNS} - theirs
        told = set(settings_told(process, {}, {}))
        missing = (theirs | set(env.dump())) - others - told - ELSEWHERE
        assert missing <= {"TRUSTED_PROXY_COUNT"} if process == "worker" else not missing, missing
        assert not told & others, "it isn't told of them"
        assert {name for name in told if name in SECRETS} <= SECRET[process]
        assert not PLAIN[process] & set(SECRETS)


def test_what_both_write_down_is_given_to_both_or_neither() -> None:
    both = PLAIN["web"] & PLAIN["worker"]
    web, worker = (SERVICES[kind]["environment"] for kind in ("web", "worker"))
    assert {name for name in both if web.get(name) != worker.get(name)} == set()


@pytest.mark.django_db
def test_the_longest_settings_fit_in_an_event() -> None:
    told = dict.fromkeys(settings_told("worker", {}, {}), "ü" * 500)
    record_settings("worker", told)
    (event,) = recorded()
    assert json.loads(event.canon)["fields"]["number"] == len(told)
