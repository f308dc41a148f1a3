"""Server time and queries of pages: the whole middleware, rights of the web process, small world and large."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from base.clock import business_now, real_now
from benchmarks.bulk import Size, fill, group_id, person_id
from benchmarks.measuring import Figure, Timer, ratio
from benchmarks.setting import acting_as, database
from catalog.models import PersonRefresh
from identity.models import Person, SignIn
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer

ROUNDS = 15
REPEATS = 5  # pages a go; its middle one counts
SMALL = Size(60, 45, 40, 50, requests=200, pending=30, wide=50)
LARGE = Size(1_000, 750, 500, 2_000, requests=20_000, pending=30, wide=1_000)


@dataclass(frozen=True, slots=True)
class World:
    """One database and the browsers of two people: one who asks and one who decides."""

    server: PostgresServer
    name: str
    asker: Client
    boss: Client

    def browser(self, path: str) -> Client:
        """Whoever opens this page."""
        return self.boss if path.startswith("/approvals") else self.asker

    def timer(self, path: str) -> Timer:
        """Seconds for one page, the connection warm."""

        def one_go() -> float:
            with acting_as(self.server, self.name, "web"):
                self._open(path)
                return median(self._open(path) for _ in range(REPEATS))

        return one_go

    def queries(self, path: str, content: str) -> int:
        """How many statements the page sends, which must show this."""
        with acting_as(self.server, self.name, "web"):
            self._open(path)
            with CaptureQueriesContext(connection) as captured:
                page = self.browser(path).get(path).content.decode()
            assert content in page.partition("<main")[2], path
            return len(captured)

    def _open(self, path: str) -> float:
        began = time.perf_counter()
        answer = self.browser(path).get(path)
        took = time.perf_counter() - began
        assert answer.status_code == 200, (path, answer.status_code)
        return took


# Each page's address, and something that stands on it when it shows what it should.
PAGES = {
    "home": ("/", "AWS - Group 0"),
    "catalogue": ("/access/", "AWS - Group 00001"),
    "search of the catalogue": ("/access/?q=account", "AWS - Group 00001"),
    "group that opens many accounts": (f"/access/{group_id(0)}/", "account-00001"),
    "approver's inbox": ("/approvals/", "Person 0"),
}


def run(
    server: PostgresServer, *, small: Size = SMALL, large: Size = LARGE, rounds: int = ROUNDS
) -> Iterator[Figure]:
    """Large world to small, page by page."""
    with ExitStack() as stack:
        stack.enter_context(override_settings(ALLOWED_HOSTS=["testserver"]))
        worlds = [_world(server, stack.enter_context(database(server)), size) for size in (large, small)]
        for name, (path, content) in PAGES.items():
            here, there = (world.queries(path, content) for world in worlds)
            yield ratio(
                f"pages: {name}, large world to small",
                worlds[0].timer(path),
                worlds[1].timer(path),
                rounds=rounds,
                what=f"{here} queries to {there}",
            )


def _world(server: PostgresServer, name: str, size: Size) -> World:
    boss = fill(server, name, size)
    with acting_as(server, name, "worker"):
        PersonRefresh.objects.bulk_create(
            # Read just now for as long as this runs: no page rings for fresh data, which would need a broker.
            PersonRefresh(person=person, read_at=business_now() + timedelta(days=1))
            for person in Person.objects.filter(object_id=person_id(0))
        )
    with acting_as(server, name, "web"):
        asker, approver = _signed_in(Person.objects.get(object_id=person_id(0))), _signed_in(boss)
    return World(server, name, asker, approver)


def _signed_in(person: Person) -> Client:
    user = make.login(person)
    client = Client()
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
    key, now = str(client.session.session_key), real_now()
    SignIn.objects.create(session_key=key, user=user, started_at=now, seen_at=now)
    return client
