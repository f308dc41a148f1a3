"""Throwaway databases of the embedded PostgreSQL, and who works in them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.servers import DEFAULT_ROLE, PROCESS_ROLES, PostgresServer, pointed_at


@contextmanager
def database(server: PostgresServer) -> Iterator[str]:
    """A migrated database for one measurement, dropped afterwards; gives its name."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    server.clone(name)
    try:
        yield name
    finally:
        server.drop(name)


@contextmanager
def acting_as(server: PostgresServer, name: str, process: str) -> Iterator[None]:
    """Queries of the body go to the database `name` with the login role of this process of the product."""
    with pointed_at(server, name, role=PROCESS_ROLES[process]):
        yield


@contextmanager
def on_a_stage(server: PostgresServer) -> Iterator[None]:
    """A database of its own for plays on `tests.support.stage`, whose people step into the roles of processes."""
    with database(server) as name, pointed_at(server, name, step_into=DEFAULT_ROLE):
        yield
