"""Keeps one throwaway server alive for as long as the test session lives: `python -m tests.support.keeper`.

The session's first process holds a lock on a file. The kernel lets go of it when that process ends, however
it ends; then the keeper stops its server and deletes its files. So nothing is counted and nothing is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
from pathlib import Path

from stack.postgres import DATABASE, EmbeddedPostgres
from stack.private import remove_state, write_private
from stack.redis import EmbeddedRedis

ROLES = Path(__file__).with_name("roles.sql")


def main(kind: str, session: Path) -> None:
    """Start the server `kind` (postgres or redis) of `session`, say where, and wait for the session's end."""
    state = session / kind
    # Whoever waits for the lock gets Ctrl-C and the end of the terminal too; the lock alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if kind == "postgres":
        with EmbeddedPostgres(state, durable=False) as postgres:
            postgres.bootstrap(DATABASE)
            passwords = {
                "PORTAL_TESTS_PASSWORD": postgres.add_role("portal_tests"),
                "PORTAL_TEST_OWNER_PASSWORD": postgres.add_role("portal_test_owner"),
            }
            postgres.psql(ROLES, passwords)
            _announce(session, kind, {"port": postgres.port, "passwords": postgres.passwords})
            _wait_for_the_end(session)
    else:
        with EmbeddedRedis(state, durable=False) as redis:
            _announce(session, kind, {"port": redis.port, "url": redis.url})
            _wait_for_the_end(session)
    remove_state(state)


def _announce(session: Path, kind: str, facts: dict[str, object]) -> None:
    write_private(session / f"{kind}.json", json.dumps(facts | {"keeper": os.getpid()}))
    print("ready", flush=True)


def _wait_for_the_end(session: Path) -> None:
    with (session / "session.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
