"""Fixtures of every test. The environment is set here, before Django's settings are read."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import pytest
from pytest_django import DjangoDbBlocker

os.environ.update(
    DJANGO_SETTINGS_MODULE="accessportal.settings",
    PORTAL_PROCESS="worker",
    PORTAL_MODE="test",
    # Nothing listens here: the harness points Django at the session's servers when a test asks for them.
    DATABASE_HOST="127.0.0.1",
    DATABASE_PORT="1",
    DATABASE_NAME="portal",
    DATABASE_PASSWORD="",
    REDIS_URL="redis://127.0.0.1:1/0",
)

import django
import hypothesis

# No test is judged by the time that it takes: on a busy machine a slow draw or a slow example says nothing.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

# Here, not in pytest_configure: the folders' own conftest files, which import models, are loaded before that.
django.setup()

from tests.support import servers  # noqa: E402 - Django may be imported from here on
from tests.support.graph_run import GraphRun  # noqa: E402 - as above

_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    session = config.stash[_session_key] = servers.Session.open()
    GraphRun.install(config, session.folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_session_key].close()


_session_key = pytest.StashKey[servers.Session]()


@pytest.fixture(scope="session")
def test_session(pytestconfig: pytest.Config) -> servers.Session:
    """The folder and servers that this test run shares."""
    return pytestconfig.stash[_session_key]


@pytest.fixture(scope="session")
def worker_id(worker_id: str) -> str:
    """A name of this process's own in the session, which several tiers may share at the same time."""
    return f"{worker_id}_{os.getpid()}"


@pytest.fixture(scope="session")
def postgres_server(
    test_session: servers.Session, django_db_blocker: DjangoDbBlocker
) -> servers.PostgresServer:
    """The session's PostgreSQL, with a migrated template."""
    with django_db_blocker.unblock():
        return test_session.postgres()


@pytest.fixture
def redis_url(test_session: servers.Session) -> str:
    """The address of the session's Redis; it is shared, so use keys of your own."""
    return test_session.redis_url()


@pytest.fixture(scope="session")
def django_db_setup(postgres_server: servers.PostgresServer, worker_id: str) -> Iterator[None]:
    """A database of this process's own, as the application's role. Replaces pytest-django's fixture."""
    name = f"portal_{worker_id}"
    postgres_server.clone(name)
    with servers.pointed_at(postgres_server, name, step_into=servers.DEFAULT_ROLE):
        yield
    postgres_server.drop(name)


@pytest.fixture
def committed_db(
    postgres_server: servers.PostgresServer,
    django_db_blocker: DjangoDbBlocker,
    worker_id: str,
    request: pytest.FixtureRequest,
) -> Iterator[str]:
    """For tests that commit, or use several threads or processes: a fresh clone, dropped afterwards.

    Gives the database's name. Use it instead of the `django_db` mark, never together with it.
    """
    if request.node.get_closest_marker("django_db"):
        pytest.fail("committed_db replaces the django_db mark; use one of them.")
    name = f"portal_{worker_id}_{next(_numbers)}"
    postgres_server.clone(name)
    try:
        with (
            django_db_blocker.unblock(),
            servers.pointed_at(postgres_server, name, step_into=servers.DEFAULT_ROLE),
        ):
            yield name
    finally:
        postgres_server.drop(name)


@pytest.fixture
def transactional_db() -> None:
    """pytest-django's fixture would flush the database afterwards; that is refused here."""
    pytest.fail("A database is never flushed: use the committed_db fixture, which gives a clone.")


@pytest.fixture
def as_role() -> Callable[[str], AbstractContextManager[None]]:
    """`with as_role("portal_web"):` runs the body's queries with the rights of that database role.

    Without it, tests have the rights of portal_worker.
    """
    return servers.as_role


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    for item in items:
        mark = item.get_closest_marker("django_db")
        if mark is not None and (mark.kwargs.get("transaction") or mark.args[:1] == (True,)):
            raise pytest.UsageError(
                f"{item.nodeid} asks for django_db(transaction=True), which would flush the database. "
                "Use the committed_db fixture, which gives a fresh clone."
            )
    yield
    # What is left once others have chosen.
    items[:] = longest_first(items)


def longest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The proofs that say how long they take before all others, every second one at the beginning of the second half.

    xdist gives each of two processes one half. Whoever has nothing left takes from the end of the other's, so that the
    longest must not stand there.
    """
    long = sorted(filter(_about, items), key=_about, reverse=True)
    others = [item for item in items if not _about(item)]
    first = max(0, len(items) // 2 - len(long[::2]))
    return [*long[::2], *others[:first], *long[1::2], *others[first:]]


def _about(item: pytest.Item) -> int:
    mark = item.get_closest_marker("proof")
    return mark.kwargs.get("about", 0) if mark else 0
