"""What a part of the sync works with: its cursor, its budget, counted calls to the clouds, doubts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.conf import settings
from django_subatomic.db import durable

from base.clock import real_now
from catalog.sync.guarding import check_plausible, digest, plausible
from clients.errors import ClientError, Unreachable
from clients.types import Reading


@dataclass(frozen=True, slots=True)
class Fetched[K, T]:
    """The answer about one of many, or the refusal that stands in its place."""

    item: K
    value: T | None
    error: ClientError | None


@dataclass(slots=True)
class Work:
    """One slice of a run. `cursor` is JSON, saved after every step; `changes` counts rows by name."""

    part: str
    cursor: dict[str, Any]
    deadline: datetime  # real time
    calls: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    accept_shrinking: bool = False

    @property
    def out_of_time(self) -> bool:
        """Whether the rest belongs to the next slice."""
        return real_now() >= self.deadline

    @property
    def carried(self) -> dict[str, Any]:
        """What the last complete run of this part left for this one."""
        return dict(self.cursor.get("carried", {}))

    def carry(self, name: str, value: object) -> None:
        """Leave something for the next run of this part."""
        self.cursor["carry"] = {**self.cursor.get("carry", {}), name: value}

    def fetch[T](self, call: Callable[[], Reading[T]]) -> T:
        """One call to a cloud, outside any transaction. Raises what the port raises."""
        self.calls += 1
        return _outside(call)

    def fetch_each[K, T](
        self, items: Iterable[K], call: Callable[[K], Reading[T]]
    ) -> Sequence[Fetched[K, T]]:
        """One call for each item, several at a time, outside any transaction.

        Refusals stand beside their item. Raises Unreachable (Throttled, too): then nothing of it counts.
        """
        wanted = list(items)
        self.calls += len(wanted)
        return _outside_each(wanted, call)

    def check_plausible(self, what: str, *, before: int, after: int) -> None:
        """Raises Implausible when a whole list empties or halves and no operator accepted that."""
        check_plausible(what, before=before, after=after, accepted=self.accept_shrinking, part=self.part)

    def believes(self, name: str, *, before: int, entries: Sequence[object]) -> bool:
        """Whether one of many lists may be written: one that empties or halves must be read twice alike.

        The first reading is kept as a doubt for the next run; until then the last good data stays.
        """
        if self.accept_shrinking or plausible(before, len(entries)):
            return True
        mark = digest(entries)
        if self.carried.get("doubts", {}).get(name) == mark:
            return True
        self.carry("doubts", {**self.cursor.get("carry", {}).get("doubts", {}), name: mark})
        self.changes["doubted"] += 1
        return False


class Part(Protocol):
    """One part of the catalogue."""

    def advance(self, work: Work) -> bool:
        """Do one step of some seconds and move the cursor; True when the part is complete.

        Steps may be repeated: a worker can die after the step and before its cursor is saved.
        """
        ...


@durable
def _outside[T](call: Callable[[], Reading[T]]) -> T:
    return call().value


@durable
def _outside_each[K, T](items: Sequence[K], call: Callable[[K], Reading[T]]) -> Sequence[Fetched[K, T]]:
    def one(item: K) -> Fetched[K, T]:
        try:
            return Fetched(item, call(item).value, None)
        except Unreachable:
            raise
        except ClientError as error:
            return Fetched(item, None, error)

    if len(items) <= 1:
        return [one(item) for item in items]
    with ThreadPoolExecutor(max_workers=min(len(items), settings.CATALOG_SYNC_CONCURRENCY)) as pool:
        return list(pool.map(one, items))
