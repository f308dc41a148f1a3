"""Seals: nothing is missed, and nothing that was sealed can be touched unseen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django_subatomic.db import transaction
from pytest_django import Settings
from structlog.testing import capture_logs

from audit.ledger import sealing
from audit.ledger.anchored import anchored_lines
from audit.ledger.canonical import instant
from audit.ledger.checks import check_beyond
from audit.ledger.keys import SealingKey, load_key, load_public_keys, make_key, public_path
from audit.ledger.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_hash, seal_hash
from audit.ledger.models import Event, Leaf, Seal
from audit.ledger.sealing import Sealer, seal_batch, seal_everything
from audit.ledger.verifying import Report, verify
from tests.audit.ledger.bulk import fill
from tests.audit.ledger.factories import ask, note
from tests.support.seldom import seldom
from tests.support.servers import MONTHS_OF_TESTS, PostgresServer

CANON = (
    '{"actor":{"kind":"anonymous"},"business_at":"2026-01-01T00:00:00.000000Z",'
    '"outcome":"done","type":"trial.noted"}'
)
type AsRole = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def key(tmp_path: Path) -> SealingKey:
    return make_key(tmp_path / "key")


@pytest.fixture
def superuser(committed_db: str, postgres_server: PostgresServer) -> Iterator[psycopg.Connection]:
    """Somebody who can do everything, and does away with the triggers first."""
    with psycopg.connect(postgres_server.conninfo("postgres", committed_db), autocommit=True) as direct:
        for table in ("audit_event", "audit_version", "audit_pii", "audit_leaf", "audit_seal"):
            direct.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_unchanged")
        yield direct


def verified(key: SealingKey) -> Report:
    return verify({key.id: key.trusted})


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


# --- the tree


def test_the_tree_is_the_one_of_rfc_6962() -> None:
    a, b, c, d, e = leaves = [sha256(bytes([number])).digest() for number in range(5)]
    assert root_hash([]) == EMPTY_ROOT == sha256().digest()
    assert root_hash([a]) == a
    assert root_hash([a, b]) == sha256(b"\x01" + a + b).digest()
    assert root_hash([a, b, c]) == node_hash(node_hash(a, b), c)
    four = node_hash(node_hash(a, b), node_hash(c, d))
    assert root_hash(leaves) == node_hash(four, e)
    # Section 2.1: split at the largest power of two below n.
    seven = [sha256(bytes([number])).digest() for number in range(7)]
    assert root_hash(seven) == node_hash(root_hash(seven[:4]), node_hash(root_hash(seven[4:6]), seven[6]))


def test_a_leaf_covers_id_time_and_text() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    leaf = leaf_hash(7, at, "{}")
    assert leaf == sha256(b"\x007\n2026-01-02T03:04:05.000006Z\n{}").digest()
    assert len({leaf, leaf_hash(8, at, "{}"), leaf_hash(7, at + timedelta(microseconds=1), "{}")}) == 3


# --- sealing


@pytest.mark.usefixtures("committed_db")
def test_events_are_sealed_in_a_chain_of_signed_batches(
    key: SealingKey, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "BATCH", 2)
    for number in range(5):
        note(f"{number}")
    with as_role("portal_sealer"):
        assert seal_everything(key) == 5
        assert seal_everything(key) == 0  # nor an empty seal, since the last is young

    first, second, third = Seal.objects.all()
    assert [seal.n for seal in (first, second, third)] == [2, 2, 1]
    assert bytes(first.prev_seal) == bytes(32)
    assert bytes(second.prev_seal) == bytes(first.seal)
    assert bytes(third.seal) == seal_hash(bytes(second.seal), bytes(third.root), 1, 3, third.at)
    events = Event.objects.order_by("at", "id")
    assert [leaf.event_id for leaf in Leaf.objects.order_by("batch", "idx")] == [e.id for e in events]
    report = verified(key)
    assert report.sound
    assert (report.events, report.batches, report.unsealed) == (5, 3, 0)


def test_a_batch_reads_no_more_however_much_waits_for_its_seal(
    key: SealingKey,
    as_role: AsRole,
    committed_db: str,
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(postgres_server, committed_db, 1_000)
    with as_role("portal_sealer"):
        assert seal_everything(key) == 1_000
    as_owner = postgres_server.conninfo("portal_owner", committed_db)
    with psycopg.connect(as_owner, autocommit=True) as owner:
        # From now on, statistics say that everything is sealed.
        owner.execute("VACUUM ANALYZE audit_event, audit_leaf")
    monkeypatch.setattr(sealing, "BATCH", 100)
    read = []
    for more in (1_000, 3_000):
        with psycopg.connect(as_owner) as owner:
            owner.execute(f"INSERT INTO audit_event (canon) SELECT '{CANON}' FROM generate_series(1, {more})")  # noqa: S608 - ours
        with as_role("portal_sealer"):
            first = seal_batch(key)
            assert first is not None
            read.append(rows_of_events_read(first.last_at))
    assert read[0] == read[1] <= 3 * sealing.BATCH


def rows_of_events_read(since: datetime | None) -> int:
    """By the statement that finds the next batch, in all partitions, as PostgreSQL counts them."""
    with transaction(), connection.cursor() as cursor:
        cursor.execute(sealing.WALKING)
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sealing.UNSEALED}", [since, sealing.BATCH])
        ((told,),) = cursor.fetchall()
    plans, rows = [told[0]["Plan"]], 0.0
    while plans:
        plan = plans.pop()
        plans += plan.get("Plans", [])
        if plan.get("Relation Name", "").startswith("audit_event"):
            rows += (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return round(rows)


@pytest.mark.usefixtures("committed_db")
def test_an_idle_hour_leaves_an_empty_seal(
    key: SealingKey, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_role("portal_sealer"):
        assert seal_everything(key) == 0
        assert Seal.objects.get().n == 0  # the first is made at once: the chain has begun
        monkeypatch.setattr(sealing, "EMPTY_SEAL_AFTER", timedelta(0))
        seal_everything(key)
    assert [(seal.n, bytes(seal.root)) for seal in Seal.objects.all()] == [(0, EMPTY_ROOT)] * 2
    assert verified(key).sound


def test_a_writer_that_commits_late_is_not_missed(
    key: SealingKey, as_role: AsRole, committed_db: str, postgres_server: PostgresServer
) -> None:
    with psycopg.connect(postgres_server.conninfo("portal_web", committed_db)) as late:
        row = late.execute("INSERT INTO audit_event (canon) VALUES (%s) RETURNING id", [CANON]).fetchone()
        assert row is not None
        event_id = row[0]
        later = note()
        assert later > event_id
        with as_role("portal_sealer"):
            assert seal_everything(key) == 1
        late.commit()
    with as_role("portal_sealer"):
        assert seal_everything(key, look_back=sealing.SHORT_LOOK) == 1
    assert Leaf.objects.get(event_id=event_id).batch > Leaf.objects.get(event_id=later).batch
    assert verified(key).sound


@pytest.mark.usefixtures("committed_db")
def test_writers_and_two_sealers_at_once_miss_nothing_and_seal_nothing_twice(
    key: SealingKey, as_role: AsRole
) -> None:
    problems: list[BaseException] = []
    writing_is_over = threading.Event()

    def in_thread(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - told to the test below
                problems.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def write() -> None:
        for number in range(40):
            with transaction():
                ask(words=f"{number}")
                ask(words=f"{number} again")

    def seal() -> None:
        with as_role("portal_sealer"):
            while not writing_is_over.is_set():
                seal_everything(key, look_back=sealing.SHORT_LOOK)

    writers = [in_thread(write) for _ in range(4)]
    sealers = [in_thread(seal) for _ in range(2)]
    for thread in writers:
        thread.join(60)
    writing_is_over.set()
    for thread in sealers:
        thread.join(60)
    assert problems == []
    with as_role("portal_sealer"):
        seal_everything(key)
    assert Leaf.objects.count() == Event.objects.count() == 4 * 40 * 2
    report = verified(key)
    assert report.sound
    assert report.events == 320
    assert report.batches >= 2


def test_while_somebody_seals_another_waits_for_nothing(
    key: SealingKey, committed_db: str, postgres_server: PostgresServer
) -> None:
    note()
    with psycopg.connect(postgres_server.conninfo("portal_sealer", committed_db)) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [sealing._LOCK])
        assert seal_batch(key) is None
    assert not Seal.objects.exists()


# --- manipulations, by somebody whom no guard stops

RETELL = """
UPDATE audit_event SET canon = replace(canon, 'note 2', 'note X'), data = replace(canon, 'note 2', 'note X')::jsonb
WHERE id = 2
"""
REWRITE = """
ALTER TABLE audit_event DROP CONSTRAINT audit_event_says;
UPDATE audit_event SET canon = replace(canon, 'note 3', 'note X') WHERE id = 3;
UPDATE audit_leaf leaf SET leaf = sha256('\\x00'::bytea || convert_to(
    event.id || E'\\n' || to_char(event.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    || E'\\n' || event.canon, 'UTF8'))
FROM audit_event event WHERE event.id = 3 AND leaf.event_id = 3
"""
REORDER = """
UPDATE audit_leaf SET idx = idx + 10 WHERE batch = 1;
UPDATE audit_leaf SET idx = 11 - idx WHERE batch = 1
"""
UNBIND = """
ALTER TABLE audit_event DROP CONSTRAINT audit_event_says;
UPDATE audit_event SET actor_oid = 'somebody else' WHERE id = 4
"""
MISREAD = """
ALTER TABLE audit_event DROP CONSTRAINT audit_event_says;
UPDATE audit_event SET data = jsonb_set(data, '{fields,note}', '"note X"') WHERE id = 4
"""
MOST_LIKELY = {
    "the text of an event",
    "an event is deleted",
    "an event is altered together with its leaf",
    "a seal in the middle is deleted",
}
MANIPULATIONS = {
    "the text of an event": (
        RETELL,
        {"event_altered"},
        1,
    ),
    "the time of an event": (
        "UPDATE audit_event SET at = at + interval '1 microsecond' WHERE id = 2",
        {"event_missing", "event_doubled"},
        1,
    ),
    "an event is deleted": ("DELETE FROM audit_event WHERE id = 3", {"event_missing"}, 2),
    "an event and its leaf are deleted": (
        "DELETE FROM audit_event WHERE id = 3; DELETE FROM audit_leaf WHERE event_id = 3",
        {"leaf_missing"},
        2,
    ),
    "an event is altered together with its leaf": (REWRITE, {"leaf_altered"}, 2),
    "a leaf": (
        "UPDATE audit_leaf SET leaf = sha256('') WHERE event_id = 1",
        {"event_altered", "leaf_altered"},
        1,
    ),
    "leaves in another order": (REORDER, {"leaf_altered"}, 1),
    "an event is slipped into a sealed batch": (
        "UPDATE audit_leaf SET batch = 1, idx = 2 WHERE event_id = 5",
        {"leaf_missing"},
        1,
    ),
    "a leaf without a seal": (
        "UPDATE audit_leaf SET batch = 9 WHERE event_id = 5",
        {"leaf_missing", "leaf_without_seal"},
        3,
    ),
    "a seal in the middle is deleted": (
        "DELETE FROM audit_seal WHERE batch = 2",
        {"seal_missing", "leaf_without_seal"},
        2,
    ),
    "a seal's root": (
        "UPDATE audit_seal SET root = sha256('') WHERE batch = 2",
        {"seal_altered", "leaf_altered"},
        2,
    ),
    "a seal's time": (
        "UPDATE audit_seal SET at = at - interval '1 day' WHERE batch = 2",
        {"seal_altered"},
        2,
    ),
    "a signature": (
        "UPDATE audit_seal SET signature = sha256('a') || sha256('b') WHERE batch = 2",
        {"signature_wrong"},
        2,
    ),
    "another key": ("UPDATE audit_seal SET key_id = 'ffff' WHERE batch = 3", {"key_unknown"}, 3),
    "a column that no longer follows its text": (UNBIND, {"columns_differ"}, 2),
    "a text that is read as another": (MISREAD, {"columns_differ"}, 2),
    "a version": (
        "UPDATE audit_version SET version = 7 WHERE event_id = 6",
        {"version_missing"},
        None,
    ),
    "a version is deleted": ("DELETE FROM audit_version", {"version_missing"}, None),
    "a version without its event": (
        "INSERT INTO audit_version VALUES ('trial', gen_random_uuid(), 1, 1)",
        {"version_forged"},
        None,
    ),
    "somebody's words": (
        "UPDATE audit_pii SET words = 'Nobody' WHERE event_id = 6 AND field = 'actor'",
        {"words_altered"},
        None,
    ),
    "words that were never written": (
        (
            "ALTER TABLE audit_pii DISABLE TRIGGER audit_pii_event;"
            "INSERT INTO audit_pii VALUES (1, 'comment', decode(md5(''), 'hex'), 'Fine with me')"
        ),
        {"words_altered"},
        None,
    ),
}


@pytest.mark.parametrize("what", seldom(MANIPULATIONS, unless=MOST_LIKELY.__contains__))
def test_every_manipulation_is_found_and_placed(
    what: str,
    key: SealingKey,
    as_role: AsRole,
    superuser: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sealing, "BATCH", 2)
    for number in range(1, 6):
        note(f"note {number}")
    with transaction():
        ask()
    with as_role("portal_sealer"):
        assert seal_everything(key) == 6
    assert verified(key).sound

    statements, expected, batch = MANIPULATIONS[what]
    for statement in statements.split(";"):
        superuser.execute(statement)

    report = verified(key)
    assert expected <= codes(report), report.findings
    assert report.first_bad_batch == batch


def test_a_backdated_event_is_found(key: SealingKey, as_role: AsRole, superuser: psycopg.Connection) -> None:
    with as_role("portal_sealer"):
        seal_everything(key)
    superuser.execute(
        "INSERT INTO audit_event (canon, at) VALUES (%s, clock_timestamp() - interval '3 hours')", [CANON]
    )
    assert codes(verified(key)) == {"event_unsealed"}
    with as_role("portal_sealer"):
        seal_everything(key)
    assert codes(verified(key)) == {"event_backdated"}


def test_where_both_clocks_are_one_an_event_of_another_business_time_is_found(
    key: SealingKey, as_role: AsRole, superuser: psycopg.Connection, settings: Settings
) -> None:
    """Searches go by what the writer says of it: a decision of years ago would be found by nobody who looks at today."""
    note()
    said = (datetime.now(UTC) - timedelta(minutes=50), datetime.now(UTC) + timedelta(minutes=70))
    for at in said:
        text = CANON.replace("2026-01-01T00:00:00.000000Z", instant(at))
        superuser.execute("INSERT INTO audit_event (canon) VALUES (%s)", [text])
    with as_role("portal_sealer"):
        seal_everything(key)
    assert verified(key).sound
    settings.PORTAL_MODE = "production"
    report = verified(key)
    (astray,) = report.findings
    assert (astray.code, astray.batch, astray.event_id) == ("business_time_astray", 1, 3)
    assert f"says that it was {instant(said[1])}" in astray.sentence


def test_a_chain_signed_anew_with_another_key_is_found(
    key: SealingKey, as_role: AsRole, superuser: psycopg.Connection, tmp_path: Path
) -> None:
    note()
    with as_role("portal_sealer"):
        seal_everything(key)
    superuser.execute("DELETE FROM audit_leaf")
    superuser.execute("DELETE FROM audit_seal")
    with as_role("portal_sealer"):
        seal_everything(make_key(tmp_path / "forged"))
    assert codes(verified(key)) == {"key_unknown"}


# --- months


def test_a_day_of_a_wrong_clock_stops_neither_seals_nor_months(
    key: SealingKey, as_role: AsRole, superuser: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it wrote stands beyond the months, whose own partition can't be made any more."""
    months = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_event'::regclass"
    ((before,),) = superuser.execute(months).fetchall()
    assert before == MONTHS_OF_TESTS + 1
    monkeypatch.setattr(sealing, "MONTHS_AHEAD", MONTHS_OF_TESTS + 2)
    with as_role("portal_worker"):
        assert check_beyond(databases=["default"]) == []
    superuser.execute(
        "INSERT INTO audit_event (canon, at) "
        "VALUES (%s, date_trunc('month', now()) + make_interval(months => %s, days => 9))",
        [CANON, MONTHS_OF_TESTS + 1],
    )
    with as_role("portal_sealer"):
        assert Sealer(key).step() == 1
    ((after,),) = superuser.execute(months).fetchall()
    assert after == before + 2  # all but that one
    for role in ("portal_web", "portal_worker"):
        with as_role(role):
            (told,) = check_beyond(databases=["default"])
            assert "beyond its months, in audit_event_beyond: 1 of " in told.msg


@pytest.mark.django_db
def test_months_that_can_not_be_made_are_told_of_and_stop_no_seal(
    key: SealingKey, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> int:
        with transaction(), connection.cursor() as cursor:
            cursor.execute("SELECT audit_make_months(61)")
        raise AssertionError

    monkeypatch.setattr(sealing, "make_months", refused)
    sealer = Sealer(key)
    note()
    with as_role("portal_sealer"), capture_logs() as logs:
        assert sealer.step() == 1
        assert sealer.step() == 0
    (told,) = (
        each for each in logs if each["event"] == "sealer.months_not_made"
    )  # once, until it is tried again
    assert "not 61" in told["error"]


# --- keys, commands, the process


def test_a_key_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    call_command("make_sealing_key", path, stdout=StringIO())
    assert path.stat().st_mode & 0o777 == 0o600
    key = load_key(path)
    assert list(load_public_keys([public_path(path)])) == [key.id]
    with pytest.raises(CommandError, match="exists already"):
        call_command("make_sealing_key", path)
    assert load_key(path).id == key.id


@pytest.mark.usefixtures("committed_db")
def test_the_command_names_the_first_bad_batch(
    as_role: AsRole,
    superuser: psycopg.Connection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    settings: Settings,
) -> None:
    path = tmp_path / "key"
    key = make_key(path)
    note()
    with as_role("portal_sealer"):
        seal_everything(key)
    for named, configured in (([public_path(path)], ""), ([], str(path))):
        settings.SEALING_KEY_PATH = configured
        call_command("audit_verify", public_key=named)
    public_path(path).unlink()  # then the private key tells its other half
    call_command("audit_verify")
    assert "Verified 1 events in 1 sealed batches" in capsys.readouterr().out
    superuser.execute("DELETE FROM audit_event")
    with pytest.raises(CommandError, match="first bad batch is 1"):
        call_command("audit_verify")
    assert "event_missing" in capsys.readouterr().err
    settings.SEALING_KEY_PATH = ""
    with pytest.raises(CommandError, match="--public-key"):
        call_command("audit_verify")


def test_the_sealer_process_seals_and_anchors_and_stops_when_told(
    committed_db: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key")
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        **postgres_server.environment("sealer", committed_db),
        "SEALING_KEY_PATH": str(tmp_path / "key"),
        "AUDIT_ANCHORS": "file",
        "AUDIT_ANCHOR_FILE": str(tmp_path / "seals.jsonl"),
    }
    note()
    command = [sys.executable, "manage.py", "seal", "--loop"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if {"sealer.sealed", "anchor.put"} <= {word for each in said for word in each.split('"')}:
                    break
            else:
                pytest.fail("The sealer ended without sealing and anchoring anything: " + "".join(said))
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert Leaf.objects.count() == 1
    report = verify({key.id: key.trusted}, anchors=anchored_lines(tmp_path / "seals.jsonl"))
    assert report.sound, report.findings
    assert report.anchored is not None
    assert report.anchored.agreeing == 1
