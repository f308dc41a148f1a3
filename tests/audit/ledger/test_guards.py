"""What each database role can't do to the trail, and that no change goes without its event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection
from django_subatomic.db import transaction

from audit.ledger.models import Event
from audit.ledger.recorder import Actor, Subject
from audit.ledger.unexplained import attached
from requests_app.actions.moving import move
from tests.audit.ledger.factories import ask, note
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer

type AsRole = Callable[[str], AbstractContextManager[None]]

TABLES = ("audit_event", "audit_version", "audit_pii", "audit_leaf", "audit_seal", "audit_anchor")
CANON = (
    '{"type":"trial.noted","outcome":"done","business_at":"2026-01-01T00:00:00.000000Z",'
    '"actor":{"kind":"system"}}'
)


def run(statement: str, *arguments: str | int | UUID) -> None:
    with transaction(), connection.cursor() as cursor:
        cursor.execute(statement, arguments)


@pytest.fixture(params=["portal_owner", "postgres"])
def mighty(
    request: pytest.FixtureRequest, committed_db: str, postgres_server: PostgresServer
) -> Iterator[psycopg.Connection]:
    """A connection of the tables' owner, then of the superuser, to a database with one event."""
    with transaction():
        ask()
    conninfo = postgres_server.conninfo(request.param, committed_db)
    with psycopg.connect(conninfo, autocommit=True) as direct:
        yield direct


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["portal_web", "portal_worker", "portal_sealer"])
@pytest.mark.parametrize("table", [*TABLES, "audit_event_beyond"])
@pytest.mark.parametrize(
    "statement", ["DELETE FROM {}", "TRUNCATE {}", "DROP TABLE {}", "ALTER TABLE {} DISABLE TRIGGER ALL"]
)
def test_no_application_role_takes_anything_away(
    role: str, table: str, statement: str, as_role: AsRole
) -> None:
    with as_role(role), pytest.raises(ProgrammingError, match=r"denied|must be owner"):
        run(statement.format(table))


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["portal_web", "portal_worker", "portal_sealer"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_event SET canon = canon",
        "UPDATE audit_version SET event_id = event_id + 1",
        "UPDATE audit_pii SET words = 'other'",
        "UPDATE audit_leaf SET batch = 1",
        "UPDATE audit_seal SET n = 1",
        "UPDATE audit_anchor SET receipt = ''",
    ],
)
def test_no_application_role_changes_anything(role: str, change: str, as_role: AsRole) -> None:
    with as_role(role), pytest.raises(ProgrammingError, match="permission denied"):
        run(change)


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["portal_web", "portal_worker"])
@pytest.mark.parametrize(
    "forgery",
    [
        "INSERT INTO audit_event (canon, at) VALUES (%s, '2020-01-01')",
        "INSERT INTO audit_event (canon, id) OVERRIDING SYSTEM VALUE VALUES (%s, 7)",
        "INSERT INTO audit_event (canon, data) VALUES (%s, DEFAULT)",
        "INSERT INTO audit_event (canon, type) VALUES (%s, 'trial.other')",
        "INSERT INTO audit_event_beyond (canon) VALUES (%s)",
        "INSERT INTO audit_version VALUES (left(%s, 0), gen_random_uuid(), 1, 1)",
        "INSERT INTO audit_leaf (event_id) VALUES (length(%s))",
        "INSERT INTO audit_seal (batch) VALUES (length(%s))",
        "INSERT INTO audit_anchor (batch) VALUES (length(%s))",
        "SELECT audit_make_months(length(%s))",
    ],
)
def test_the_application_forges_neither_id_nor_time_nor_version_nor_seal(
    role: str, forgery: str, as_role: AsRole
) -> None:
    with as_role(role), pytest.raises(ProgrammingError, match=r"permission denied|non-DEFAULT"):
        run(forgery, CANON)


@pytest.mark.django_db
def test_the_sealer_writes_no_event_and_reads_nobodys_words(as_role: AsRole) -> None:
    with as_role("portal_sealer"):
        for statement in (
            "INSERT INTO audit_event (canon) VALUES ('{}')",
            "SELECT audit_record('{}', '[]')",
            "INSERT INTO audit_pii VALUES (1, 'x', sha256(''), 'x')",
            "SELECT words FROM audit_pii",
        ):
            with pytest.raises(ProgrammingError, match="permission denied"):
                run(statement)


WORDS = (
    "INSERT INTO audit_pii "
    "SELECT number, %s, '0123456789abcdef', 'x' FROM generate_series(%s::bigint, %s::bigint) AS number"
)


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["portal_web", "portal_worker", "portal_remover", "portal_severer"])
def test_words_stand_beside_the_event_that_was_just_written(role: str, as_role: AsRole) -> None:
    """Or whoever may add words could take the places of those of coming events, none of which could be recorded then."""
    before = note()
    with as_role(role):
        now = note()
        run(WORDS, "comment", now, now)
        for first, last in ((now + 1, now + 500), (now, now + 1), (before, before)):
            with pytest.raises(IntegrityError, match="stand beside the event that was just written"):
                run(WORDS, "about", first, last)
        assert note() == now + 1


