"""Keeps one throwaway server alive for as long as the test session lives: `python -m tests.support.keeper`.

The session's first process holds a lock on a file. The kernel lets go of it when that process ends, however
it ends; then the keeper stops its server and deletes its files. So nothing is counted and nothing is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stack.postgres import DATABASE, EmbeddedPostgres
from stack.private import remove_state, server_account, write_private
from stack.redis import EmbeddedRedis

ROLES = Path(__file__).with_name("roles.sql")
PREFIX = "access-portal-tests-"  # of a session's folder
MEMORY = Path("/dev/shm")
ROOM = 4 << 30  # bytes; a session takes a few hundred MiB


def main(kind: str, session: Path) -> None:
    """Start the server `kind` (postgres or redis) of `session`, say where, and wait for the session's end."""
    state = session / kind
    # Whoever waits for the lock gets Ctrl-C and the end of the terminal too; the lock alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if kind == "postgres":
        with in_memory(session) as clones, EmbeddedPostgres(state, durable=False) as postgres:
            postgres.bootstrap(DATABASE)
            variables = {
                "PORTAL_TESTS_PASSWORD": postgres.add_role("portal_tests"),
                "PORTAL_TEST_OWNER_PASSWORD": postgres.add_role("portal_test_owner"),
            }
            if clones is not None:
                variables["CLONES_FOLDER"] = str(clones)
            postgres.psql(ROLES, variables)
            facts = {
                "port": postgres.port,
                "passwords": postgres.passwords,
                "tablespace": None if clones is None else "clones",
            }
            _announce(session, kind, facts)
            _wait_for_the_end(session)
    else:
        with EmbeddedRedis(state, durable=False) as redis:
            _announce(session, kind, {"port": redis.port, "url": redis.url})
            _wait_for_the_end(session)
    remove_state(state)


@contextmanager
def in_memory(session: Path) -> Iterator[Path | None]:
    """A folder in memory for the clones of this session, which is gone afterwards; None where there is little room.

    On a disk each clone is a thousand files that are made and deleted again, and ext4 looks at every one that was deleted
    a moment ago before it makes another: more time than all that a test does.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM:
        yield None
        return
    for pointer in MEMORY.glob(f"{PREFIX}*/session"):
        with suppress(OSError):  # somebody else's, or gone by now
            if not Path(pointer.read_text()).exists():  # its keeper was killed
                shutil.rmtree(pointer.parent, ignore_errors=True)
    folder, account = MEMORY / session.name, server_account()
    clones = folder / "clones"
    folder.mkdir(mode=0o711)
    try:
        clones.mkdir(mode=0o700)
        if account is not None:
            os.chown(clones, account.uid, account.gid)
        # Not before it is whole: another keeper may look at any moment.
        write_private(folder / "session", str(session))
        yield clones
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _announce(session: Path, kind: str, facts: dict[str, object]) -> None:
    write_private(session / f"{kind}.json", json.dumps(facts | {"keeper": os.getpid()}))
    print("ready", flush=True)


def _wait_for_the_end(session: Path) -> None:
    with (session / "session.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
