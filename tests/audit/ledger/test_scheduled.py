"""The verification that a worker does every day: when, in which pieces, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import psycopg
import pytest
from django.core.checks import CheckMessage
from django.db import connection
from pytest_django import Settings

from audit.ledger import scheduled, sealing, verifying
from audit.ledger.checks import check_verification
from audit.ledger.events import DIFFERS, VERIFIED
from audit.ledger.findings import Finding
from audit.ledger.keys import SealingKey, make_key, public_path
from audit.ledger.models import Event, Verification
from audit.ledger.scheduled import FIRST_AFTER, MOST_TRIES, go_on, last_turn, verification_state
from audit.ledger.sealing import seal_everything
from audit.ledger.verifying import Report, Walk
from base import clock
from oversight.alerts import raise_and_clear
from oversight.facts import facts
from oversight.models import Alert, AlertKind
from tests.audit.ledger.factories import note
from tests.support.servers import PostgresServer

type AsRole = Callable[[str], AbstractContextManager[None]]
BEGAN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
STEPS = ["one", "two", "three"]


class Time:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = BEGAN

    def passes(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def time() -> Iterator[Time]:
    stepped = Time()
    clock.replace_real_clock(lambda: stepped.now)
    yield stepped
    clock.replace_real_clock(None)


class Steps:
    """In place of the verifier's own: what each is to give, and what was asked of them."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.finds: dict[str, list[Finding]] = {}
        self.fails: dict[str, BaseException] = {}

    def __call__(self, name: str, _keys: object, walk: Walk, **_: Any) -> Report:
        self.asked.append(name)
        if name in self.fails:
            raise self.fails[name]
        found = self.finds.get(name, [])
        return Report(events=5, batches=2, findings=found, by_code={each.code: (1, each) for each in found})


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, time: Time) -> Steps:
    made = Steps()
    monkeypatch.setattr(scheduled, "verify_step", made)
    monkeypatch.setattr(scheduled, "step_names", lambda _: list(STEPS))
    return made


def the_first(time: Time) -> Verification:
    """Owed and due."""
    assert not go_on()
    time.passes(seconds=FIRST_AFTER.total_seconds() + 1)
    return Verification.objects.get()


def told(name: str) -> list[dict[str, Any]]:
    return [event.data["fields"] for event in Event.objects.filter(type=name).order_by("pk")]


# --- when


@pytest.mark.django_db
def test_the_first_is_some_minutes_after_the_start_and_the_next_at_its_hour(
    steps: Steps, time: Time, settings: Settings
) -> None:
    settings.AUDIT_VERIFY_HOUR = 3
    the_first(time)
    assert steps.asked == []
    assert not go_on()
    assert steps.asked == STEPS
    time.passes(hours=12)  # 02:33
    assert not go_on()
    assert steps.asked == STEPS
    time.passes(minutes=30)  # 03:03
    assert not go_on()
    assert not go_on()
    assert steps.asked == 2 * STEPS
    first, second = Verification.objects.order_by("pk")
    assert [first.status, second.status] == ["done", "done"]
    assert second.unverified_since == first.finished_at
    assert len(told(VERIFIED.name)) == 2
    assert told(VERIFIED.name)[0] == {
        "events": 15,
        "batches": 6,
        "last_batch": 0,
        "took": pytest.approx(0, abs=5),
        "signatures": "not checked",
    }


