"""The test harness: rights, isolation and what it refuses."""

from __future__ import annotations

import socket
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import pytest_socket
from django.db import ProgrammingError, connection, transaction

from tests.support import keeper
from tests.support.servers import HarnessError, PostgresServer

Stepping = Callable[[str], AbstractContextManager[None]]


def one(query: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    assert row is not None
    return row[0]


def some_table() -> str:
    return str(
        one("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1 LIMIT 1")
    )


@pytest.mark.django_db
def test_queries_run_as_the_application() -> None:
    assert one("SELECT session_user") == "portal_tests"
    assert one("SELECT current_user") == "portal_worker"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement", ["CREATE TABLE mine (a int)", "CREATE TEMP TABLE mine (a int)", "CREATE SCHEMA s"]
)
def test_the_application_creates_nothing(statement: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        one(statement)


@pytest.mark.django_db
@pytest.mark.parametrize("statement", ["TRUNCATE {}", "ALTER TABLE {} DISABLE TRIGGER ALL", "DROP TABLE {}"])
def test_the_application_cannot_flush_or_alter(statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        one(statement.format(some_table()))


@pytest.mark.django_db
def test_as_role_steps_in_and_out(as_role: Stepping) -> None:
    with as_role("portal_web"):
        assert one("SELECT current_user") == "portal_web"
    assert one("SELECT current_user") == "portal_worker"


@pytest.mark.django_db
def test_as_role_comes_back_after_a_failed_statement(as_role: Stepping) -> None:
    with pytest.raises(ProgrammingError), transaction.atomic(), as_role("portal_web"):
        one("CREATE TABLE mine (a int)")
    assert one("SELECT current_user") == "portal_worker"


@pytest.mark.django_db
def test_as_role_comes_back_after_another_failure(as_role: Stepping) -> None:
    with pytest.raises(ValueError, match="ours"), as_role("portal_sealer"):
        raise ValueError("ours")
    assert one("SELECT current_user") == "portal_worker"


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["portal_owner", "portal_test_owner", "postgres"])
def test_as_role_knows_application_roles_only(as_role: Stepping, role: str) -> None:
    with pytest.raises(HarnessError, match="portal_web"), as_role(role):
        pass
    with pytest.raises(ProgrammingError, match="permission denied"):
        one(f'SET ROLE "{role}"')


def test_committed_db_is_seen_by_other_threads(committed_db: str) -> None:
    seen: list[object] = []

    def look() -> None:
        try:
            seen.extend(
                [one("SELECT current_database()"), one("SELECT current_user"), one("SELECT pg_backend_pid()")]
            )
        finally:
            connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen[:2] == [committed_db, "portal_worker"]
    assert seen[2] != one("SELECT pg_backend_pid()")


_names: set[str] = set()


@pytest.mark.parametrize("turn", [1, 2])
def test_committed_db_is_fresh_and_gone_afterwards(
    committed_db: str, postgres_server: PostgresServer, turn: int
) -> None:
    assert committed_db not in _names, f"turn {turn} got the database of the other turn"
    with psycopg.connect(postgres_server.conninfo("portal_test_owner", "postgres")) as owner:
        left = {name for (name,) in owner.execute("SELECT datname FROM pg_database")}
    assert committed_db in left
    assert not (_names & left)
    _names.add(committed_db)


@pytest.mark.django_db
def test_the_database_of_the_rolled_back_tests_is_back_after_a_committed_one(worker_id: str) -> None:
    assert one("SELECT current_database()") == f"portal_{worker_id}"


@pytest.mark.parametrize(
    "role", ["portal_web", "portal_worker", "portal_sealer", "portal_owner", "portal_test_owner"]
)
def test_every_login_needs_its_password(postgres_server: PostgresServer, role: str) -> None:
    psycopg.connect(postgres_server.conninfo(role, "portal")).close()
    wrong = postgres_server.conninfo(role, "portal").replace(postgres_server.passwords[role], "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_an_application_role_reaches_no_other_database(postgres_server: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(postgres_server.conninfo("portal_worker", "postgres"))


def test_tests_reach_loopback_only() -> None:
    # 192.0.2.0/24 is reserved for documentation (RFC 5737): no machine answers there.
    with socket.socket() as outside, pytest.raises(pytest_socket.SocketConnectBlockedError):
        outside.connect(("192.0.2.1", 80))


def test_redis_is_shared_and_needs_its_password(redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()
    without = "redis://127.0.0.1:" + redis_url.rsplit(":", 1)[1]
    with redis.Redis.from_url(without) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_clones_are_kept_in_memory_while_their_session_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, session = tmp_path / "memory", tmp_path / f"{keeper.PREFIX}one"
    killed, other = (memory / f"{keeper.PREFIX}{name}" for name in ("killed", "other"))
    for folder, of in ((killed, tmp_path / "gone"), (other, tmp_path)):
        folder.mkdir(parents=True)
        (folder / "session").write_text(str(of))
    monkeypatch.setattr(keeper, "MEMORY", memory)
    with keeper.in_memory(session) as clones:
        assert clones is not None
        assert clones.stat().st_mode & 0o777 == 0o700
        assert set(memory.iterdir()) == {clones.parent, other}
        (clones / "file").touch()
    assert set(memory.iterdir()) == {other}
    monkeypatch.setattr(keeper, "ROOM", sys.maxsize)
    with keeper.in_memory(session) as clones:
        assert clones is None


def test_a_clone_is_where_its_template_is_when_there_is_no_room_in_memory(
    postgres_server: PostgresServer,
) -> None:
    on_disk, name = replace(postgres_server, tablespace=None), f"portal_on_disk_{uuid.uuid4().hex[:8]}"
    on_disk.clone(name)
    try:
        with psycopg.connect(on_disk.conninfo("portal_worker", name)) as worker:
            found = worker.execute(
                "SELECT spcname, to_regclass('audit_event') FROM pg_database "
                "JOIN pg_tablespace ON pg_tablespace.oid = dattablespace WHERE datname = current_database()"
            ).fetchone()
    finally:
        on_disk.drop(name)
    assert found is not None
    assert found[0] == "pg_default"
    assert found[1]
