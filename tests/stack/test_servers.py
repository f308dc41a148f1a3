"""The embedded servers: data kept, ports chosen, rights of files and of database roles, clean ends."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from stack.postgres import EmbeddedPostgres
from stack.private import (
    LOOPBACK,
    StackError,
    free_port,
    port_is_free,
    private_dir,
    remove_state,
    server_account,
    server_home,
    write_private,
)
from stack.redis import EmbeddedRedis


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody else can enter, as a checkout in /root is."""
    folder = private_dir(tmp_path / "closed")
    yield folder / "state"
    remove_state(folder)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_postgres_keeps_data_passwords_and_port_and_opens_no_folder(state: Path) -> None:
    closed = state.parent
    with EmbeddedPostgres(state, durable=False) as server:
        server.bootstrap()
        first = (server.port, server.passwords)
        with psycopg.connect(server.conninfo("portal_owner", "portal")) as owner:
            owner.execute("CREATE TABLE kept (a int)")
        assert not port_is_free(server.port)
    assert port_is_free(first[0])
    with EmbeddedPostgres(state, durable=False) as server:
        server.bootstrap()
        assert (server.port, server.passwords) == first
        with psycopg.connect(server.conninfo("portal_owner", "portal")) as owner:
            owner.execute("SELECT * FROM kept")
    assert [mode(closed), mode(state), mode(state / "secrets.json")] == [0o700, 0o700, 0o600]


@pytest.mark.proof
def test_postgres_takes_another_port_when_its_own_is_taken(state: Path) -> None:
    with socket.socket() as squatter:
        squatter.bind((LOOPBACK, 0))
        squatter.listen()
        taken = squatter.getsockname()[1]
        with EmbeddedPostgres(state, port=taken, durable=False) as server:
            assert server.port != taken
            psycopg.connect(server.conninfo()).close()


@pytest.mark.proof
def test_postgres_says_why_it_does_not_start(state: Path) -> None:
    with EmbeddedPostgres(state, durable=False):
        pass
    (server_home(state) / "data" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(StackError, match="not compatible with this version"):
        EmbeddedPostgres(state, durable=False).start()


@pytest.mark.proof
def test_postgres_replaces_a_server_that_an_earlier_run_left(state: Path) -> None:
    first = EmbeddedPostgres(state, durable=False)
    first.start()
    with EmbeddedPostgres(state, durable=False) as second:
        assert first.process.wait(10) == 0
        psycopg.connect(second.conninfo()).close()


@pytest.mark.proof
@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_servers_end_with_the_process_that_started_them(state: Path, sig: signal.Signals) -> None:
    program = (
        "import sys, pathlib\n"
        "from stack.postgres import EmbeddedPostgres; from stack.redis import EmbeddedRedis\n"
        "state = pathlib.Path(sys.argv[1])\n"
        "pg = EmbeddedPostgres(state, durable=False); pg.start()\n"
        "rd = EmbeddedRedis(state / 'redis', durable=False); rd.start()\n"
        "print(pg.process.pid, rd.process.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        servers = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(servers) == 2
        parent.send_signal(sig)
    for descriptor in servers:
        assert wait_for_end(descriptor), "a server outlived its starter"


def wait_for_end(pid_descriptor: int, seconds: float = 15) -> bool:
    import select

    ready, _, _ = select.select([pid_descriptor], [], [], seconds)
    os.close(pid_descriptor)
    return bool(ready)


def test_bootstrap_gives_each_role_what_it_needs_and_no_more(state: Path) -> None:
    with EmbeddedPostgres(state, durable=False) as server:
        server.bootstrap()
        with psycopg.connect(server.conninfo()) as admin:
            roles = admin.execute(
                "SELECT rolname FROM pg_roles WHERE rolname LIKE 'portal%%' AND rolcanlogin AND NOT rolsuper "
                "AND NOT rolcreatedb AND NOT rolcreaterole AND NOT rolreplication AND NOT rolbypassrls "
                "ORDER BY 1"
            ).fetchall()
            names = [name for (name,) in roles]
            assert names == [
                "portal_owner",
                "portal_remover",
                "portal_sealer",
                "portal_severer",
                "portal_web",
                "portal_worker",
            ]
            verifiers = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname LIKE 'portal%%'")
            assert all(verifier.startswith("SCRAM-SHA-256$") for (verifier,) in verifiers)
        with psycopg.connect(server.conninfo(database="portal")) as admin:
            rights = admin.execute(
                "SELECT role, has_database_privilege(role, 'portal', 'CONNECT'),"
                " has_database_privilege(role, 'portal', 'CREATE'),"
                " has_database_privilege(role, 'portal', 'TEMP'),"
                " has_schema_privilege(role, 'public', 'USAGE'),"
                " has_schema_privilege(role, 'public', 'CREATE')"
                " FROM unnest(ARRAY['portal_owner','portal_web','portal_worker','portal_sealer']) AS role"
            ).fetchall()
        assert rights[0][1:] == (True,) * 5
        for _, connect, create, temp, usage, create_in_schema in rights[1:]:
            assert (connect, create, temp, usage, create_in_schema) == (True, False, False, True, False)


def test_no_password_is_in_the_servers_log_or_arguments(state: Path) -> None:
    with EmbeddedPostgres(state, durable=False) as server, EmbeddedRedis(state / "redis") as broker:
        server.bootstrap()
        arguments = b"".join(
            Path(f"/proc/{process.pid}/cmdline").read_bytes() for process in (server.process, broker.process)
        ).decode()
        text = arguments + server.log_path.read_text() + broker.log_path.read_text()
        for secret in (*server.passwords.values(), broker.password):
            assert secret not in text


def test_redis_keeps_every_accepted_write_when_killed(state: Path) -> None:
    broker = EmbeddedRedis(state)
    broker.start()
    with redis.Redis.from_url(broker.url) as client:
        for number in range(200):
            client.rpush("queue", number)
    broker.process.kill()
    broker.process.wait(10)
    with EmbeddedRedis(state) as again, redis.Redis.from_url(again.url) as client:
        assert client.llen("queue") == 200
        assert again.port == broker.port
    assert mode(state / "redis.conf") == 0o600


@pytest.mark.proof
def test_the_server_runs_under_an_account_that_owns_its_own_folder(state: Path) -> None:
    account = server_account()
    assert (account is None) == (os.geteuid() != 0)
    uid = account.uid if account else os.geteuid()
    with EmbeddedPostgres(state, durable=False) as server:
        assert Path(f"/proc/{server.process.pid}").stat().st_uid == uid != 0
    home = server_home(state)
    assert (mode(home), home.stat().st_uid) == (0o700, uid)
    remove_state(state)
    assert not home.exists()


@pytest.mark.proof
def test_a_copied_state_folder_gets_a_home_of_its_own(state: Path) -> None:
    home = server_home(state)
    copy = private_dir(state.parent / "copy")
    if (state / "server-home").exists():  # as root only
        write_private(copy / "server-home", str(home))
    assert server_home(copy) != home
    assert server_home(state) == home


def test_a_free_port_is_the_wished_one_when_possible() -> None:
    wished = free_port()
    assert free_port(wished) == wished
    with socket.socket() as squatter:
        squatter.bind((LOOPBACK, wished))
        assert free_port(wished) != wished


def test_a_broker_that_is_started_again_after_a_crash_is_where_it_was(state: Path) -> None:
    with EmbeddedRedis(state, durable=False) as broker:
        address = broker.url
        broker.process.kill()
        broker.process.wait()
        broker.start()
        assert broker.url == address