def test_the_turn_is_the_newest_full_hour_that_is_over(settings: Settings) -> None:
    settings.AUDIT_VERIFY_HOUR = 3
    assert last_turn(datetime(2026, 1, 2, 2, 59, tzinfo=UTC)) == datetime(2026, 1, 1, 3, tzinfo=UTC)
    assert last_turn(datetime(2026, 1, 2, 3, 0, tzinfo=UTC)) == datetime(2026, 1, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(("hour", "ids"), [(-1, ["ledger.E016"]), (0, []), (23, []), (24, ["ledger.E016"])])
def test_the_hour_is_one_of_the_day(hour: int, ids: list[str], settings: Settings) -> None:
    settings.AUDIT_VERIFY_HOUR = hour
    assert _ids(check_verification()) == ids


def test_a_worker_can_read_the_keys_that_it_trusts(settings: Settings, tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    settings.PORTAL_PROCESS = "worker"
    settings.AUDIT_VERIFY_KEYS = [f"{tmp_path}/key.pub@..7"]
    assert check_verification() == []
    settings.AUDIT_VERIFY_KEYS = [str(tmp_path / "absent")]
    assert _ids(check_verification()) == ["ledger.E017"]
    settings.PORTAL_PROCESS = "web"
    assert check_verification() == []


def _ids(found: list[CheckMessage]) -> list[str]:
    return [str(each.id) for each in found]


# --- pieces


@pytest.mark.django_db
def test_a_piece_that_is_over_asks_for_the_next_one(steps: Steps, time: Time) -> None:
    the_first(time)
    assert go_on(timedelta(0))
    assert go_on(timedelta(0))
    assert not go_on(timedelta(0))
    assert steps.asked == STEPS
    assert Verification.objects.get().status == "done"


@pytest.mark.django_db
def test_who_dies_in_the_middle_leaves_it_unfinished_and_the_next_goes_on(steps: Steps, time: Time) -> None:
    the_first(time)
    steps.finds["one"] = [Finding("leaf_altered", "…", 7)]
    steps.fails["two"] = SystemExit()  # nothing of ours comes after it
    with pytest.raises(SystemExit):
        go_on()
    run = Verification.objects.get()
    assert (run.status, run.step, run.events, run.findings) == ("running", "two", 5, 1)
    assert not verification_state().stands_still(time.now)
    time.passes(minutes=11)
    assert verification_state().stands_still(time.now)
    assert not Event.objects.filter(type__in=[VERIFIED.name, DIFFERS.name]).exists()
    steps.fails.clear()
    assert not go_on()
    assert steps.asked == ["one", "two", "two", "three"]
    run.refresh_from_db()
    assert (run.status, run.events, run.findings, run.first_bad_batch) == ("done", 15, 1, 7)


@pytest.mark.django_db
def test_what_never_works_is_given_up_until_the_next_turn(
    steps: Steps, time: Time, settings: Settings
) -> None:
    the_first(time)
    steps.fails["two"] = TimeoutError("…")
    for tries in range(1, MOST_TRIES + 1):
        assert not go_on()
        assert not go_on()
        assert steps.asked.count("two") == tries, "later, not at once"
        time.passes(minutes=20)
    assert not go_on()
    run = Verification.objects.get()
    assert steps.asked == ["one", *["two"] * MOST_TRIES]
    assert (run.status, run.problem) == ("given_up", "TimeoutError at the step two")
    steps.fails.clear()
    time.passes(days=1)
    assert not go_on()
    done = Verification.objects.latest("pk")
    assert (done.status, done.unverified_since) == ("done", run.unverified_since)


@pytest.mark.django_db
def test_two_never_verify_at_a_time(steps: Steps, time: Time, postgres_server: PostgresServer) -> None:
    the_first(time)
    elsewhere = psycopg.connect(
        postgres_server.conninfo("portal_worker", connection.settings_dict["NAME"]), autocommit=True
    )
    with closing(elsewhere):
        elsewhere.execute("SELECT pg_advisory_lock(%s)", [scheduled._LOCK])
        assert not go_on()
        assert steps.asked == []
    for _ in range(100):  # its lock ends with it, once the server has noticed
        assert not go_on()
        if steps.asked:
            break
        sleep(0.05)
    assert steps.asked == STEPS


@pytest.mark.django_db
def test_overdue_is_what_has_not_ended_whole_for_two_days(steps: Steps, time: Time) -> None:
    assert verification_state().overdue(time.now) is None
    the_first(time)
    began = time.now
    time.passes(hours=47)
    assert verification_state().overdue(time.now) is None
    time.passes(hours=2)
    assert verification_state().overdue(time.now) == time.now - began + FIRST_AFTER + timedelta(seconds=1)
    assert not go_on()
    assert verification_state().overdue(time.now) is None


# --- what it finds


@pytest.fixture
def key(tmp_path: Path, settings: Settings) -> SealingKey:
    settings.AUDIT_VERIFY_KEYS = [str(public_path(tmp_path / "key"))]
    return make_key(tmp_path / "key")


def takes_its_time(_: datetime | None) -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.5)")
    return iter(())


def verified(name: str) -> dict[str, Any]:
    """The event of a verification of its own, in the smallest pieces."""
    now = clock.real_now()
    Verification.objects.create(started_at=now, moved_at=now, unverified_since=now)
    while go_on(timedelta(0)):
        pass
    return told(name)[-1]


def test_a_good_trail_gives_a_good_event_and_a_forged_one_is_named(
    key: SealingKey,
    as_role: AsRole,
    committed_db: str,
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    settings: Settings,
) -> None:
    """By the verifier itself, over several pieces of the chain; also as a role whose statements may take little time."""
    monkeypatch.setattr(sealing, "BATCH", 1)
    monkeypatch.setattr(verifying, "_CHUNK", 2)
    for number in range(5):
        note(f"note {number}")
    with as_role("portal_sealer"):
        assert seal_everything(key) == 5
    with psycopg.connect(postgres_server.conninfo("postgres", committed_db), autocommit=True) as superuser:
        good = verified(VERIFIED.name)
        assert (good["events"], good["batches"], good["last_batch"]) == (5, 5, 5)
        assert good["signatures"] == f"checked with {key.id}"
        assert not told(DIFFERS.name)
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '400ms'")
            try:
                assert verifying.verify({key.id: key.trusted}, beside=[takes_its_time]).sound
            finally:
                cursor.execute("RESET statement_timeout")

        superuser.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_unchanged")
        superuser.execute(
            "UPDATE audit_event SET canon = replace(canon, 'note 3', 'Note 3'), "
            "data = replace(canon, 'note 3', 'Note 3')::jsonb WHERE canon LIKE '%note 3%'"
        )
        forged = Event.objects.get(canon__contains="Note 3").pk
        bad = verified(DIFFERS.name)
        assert (bad["findings"], bad["first_bad_batch"]) == (1, 4)
        assert bad["names"] == f"event_altered (event {forged}, batch 4)"
        assert Event.objects.latest("pk").outcome == "failed"
        assert verification_state().whole == Verification.objects.latest("pk")
        raise_and_clear(facts())
        assert Alert.objects.get(kind=AlertKind.DIFFERS).cleared_at is None

        # Another's key signs: only who was told of the sealer's notices.
        make_key(tmp_path / "other")
        settings.AUDIT_VERIFY_KEYS = [str(public_path(tmp_path / "other"))]
        assert "key_unknown 5 times, first at batch 1" in verified(DIFFERS.name)["names"]

        settings.AUDIT_VERIFY_KEYS = []
        superuser.execute(
            "UPDATE audit_event SET canon = replace(canon, 'Note 3', 'note 3'), "
            "data = replace(canon, 'Note 3', 'note 3')::jsonb WHERE canon LIKE '%Note 3%'"
        )
        assert verified(VERIFIED.name)["signatures"] == "not checked"
        raise_and_clear(facts())
        assert Alert.objects.get(kind=AlertKind.DIFFERS).cleared_at is not None
