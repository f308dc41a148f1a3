"""Servers and databases of a test session. See docs/contributing.md for when to use which fixture.

The process that starts the session (the runner of the tiers, or else pytest) opens a `Session` folder and holds
its lock; several tiers share one. Servers are started when the first test asks for one, wherever that test runs.
The migrations run once, into a template; every process gets its own clone of it, and so does every test
that commits. A database is never flushed: TRUNCATE is forbidden to the application's roles, and by triggers.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg
from django.core.management import call_command
from django.db import connection, connections
from psycopg import pq, sql
from psycopg.conninfo import make_conninfo

from stack.postgres import DATABASE
from stack.private import LOOPBACK
from tests.support.keeper import PREFIX

# What the processes of a session inherit from the one that opened it.
SESSION_VARIABLE = "PORTAL_TEST_SESSION"
APPLICATION_ROLES = ("portal_web", "portal_worker", "portal_sealer", "portal_remover", "portal_severer")
DEFAULT_ROLE = "portal_worker"
LEAVES_WITHIN_SECONDS = 20.0
MONTHS = 25  # of the trail that the migrations make: this one, and `audit.ledger.sealing.MONTHS_AHEAD` more
MONTHS_OF_TESTS = 2  # this one and the next, into which a run may come
STATEMENT_SECONDS = 60  # the longest statement of a test's own connections
PROCESS_ROLES = {
    "web": "portal_web",
    "worker": "portal_worker",
    "beat": "portal_worker",
    "sealer": "portal_sealer",
    "migrate": "portal_owner",
}
ROOT = Path(__file__).resolve().parents[2]


class HarnessError(Exception):
    """The test harness itself is broken or used wrongly; the message says how."""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """The session's PostgreSQL: where it listens and each login role's password."""

    port: int
    passwords: dict[str, str]
    tablespace: str | None = None  # where clones are kept; None: where the template is

    def conninfo(self, role: str, database: str = DATABASE) -> str:
        """A connection string for psycopg.connect, as `role`."""
        return make_conninfo(
            host=LOOPBACK, port=self.port, user=role, password=self.passwords[role], dbname=database
        )

    def environment(self, process: str, database: str) -> dict[str, str]:
        """The variables with which a process of the product (web, worker, ...) reaches `database`."""
        role = PROCESS_ROLES[process]
        return {
            "PORTAL_PROCESS": process,
            "PORTAL_MODE": "test",
            "DATABASE_HOST": LOOPBACK,
            "DATABASE_PORT": str(self.port),
            "DATABASE_NAME": database,
            "DATABASE_PASSWORD": self.passwords[role],
        }

    def clone(self, name: str) -> None:
        """Create the database `name` as a copy of the migrated template.

        Its files are copied (FILE_COPY): without a disk to wait for, the checkpoint that this takes is quicker
        than writing every page through the log, by two thirds of the CPU time.
        """
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY OWNER portal_owner").format(
            sql.Identifier(name), sql.Identifier(DATABASE)
        )
        if self.tablespace is not None:  # to name even the default one takes a right on it
            made += sql.SQL(" TABLESPACE {}").format(sql.Identifier(self.tablespace))
        with psycopg.connect(self.conninfo("portal_test_owner", "postgres"), autocommit=True) as owner:
            # A pytest that was killed may have left its own behind, for the next of the same session.
            owner.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            owner.execute(made)
            # A copy takes everything but the rights on the database itself.
            owner.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
            roles = sql.SQL(", ").join(map(sql.Identifier, (*APPLICATION_ROLES, "portal_tests")))
            owner.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(name), roles))

    def drop(self, name: str) -> None:
        """Drop the database `name` and every connection to it.

        A process of the server's own (autovacuum), or one of a killed client that hasn't noticed yet, can't be
        ended by us: both leave by themselves.
        """
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        until = time.monotonic() + LEAVES_WITHIN_SECONDS
        with psycopg.connect(self.conninfo("portal_test_owner", "postgres"), autocommit=True) as owner:
            while True:
                try:
                    owner.execute(statement)
                except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse):
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.05)
                else:
                    return


class Session:
    """The folder that a test session's processes share, in the system's place for temporary files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock_descriptor: int | None = None
        self._keepers: list[subprocess.Popen[bytes]] = []

    @classmethod
    def open(cls) -> Session:
        """The session of this process: a new one, or the one that was opened for it."""
        if inherited := os.environ.get(SESSION_VARIABLE):
            return cls(Path(inherited))
        session = cls(Path(tempfile.mkdtemp(prefix=PREFIX)))
        os.environ[SESSION_VARIABLE] = str(session.folder)
        # Held until this process ends; not inherited by the processes that it starts.
        session._lock_descriptor = os.open(session.folder / "session.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(session._lock_descriptor, fcntl.LOCK_EX)
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session if this process opened it; its keepers stop their servers."""
        if self._lock_descriptor is None:
            return
        os.environ.pop(SESSION_VARIABLE, None)
        os.close(self._lock_descriptor)
        self._lock_descriptor = None
        for kind in ("postgres", "redis"):
            with self._guard(f"{kind}.keeper"):  # free once that keeper has ended
                pass
        for keeper in self._keepers:
            keeper.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def postgres(self, *, as_installed: bool = False) -> PostgresServer:
        """The session's PostgreSQL, started and migrated by the first who asks.

        Unless it has to be `as_installed`, its trail has no more months than tests come to, and clones are kept in memory.
        """
        with self._guard("postgres"):
            facts = self._facts("postgres") or self._start("postgres")
            tablespace = None if as_installed else facts["tablespace"]
            server = PostgresServer(facts["port"], facts["passwords"], tablespace)
            migrated = self.folder / "migrated"
            if not migrated.exists():
                _migrate(server, as_installed=as_installed)
                migrated.touch()
        return server

    def redis_url(self) -> str:
        """The address of the session's Redis, started by the first who asks."""
        with self._guard("redis"):
            facts = self._facts("redis") or self._start("redis")
        return str(facts["url"])

    def _facts(self, kind: str) -> dict[str, Any] | None:
        path = self.folder / f"{kind}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def _start(self, kind: str) -> dict[str, Any]:
        log = self.folder / f"{kind}.keeper.log"
        # The keeper inherits this lock and so holds it until it has ended.
        alive = os.open(self.folder / f"{kind}.keeper.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(alive, fcntl.LOCK_EX)
        with log.open("ab") as errors:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "tests.support.keeper", kind, str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                pass_fds=(alive,),
                start_new_session=True,
            )
        os.close(alive)
        self._keepers.append(keeper)
        assert keeper.stdout is not None
        keeper.stdout.readline()  # "ready", or nothing when it has ended
        keeper.stdout.close()
        facts = self._facts(kind)
        if facts is None:
            raise HarnessError(f"The test session's {kind} didn't start:\n{log.read_text()}")
        return facts

    @contextlib.contextmanager
    def _guard(self, name: str) -> Iterator[None]:
        descriptor = os.open(self.folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _migrate(server: PostgresServer, *, as_installed: bool) -> None:
    """Run the migrations as the owner into the template, and let go of it: who clones it must be alone."""
    with pointed_at(server, DATABASE, role="portal_owner"):
        call_command("migrate", verbosity=0, interactive=False)
        if not as_installed:
            _leave_out_later_months()


def _leave_out_later_months() -> None:
    """Drop the trail's months that no test run comes to: each is planned for by every query of the trail, and copied.

    Raises HarnessError unless the migrations made all of them.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS)
        months = [name for (name,) in cursor.fetchall()]
        if len(months) != MONTHS:
            raise HarnessError(f"The migrations made {len(months)} months of the trail.")
        for name in months[MONTHS_OF_TESTS:]:
            cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)).as_string())


_MONTHS = (
    "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
    "WHERE inhparent = 'audit_event'::regclass AND relname <> 'audit_event_beyond' ORDER BY relname"
)


@contextlib.contextmanager
def pointed_at(
    server: PostgresServer, database: str, *, role: str = "portal_tests", step_into: str | None = None
) -> Iterator[None]:
    """Point Django's default connection, of every thread, at `database` as login role `role`.

    `step_into` is the application role that each connection starts as. Afterwards all is as before.
    """
    settings = connections.settings["default"]
    before = {**settings, "OPTIONS": dict(settings["OPTIONS"])}
    options = {key: value for key, value in settings["OPTIONS"].items() if key != "pool"}
    words = [word for word in str(options.get("options", "")).split("-c ") if word.strip()]
    words = [word.strip() for word in words if not word.startswith(("role=", "statement_timeout="))]
    # A page's ten seconds are for people. A machine that stands still under two lanes of tests is no slow statement.
    words.append(f"statement_timeout={STATEMENT_SECONDS * 1000}")
    if step_into is not None:
        words.append(f"role={step_into}")
    options["options"] = " ".join(f"-c {word}" for word in words)
    connections.close_all()
    settings.update(
        HOST=LOOPBACK,
        PORT=str(server.port),
        NAME=database,
        USER=role,
        PASSWORD=server.passwords[role],
        OPTIONS=options,
    )
    try:
        yield
    finally:
        connections.close_all()
        settings.clear()
        settings.update(before)


@contextlib.contextmanager
def as_role(role: str) -> Iterator[None]:
    """Run the body's queries of this thread with the rights of `role`, one of APPLICATION_ROLES.

    Raises HarnessError for any other role.
    """
    if role not in APPLICATION_ROLES:
        raise HarnessError(f"Tests may step into {', '.join(APPLICATION_ROLES)}, not into {role}.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        before = str(cursor.fetchone()[0])
        cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)).as_string())
    try:
        yield
    finally:
        raw = connection.connection
        # After a failed statement the transaction's rollback takes the SET back by itself.
        if raw is not None and raw.info.transaction_status != pq.TransactionStatus.INERROR:
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(before)).as_string())