def test_not_even_the_owner_puts_words_beside_another_event(mighty: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error, match="not yet defined in this session"):
        mighty.execute(WORDS, ["about", 1, 1])
    if mighty.info.user == "postgres":
        mighty.execute("SET session_replication_role = replica")
    mighty.execute("INSERT INTO audit_event (canon) VALUES (%s)", [CANON])
    with pytest.raises(psycopg.IntegrityError, match="just written"):
        mighty.execute(WORDS, ["about", 1, 1])


@pytest.mark.django_db
def test_the_web_process_writes_in_nobody_elses_name(as_role: AsRole) -> None:
    with as_role("portal_web"):
        for actor in (Actor.worker(), Actor.system()):
            with pytest.raises(ProgrammingError, match=f"in the name of the {actor.kind}"):
                note(actor=actor)
        note(actor=Actor.anonymous())
    with as_role("portal_worker"):
        note(actor=Actor.worker())
        note(actor=Actor.system())


@pytest.mark.usefixtures("committed_db")
def test_no_event_claims_a_version_that_its_subject_has_not_come_to(as_role: AsRole) -> None:
    """Or whoever may write events could take the next version of a grant from the worker that needs it."""
    kinds = {each.kind for each in attached()}
    assert kinds >= {"request", "item", "decision", "grant", "extension", "remark", "freeze", "finding"}
    person, group = make.person(), make.pim_group()
    version = make.rule(make.person(), groups=(group,))
    with as_role("portal_web"):
        item = make.pending_item(person, group, version)
    grant = make.scheduled_grant(item)
    claims = [*((kind, uuid4(), 1) for kind in kinds), ("grant", grant.pk, 2), ("extension", grant.pk, 2)]
    for role in ("portal_web", "portal_worker"):
        for claim in claims:
            with (
                as_role(role),
                pytest.raises(IntegrityError, match="which it has not come to"),
                transaction(),
            ):
                ask(subject=Subject(*claim))
    assert not Event.objects.filter(type="trial.asked").exists()
    with transaction():
        move(
            grant,
            "activating",
            actor=Actor.worker(),
            fields={"group_name": group.display_name},
            end_reason="",
        )
    with pytest.raises(IntegrityError, match="audit_version"), transaction():
        ask(subject=Subject("grant", grant.pk, 2))


# What the columns say of the event's text, and what somebody would have them say instead.
FORGED = {
    "data": "'{}'",
    "business_at": "now()",
    "type": "'trial.other'",
    "outcome": "'failed'",
    "actor_kind": "'worker'",
    "request_id": "gen_random_uuid()",
    "grant_id": "gen_random_uuid()",
    **dict.fromkeys(("actor_oid", "about_oid", "group_oid", "ip", "session"), "'x'"),
}


def test_no_column_says_what_the_text_does_not(mighty: psycopg.Connection) -> None:
    """Whoever may name other columns has them written over; with the trigger off, a constraint compares each."""
    columns = {field.attname for field in Event._meta.fields} - {"id", "at", "canon"}
    assert set(FORGED) == columns
    same = {name: name for name in columns}

    def insert(values: dict[str, str]) -> None:
        names, said = ", ".join(values), ", ".join(values.values())
        mighty.execute(f"INSERT INTO audit_event (canon, {names}) SELECT canon, {said} FROM {first}".encode())  # noqa: S608 - ours

    first = "(SELECT * FROM audit_event WHERE type = 'trial.noted' ORDER BY id LIMIT 1) AS first"
    text = CANON.replace("{", f'{{"request":"{uuid4()}","grant":"{uuid4()}",', 1)
    mighty.execute("INSERT INTO audit_event (canon) VALUES (%s)", [text])
    insert(FORGED)
    rows = mighty.execute(
        "SELECT to_jsonb(event) - '{id,at}'::text[] FROM audit_event event ORDER BY id DESC LIMIT 2"
    )
    assert len({str(row) for row in rows}) == 1
    mighty.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_derived")
    insert(same)
    for name in columns:
        for value in (FORGED[name], "NULL"):
            with pytest.raises(psycopg.IntegrityError, match=r"audit_event_says|null value"):
                insert({**same, name: value})


