"""What was set when the portal started stands in the trail: once, without secrets, and never in the way of a start."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from pytest_django import Settings
from structlog.testing import capture_logs

from accessportal import recorded_settings
from accessportal.environment import env
from accessportal.recorded_settings import (
    PLAIN,
    SECRET,
    record_at_start,
    record_settings,
    settings_told,
    unexplained_settings,
)
from audit.ledger import sealing
from audit.ledger.models import Event
from audit.ledger.reading import Entry
from audit.ledger.sentences import actor_name, sentence
from requests_app.cutting import looping
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
    assert (actor_name(Entry(first)), actor_name(Entry(second))) == ("The portal's web process", "The portal")
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


@pytest.mark.parametrize(
    ("process", "role"),
    [("remover", "portal_remover"), ("severer", "portal_severer"), ("beat", "portal_worker")],
)
@pytest.mark.django_db
def test_processes_apart_tell_of_theirs_under_their_own_names(
    as_role: AsRole, process: str, role: str
) -> None:
    with as_role("portal_worker"):
        start("worker", CUTTING_SECONDS=2)
    with as_role(role):
        for seconds in (2, 2, 5):
            start(process, CUTTING_SECONDS=seconds)
    _, first, changed = recorded()
    assert first.type == "settings.recorded"
    assert changed.data["fields"]["changes"] == [
        {"name": f"{process}: CUTTING_SECONDS", "before": "2", "after": "5"}
    ]
    theirs = {name for name, kinds in {**SECRETS, **CONCERNS}.items() if process in kinds}
    assert {f"{process}: {name}" for name in theirs} <= set(settings_told(process, {}, {}))
    assert changed.actor_kind == "system"


@pytest.mark.django_db
def test_what_the_sealer_goes_by_is_told_by_a_worker(
    as_role: AsRole, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.PORTAL_PROCESS = "sealer"

    def begin(bucket: str) -> None:
        given = {**GIVEN, "AUDIT_ANCHOR_BUCKET": bucket, "AUDIT_ANCHOR_WEBHOOK_SECRET": "hunter6"}
        monkeypatch.setattr(recorded_settings, "settings_told", lambda *_: settings_told("sealer", given, {}))
        monkeypatch.setattr(recorded_settings, "_begun", False)
        with as_role("portal_sealer"):
            recorded_settings.note_once()
            recorded_settings.note_once()

    def tell() -> None:
        monkeypatch.setattr(recorded_settings, "_look_from", 0.0)
        with as_role("portal_worker"):
            recorded_settings.tell_for_sealer()

    assert recorded_settings.note_once in sealing._first
    tell()
    monkeypatch.setattr(recorded_settings, "TELL_WITHIN", timedelta(0))
    begin("first")
    now = datetime.now(UTC)
    assert [each.code for each in unexplained_settings(now - timedelta(hours=1))] == ["change_unexplained"]
    assert list(unexplained_settings(now + timedelta(hours=1))) == [], "the event was removed with its month"
    for bucket in ("first", "first", "second"):
        begin(bucket)
        tell()
    first, changed = recorded()
    assert changed.data["fields"]["changes"] == [
        {"name": "sealer: AUDIT_ANCHOR_BUCKET", "before": "first", "after": "second"}
    ]
    assert "hunter" not in first.canon + changed.canon
    theirs = {name for name, kinds in {**SECRETS, **CONCERNS}.items() if "sealer" in kinds}
    assert {f"sealer: {name}" for name in theirs} <= set(first.data["fields"]["settings"])

    # What it went by for a moment is told as well, in its order; what can't be read stands in nobody's way.
    begin("other")
    with connection.cursor() as cursor, as_role("portal_sealer"):
        said = f'{{"sealer: AUDIT_ANCHOR_BUCKET": {"1" * 5_000}}}'
        cursor.execute("INSERT INTO audit_sealer_settings (told) VALUES (%s)", [said])
    begin("second")
    for _ in range(2):
        tell()
    _, _, there, back = recorded()
    for told, before, after in ((there, "second", "other"), (back, "other", "second")):
        assert told.data["fields"]["changes"] == [
            {"name": "sealer: AUDIT_ANCHOR_BUCKET", "before": before, "after": after}
        ]

    # What no worker tells of is found, and nobody but the sealer says it, or takes it back.
    assert list(unexplained_settings(None)) == []
    begin("third")
    with as_role("portal_sealer"):
        for gone_until in (None, now + timedelta(hours=1)):
            assert [each.code for each in unexplained_settings(gone_until)] == ["change_unexplained"]
    with connection.cursor() as cursor:
        for role, statement in (
            ("portal_worker", "INSERT INTO audit_sealer_settings (told) VALUES ('{}')"),
            ("portal_sealer", "INSERT INTO audit_sealer_settings (told, at) VALUES ('{}', now())"),
            ("portal_sealer", "DELETE FROM audit_sealer_settings"),
        ):
            with as_role(role), pytest.raises(DatabaseError), transaction.atomic():
                cursor.execute(statement)


@pytest.mark.django_db
def test_who_has_the_sealers_rights_has_a_worker_tell_of_its_settings_alone(
    as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_role("portal_worker"):
        start("worker", AUDIT_EVENTS_KEPT_DAYS="")
    own = settings_told("sealer", {**GIVEN, "AUDIT_ANCHOR_FILE": "/a" * 200}, {})
    invented = {
        "AUDIT_EVENTS_KEPT_DAYS": "365",
        "sealer: NOBODYS": "x",
        **{f"{n}": "x" * 900 for n in range(40)},
    }
    with as_role("portal_sealer"):
        recorded_settings.note_settings("sealer", {**own, "sealer: AUDIT_ANCHORS": "x" * 9_000, **invented})
    monkeypatch.setattr(recorded_settings, "_look_from", 0.0)
    with as_role("portal_worker"):
        recorded_settings.tell_for_sealer()
    first, told = recorded()
    assert told.type == "settings.recorded", "nothing that anybody else goes by changed"
    after = told.data["fields"]["settings"]
    assert after == {**first.data["fields"]["settings"], **own, "sealer: AUDIT_ANCHORS": "x" * 240}
    assert after["sealer: AUDIT_ANCHOR_FILE"].endswith("… (400 characters)")
    monkeypatch.setattr(recorded_settings, "TELL_WITHIN", timedelta(0))
    assert list(unexplained_settings(None)) == []


def test_what_the_file_of_managed_groups_says_is_told_by_its_digest(
    tmp_path: Path, settings: Settings
) -> None:
    file = tmp_path / "groups"
    settings.PORTAL_MANAGED_GROUPS_FILE = str(file)
    told = []
    for text in (
        "# none",
        str(UUID(int=1)),
        f"{UUID(int=1)}  # the same\n",
        "nothing",
        f"{UUID(int=2)}\n{UUID(int=1)}",
    ):
        file.write_text(text)
        told.append(settings_told("worker", {}, {})["managed groups"])
    assert [each.partition(",")[0] for each in told] == ["0", "1", "1", "(unreadable)", "2"]
    assert (told[1] == told[2], len(set(told))) == (True, 4)
    assert settings_told("remover", {}, {})["remover: managed groups"] == told[4]


def test_a_loop_begins_with_what_a_start_does_and_goes_on_with_what_is_owed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    monkeypatch.setattr(recorded_settings, "_begun", False)
    monkeypatch.setattr(recorded_settings, "record_at_start", lambda: done.append("start"))
    monkeypatch.setattr(recorded_settings, "record_if_owed", lambda: done.append("owed"))
    assert recorded_settings.record_once in looping._first
    for _ in range(3):
        recorded_settings.record_once()
    assert done == ["start", "owed", "owed"]


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
