"""Whole pages of a loaded world in Django's test client: through every middleware, as the web process, signed in."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import quantiles

from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from base.clock import real_now
from benchmarks.measuring import Figure
from benchmarks.setting import acting_as
from identity.models import AppRole, Person, SignIn, User
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer

# The same page of several worlds is asked for in turns, so many times a turn.
A_TURN = 10
_NANOSECOND = 1e-9


@dataclass(frozen=True, slots=True)
class Took:
    """What one page took, in seconds: on the clock, and of the processors' time, the database's with it.

    The second is what a machine that does nothing else would need, but for waiting for its disk.
    """

    clock: float
    work: float


def signed_in(person: Person, *roles: AppRole) -> Client:
    """This person's browser; to be called as the web process of the person's world."""
    user = User.objects.filter(person=person).first() or make.login(person, *roles)
    client = Client()
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
    key, now = str(client.session.session_key), real_now()
    SignIn.objects.create(session_key=key, user=user, started_at=now, seen_at=now)
    return client


@contextmanager
def reachable() -> Iterator[None]:
    """The settings under which the worlds' people and the test client are accepted."""
    with override_settings(ALLOWED_HOSTS=["testserver"], ENTRA_TENANT_ID=make.TENANT):
        yield


@dataclass(frozen=True, slots=True)
class Visit:
    """One kind of page: its addresses, which are asked for one after another, and what stands on each."""

    addresses: Sequence[str]
    content: str = ""  # within <main>; "" for a page that may be empty


@dataclass(frozen=True, slots=True)
class Place:
    """One world's database, and the browser that visits it."""

    server: PostgresServer
    database: str
    client: Client

    def turn(self, visit: Visit, turn: int) -> list[Took]:
        """What each of A_TURN pages took, after one that warmed the new connection."""
        with acting_as(self.server, self.database, "web"):
            self._open(visit, turn * A_TURN)
            return [self._open(visit, turn * A_TURN + number) for number in range(A_TURN)]

    def queries(self, visit: Visit) -> int:
        """Statements of the first address's page."""
        with acting_as(self.server, self.database, "web"):
            self._open(visit, 0)
            with CaptureQueriesContext(connection) as captured:
                self._open(visit, 0)
            return len(captured)

    def _open(self, visit: Visit, number: int) -> Took:
        address = visit.addresses[number % len(visit.addresses)]
        began, work = time.perf_counter(), worked()
        answer = self.client.get(address)
        page = answer.content.decode()
        took = Took(time.perf_counter() - began, worked() - work)
        assert answer.status_code == 200, (address, answer.status_code, page.partition("<main")[2][:2000])
        assert visit.content in page.partition("<main")[2], address
        return took


def worked() -> float:
    """Seconds of processor time that this process and its database connection have used (proc(5), schedstat)."""
    connection.ensure_connection()
    behind = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").read_text()
    return time.process_time() + int(behind.split()[0]) * _NANOSECOND


def peak() -> int:
    """The most memory that this process had since `peak_begins_anew`, in KiB."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line)


def peak_begins_anew() -> int:
    """Forget the peak (proc(5), clear_refs); gives what the process has now, in KiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def compare(
    name: str,
    first: Callable[[int], Sequence[Took]],
    second: Callable[[int], Sequence[Took]],
    *,
    turns: int,
    what: str,
) -> Figure:
    """How many times longer the first's slow ones (p95) take; beside it p50 and p95 of both, and the machine's load.

    Both take turns, in changing order; each gives what its pages took in the turn of that number.
    """
    taken: tuple[list[Took], list[Took]] = ([], [])
    for turn in range(turns):
        for which in (0, 1) if turn % 2 else (1, 0):
            taken[which].extend((first, second)[which](turn))
    clock = [_middle_and_slow([each.clock for each in these]) for these in taken]
    work = [_middle_and_slow([each.work for each in these]) for these in taken]
    words = [
        f"{how} p50 {1000 * large[0]:.0f} ms to {1000 * small[0]:.0f} ms, p95 {1000 * large[1]:.0f} ms to "
        f"{1000 * small[1]:.0f} ms"
        for how, (large, small) in (("clock", clock), ("processor", work))
    ]
    return Figure(
        name,
        f"{work[0][1] / work[1][1]:.2f}",
        f"p50 {work[0][0] / work[1][0]:.2f}",
        f"{'; '.join(words)}; {what}, load {os.getloadavg()[0]:.1f}",
    )


def compared(
    area: str, visits: Callable[[Place], Mapping[str, Visit]], places: tuple[Place, Place], *, turns: int
) -> Iterator[Figure]:
    """Each kind of page in the large world and in the small one; `visits` says which pages a place has."""
    large, small = (visits(place) for place in places)
    for name, visit in large.items():
        many, few = places[0].queries(visit), places[1].queries(small[name])
        yield compare(
            f"{area}: {name}, p95",
            partial(places[0].turn, visit),
            partial(places[1].turn, small[name]),
            turns=turns,
            what=f"{many} queries to {few}",
        )


def _middle_and_slow(times: Sequence[float]) -> tuple[float, float]:
    cuts = quantiles(times, n=20, method="inclusive")
    return cuts[9], cuts[18]
