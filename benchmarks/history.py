"""A page of the audit trail: by key against by OFFSET, and in a short trail against a long one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from audit.history.searching import event_filter
from audit.ledger import reading
from audit.ledger.models import Event, PersonalWords
from audit.ledger.reading import PAGE, Position
from benchmarks.bulk import EVERYWHERE, Size, fill, person_id
from benchmarks.measuring import Figure, Timer, ratio, timed
from benchmarks.setting import acting_as, database
from tests.support.servers import PostgresServer

ROUNDS = 21
SMALL = Size(100, 100, 100, 100, requests=200, pending=20, events=10_000)
LARGE = Size(100, 100, 100, 100, requests=6_000, pending=20, events=300_000)
_ANY: dict[str, Any] = {
    "person": "",
    "group": "",
    "types": (),
    "outcome": "",
    "account": "",
    "permission_set": "",
    "since": None,
    "until": None,
    "words": "",
}


@dataclass(frozen=True, slots=True)
class Trail:
    """One database with a ledger of known length, and the place in the middle of it."""

    server: PostgresServer
    name: str
    depth: int  # events newer than the middle
    middle: Position

    def timer(self, action: Callable[[], object], *, times: int) -> Timer:
        """Time the action here, as the web process, after one go that warms the new connection."""

        def one_go() -> float:
            with acting_as(self.server, self.name, "web"):
                action()
                return timed(action, times=times)()

        return one_go


def run(
    server: PostgresServer, *, small: Size = SMALL, large: Size = LARGE, rounds: int = ROUNDS
) -> Iterator[Figure]:
    """The figures, as they come. Making the trails takes most of the time."""
    with ExitStack() as stack:
        short, long = (_trail(server, stack.enter_context(database(server)), size) for size in (small, large))
        sizes = f"{large.events:,} events to {small.events:,}"
        for trail, words in ((short, "short"), (long, "long")):
            yield ratio(
                f"history: the middle page of a {words} trail, by OFFSET to by key",
                trail.timer(lambda here=trail: _by_offset(here.depth), times=1),  # type: ignore[misc]  # bound by default
                trail.timer(lambda here=trail: _page({}, here.middle), times=1),  # type: ignore[misc]  # bound by default
                rounds=rounds,
                what=f"{2 * trail.depth:,} events",
            )
        for what, wanted in (
            ("newest page", {}),
            ("newest page of one person", {"person": person_id(1)}),
            ("newest page of a rare permission set", {"permission_set": "Set-00001"}),
            ("newest page of a permission set in every request", {"permission_set": EVERYWHERE}),
        ):
            yield _growth(f"history: {what}, long trail to short", long, short, wanted, rounds, sizes)
        yield ratio(
            "history: middle page by key, long trail to short",
            long.timer(lambda: _page({}, long.middle), times=3),
            short.timer(lambda: _page({}, short.middle), times=3),
            rounds=rounds,
            what=sizes,
        )


def _growth(name: str, long: Trail, short: Trail, wanted: dict[str, str], rounds: int, what: str) -> Figure:
    def page() -> object:
        return _page(wanted)

    return ratio(name, long.timer(page, times=3), short.timer(page, times=3), rounds=rounds, what=what)


def _trail(server: PostgresServer, name: str, size: Size) -> Trail:
    fill(server, name, size)
    with acting_as(server, name, "web"):
        depth = Event.objects.count() // 2
        newer = Event.objects.order_by("-at", "-id").values("at", "id")[depth - 1]
    return Trail(server, name, depth, Position(newer["at"], newer["id"]))


def _page(wanted: dict[str, str], before: Position | None = None) -> reading.Page:
    """What the auditor's page reads, names of the filter looked up as there; a page that is empty is a mistake."""
    chosen = event_filter({**_ANY, **wanted})
    page = reading.events(chosen, before=before)
    assert page.entries, wanted
    return page


def _by_offset(depth: int) -> list[tuple[Event, list[PersonalWords]]]:
    """The same page as a paginator would read it: keys by OFFSET, which is kind to it, then their rows."""
    keys = list(Event.objects.order_by("-at", "-id").values("at", "id")[depth : depth + PAGE + 1])
    ids = [key["id"] for key in keys[:PAGE]]
    times = [key["at"] for key in keys[:PAGE]]
    rows = Event.objects.filter(id__in=ids, at__gte=min(times), at__lte=max(times)).defer("canon")
    kept: dict[int, list[PersonalWords]] = {}
    for words in PersonalWords.objects.filter(event_id__in=ids):
        kept.setdefault(words.event_id, []).append(words)
    return [(row, kept.get(row.id, [])) for row in rows.order_by("-at", "-id")]