@pytest.mark.django_db
@pytest.mark.parametrize(
    "canon",
    [
        "not json",
        "{}",
        CANON.replace("done", "perhaps"),
        CANON.replace("system", "robot"),
        CANON.replace("2026-01-01T00:00:00.000000Z", "today"),
        CANON.replace("2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000000+05"),
        CANON.replace("{", '{"request":"no uuid",', 1),
        CANON.replace("{", '{"subject":{"kind":"trial","id":null,"version":1},', 1),
        CANON.replace("trial.noted", "x - - - \\nforged <13>1 é"),
        CANON.replace("trial.noted", "noted"),
        CANON.replace("{", '{"fields":5,', 1),
        CANON.replace("{", '{"fields":[],', 1),
        CANON.replace("{", '{"commitments":[],', 1),
        CANON.replace("{", '{"commitments":{"about":["x"]},', 1),
        CANON.replace("{", '{"fields":{"note":["x",{"number":1e5000}]},', 1),
        CANON.replace("{", f'{{"fields":{{"note":-{"9" * 5_000}}},', 1),
    ],
)
def test_text_that_is_no_event_is_refused(canon: str) -> None:
    whole = '{"commitments":{"about":"x"},"fields":{"note":["1e5000",{"number":-1e299}]},'
    for sound in (CANON, CANON.replace("{", whole, 1)):
        run("INSERT INTO audit_event (canon) VALUES (%s)", sound)
    with pytest.raises(DatabaseError):
        run("INSERT INTO audit_event (canon) VALUES (%s)", canon)


@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {}"])
def test_triggers_stop_the_owner_and_the_superuser(mighty: psycopg.Connection, statement: str) -> None:
    for table in ("audit_event", "audit_version"):
        with pytest.raises(psycopg.Error, match="only grows"):
            mighty.execute(statement.format(table))
    with pytest.raises(psycopg.Error, match="only grows"):
        mighty.execute("UPDATE audit_pii SET words = 'other'")
    with pytest.raises(psycopg.Error, match="only grows"):
        mighty.execute("UPDATE audit_event SET canon = canon")
    assert Event.objects.count() == 1


def test_every_partition_has_its_own_guard_against_truncate(mighty: psycopg.Connection) -> None:
    mighty.execute("SELECT audit_make_months(24)")
    partitions = mighty.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_event'::regclass"
    ).fetchall()
    assert len(partitions) >= 26
    for (name,) in partitions:
        with pytest.raises(psycopg.Error, match="only grows"):
            mighty.execute(f"TRUNCATE {name}")


def test_pretending_to_be_a_replica_does_not_get_past_the_triggers(
    committed_db: str, postgres_server: PostgresServer
) -> None:
    with transaction():
        ask()
    with psycopg.connect(postgres_server.conninfo("postgres", committed_db), autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        for statement in (
            "DELETE FROM audit_event",
            "UPDATE audit_event SET canon = canon",
            "TRUNCATE audit_pii",
        ):
            with pytest.raises(psycopg.Error, match="only grows"):
                superuser.execute(statement)


@pytest.mark.django_db
def test_the_sealer_makes_months_ahead(as_role: AsRole) -> None:
    with as_role("portal_sealer"), transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT audit_make_months(26)")
        ((made,),) = cursor.fetchall()
        cursor.execute("SELECT audit_make_months(26)")
        ((again,),) = cursor.fetchall()
    assert made >= 1
    assert again == 0
    event = Event.objects.extra(select={"kept_in": "tableoid::regclass::text"}).get(id=note())
    assert event.kept_in == f"audit_event_{event.at:%Y_%m}"


@pytest.fixture
def guarded_table(committed_db: str, postgres_server: PostgresServer) -> None:
    """A table of another app with the guard attached, as its migration would."""
    with psycopg.connect(postgres_server.conninfo("portal_owner", committed_db), autocommit=True) as owner:
        owner.execute("CREATE TABLE trial (id uuid PRIMARY KEY, status text, version integer)")
        owner.execute("GRANT SELECT, INSERT, UPDATE ON trial TO portal_web, portal_worker")
        owner.execute(
            "CREATE CONSTRAINT TRIGGER trial_event AFTER INSERT OR UPDATE OF status, version ON trial "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_require_event('trial')"
        )


@pytest.mark.parametrize("role", ["portal_web", "portal_worker"])
@pytest.mark.usefixtures("guarded_table")
def test_no_change_without_its_event(role: str, as_role: AsRole) -> None:
    thing = uuid4()
    with as_role(role):
        with pytest.raises(IntegrityError, match="No audit event says how trial"):
            run("INSERT INTO trial VALUES (%s, 'new', 1)", thing)
        with transaction():
            run_inside("INSERT INTO trial VALUES (%s, 'new', 1)", thing)
            ask(subject=Subject("trial", thing, 1))
        with pytest.raises(IntegrityError, match="version 2"):
            run("UPDATE trial SET status = 'old', version = 2 WHERE id = %s", thing)
        with transaction():
            ask(subject=Subject("trial", thing, 2))
            run_inside("UPDATE trial SET status = 'old', version = 2 WHERE id = %s", thing)


def run_inside(statement: str, *arguments: str | UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
