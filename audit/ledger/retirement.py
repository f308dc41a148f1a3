"""Removing a month of the trail whose time is over, so that the rest still verifies and what is gone is told.

The events go with their partition, the words beside them too; their leaves and seals stay, so that the chain holds from
the first seal on. The removal is an event, which says of every month that was ever removed how many events it had and
the hash over their leaves: verification counts and hashes the leaves that are left again, and names whatever is missing
and isn't covered. Only the tables' owner can do it; no process that runs every day is that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from django.db import DatabaseError, connection
from django_subatomic.db import transaction

from audit.ledger.canonical import JSON, instant
from audit.ledger.events import KEY_ANNOUNCED, MONTH_REMOVED
from audit.ledger.findings import Finding
from audit.ledger.merkle import leaf_hash
from audit.ledger.recorder import Actor, record
from audit.ledger.retention import by_days, parse
from audit.ledger.watched import know, told_before

LOCK_SECONDS = 5  # writers of events wait for as long at most
LEAST_DAYS = 365  # no event goes earlier, whatever the setting says
_CHUNK = 2_000  # events hashed at once


class Unremovable(Exception):
    """The month can't be removed (yet); the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Month:
    """One calendar month in UTC, with what is left of it in the leaves once its events are gone."""

    year: int
    number: int
    events: int = 0
    leaves: str = ""  # SHA-256 over its leaf hashes, in the order of batch and place
    first_batch: int = 0  # 0 in a month without events
    last_batch: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """The month written like 2021-03. Raises ValueError."""
        at = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        return cls(at.year, at.month)

    @property
    def name(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def partition(self) -> str:
        return f"audit_event_{self.year:04}_{self.number:02}"

    @property
    def since(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def until(self) -> datetime:
        """The first instant after it."""
        later = self.year * 12 + self.number
        return datetime(later // 12, later % 12 + 1, 1, tzinfo=UTC)

    def document(self) -> dict[str, JSON]:
        """As the event holds it."""
        return {
            "month": self.name,
            "events": self.events,
            "leaves": self.leaves,
            "first_batch": self.first_batch,
            "last_batch": self.last_batch,
        }


@dataclass(frozen=True, slots=True)
class Removed:
    """What the newest removal says: its event, every month that is gone, and the keys that were announced in them."""

    event_id: int
    months: tuple[Month, ...]
    keys: tuple[str, ...]

    @property
    def until(self) -> datetime | None:
        """The first instant that is not in a removed month; months go in their order."""
        return self.months[-1].until if self.months else None

    def covers(self, at: datetime) -> bool:
        """Whether an event of that time is told to be removed."""
        return self.until is not None and at < self.until


NOTHING = Removed(0, (), ())


def removed() -> Removed:
    """What was removed so far. Raises ValueError when the newest removal can't be read."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, data -> 'fields' FROM audit_event WHERE type = %s AND actor_kind = 'system' "
            "ORDER BY at DESC, id DESC LIMIT 1",
            [MONTH_REMOVED.name],
        )
        row = cursor.fetchone()
    if row is None:
        return NOTHING
    event_id, said = row
    return _read(event_id, json.loads(said) if isinstance(said, str) else said)


def _read(event_id: int, said: Mapping[str, Any]) -> Removed:
    try:
        months = tuple(
            replace(
                Month.parse(each["month"]),
                events=int(each["events"]),
                leaves=str(each["leaves"]),
                first_batch=int(each["first_batch"]),
                last_batch=int(each["last_batch"]),
            )
            for each in said["months"]
        )
        return Removed(event_id, months, tuple(str(key) for key in said["keys"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"Event {event_id} tells of a removal, but not of which months.") from error


def remove(month: Month, kept: str, *, dry_run: bool = False) -> Month:
    """Remove the month's events, as the setting's text `kept` allows; gives it with its counts.

    With `dry_run` everything is looked at and nothing removed. Raises Unremovable, RetentionError.
    """
    before = removed()
    _due(month, kept, before)
    counted = _counted(month)
    _anchored(counted)
    if dry_run:
        return counted
    keys = _announced(month)
    try:
        with transaction(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_SECONDS}s"])
            cursor.execute("LOCK TABLE public.audit_event IN ACCESS EXCLUSIVE MODE")
            if removed() != before or _count(month) != counted.events:
                raise Unremovable(f"The trail of {month.name} changed meanwhile. Begin again.")
            # What would be nobody's word any more is said again. Later: no event may be under way while its table changes.
            last_words = told_before(month.until)
            cursor.execute(_WORDS.format(partition=month.partition))
            words = cursor.rowcount
            cursor.execute(f"ALTER TABLE public.audit_event DETACH PARTITION public.{month.partition}")
            cursor.execute(f"DROP TABLE public.{month.partition}")
            for rows in last_words:
                know(rows)
            record(
                MONTH_REMOVED.name,
                actor=Actor.system(),
                fields={
                    "month": month.name,
                    "events": counted.events,
                    "texts": words,
                    "first_batch": counted.first_batch,
                    "last_batch": counted.last_batch,
                    "months": [each.document() for each in (*before.months, counted)],
                    "keys": list(dict.fromkeys((*before.keys, *keys))),
                },
            )
    except DatabaseError as error:
        if "lock timeout" in str(error):
            raise Unremovable(
                "The trail is being written to without a pause. Try again in a quiet hour."
            ) from error
        raise
    return counted


_TYPES = "SELECT DISTINCT type FROM public.{partition}"
_WORDS = "DELETE FROM public.audit_pii kept USING public.{partition} event WHERE kept.event_id = event.id"


def _due(month: Month, kept: str, before: Removed) -> None:
    """Whether it is the turn of this month, and the time of everything in it is over."""
    if month.name in {each.name for each in before.months}:
        raise Unremovable(
            f"The events of {month.name} were removed already, as event {before.event_id} says."
        )
    oldest = _oldest()
    if oldest is None or not _rows("SELECT to_regclass('public.' || %s)", [month.partition])[0][0]:
        raise Unremovable(f"There is no month {month.name} in the trail.")
    if oldest != month.name:
        raise Unremovable(f"Months go in their order, and {oldest} is the oldest that is here.")
    rules = parse(kept, least=LEAST_DAYS)
    types = [name for (name,) in _rows(_TYPES.format(partition=month.partition), [])]
    days = by_days(rules, types)
    unnamed = sorted(set(types) - {name for names in days.values() for name in names})
    if unnamed:
        raise Unremovable(
            f"AUDIT_EVENTS_KEPT_DAYS keeps for ever what it doesn't name: {', '.join(unnamed)} in {month.name}."
        )
    longest = max(days, default=max(rules.values(), default=0))
    ((over,),) = _rows("SELECT %s <= clock_timestamp() - make_interval(days => %s)", [month.until, longest])
    if not over or not rules:
        raise Unremovable(f"{month.name} holds events that are kept for {longest} days after its end.")


def _oldest() -> str | None:
    """The name of the oldest month that has a partition."""
    rows = _rows(
        "SELECT min(relname) FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid "
        "WHERE inhparent = 'public.audit_event'::regclass AND relname ~ '^audit_event_[0-9]{4}_[0-9]{2}$'",
        [],
    )
    return str(rows[0][0]).removeprefix("audit_event_").replace("_", "-") if rows[0][0] else None


def _counted(month: Month) -> Month:
    """The month with its counts, after every event was hashed again. Raises Unremovable for what isn't as sealed."""
    digest, count, first, last = hashlib.sha256(), 0, 0, 0
    for batch, event_id, at, canon, leaf in _sealed(month):
        if leaf is None or leaf_hash(event_id, at, canon) != bytes(leaf):
            state = "isn't sealed" if leaf is None else f"isn't as batch {batch} sealed it"
            raise Unremovable(
                f"Event {event_id} of {month.name} {state}. Run `manage.py audit_verify` first."
            )
        digest.update(bytes(leaf))
        count, first, last = count + 1, first or batch, batch
    return replace(month, events=count, leaves=digest.hexdigest(), first_batch=first, last_batch=last)


def _sealed(month: Month) -> Iterator[tuple[Any, ...]]:
    """The month's events with their leaves, in the order of the seals; those without come first of all."""
    # Seals are made in the order of time, but for what commits late: so all are sorted, not only neighbours.
    statement = (
        "SELECT leaf.batch, event.id, event.at, event.canon, leaf.leaf "  # noqa: S608 - a month's name
        f"FROM public.{month.partition} event LEFT JOIN public.audit_leaf leaf "
        "ON leaf.event_id = event.id AND leaf.at = event.at ORDER BY leaf.batch NULLS FIRST, leaf.idx"
    )
    with transaction(), connection.chunked_cursor() as cursor:
        cursor.execute(statement)
        while rows := cursor.fetchmany(_CHUNK):
            yield from rows


def _count(month: Month) -> int:
    ((count,),) = _rows(f"SELECT count(*) FROM public.{month.partition}", [])  # noqa: S608 - a month's name
    return int(count)


def _anchored(month: Month) -> None:
    """Its last seal, or a later one, has a receipt of a place outside."""
    rows = _rows(
        "SELECT max(kept.batch) FROM audit_anchor kept JOIN audit_seal seal "
        "ON seal.batch = kept.batch AND seal.seal = kept.seal",
        [],
    )
    if month.last_batch > (rows[0][0] or 0):
        raise Unremovable(
            f"The seals of {month.name} go up to {month.last_batch}, and no anchor has receipted that one or a later "
            "one. Set AUDIT_ANCHORS first: what nobody outside keeps a seal of isn't removed."
        )


def _announced(month: Month) -> Sequence[str]:
    """The sealing keys that events of the month announce, which verification must know afterwards."""
    statement = f"SELECT data #>> '{{fields,key}}' FROM public.{month.partition} WHERE type = %s ORDER BY id"  # noqa: S608
    return [str(key) for (key,) in _rows(statement, [KEY_ANNOUNCED.name])]


def _rows(statement: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


_LEAVES = """
SELECT leaf.at, leaf.leaf, event.id IS NULL
FROM audit_leaf leaf JOIN audit_seal seal ON seal.batch = leaf.batch
LEFT JOIN audit_event event ON event.id = leaf.event_id AND event.at = leaf.at AND event.at < %(until)s
WHERE leaf.at < %(until)s ORDER BY leaf.batch, leaf.idx
"""


def removal_findings(gone: Removed) -> Iterator[Finding]:
    """Each removed month whose leaves aren't those that its removal told of, or whose events are here.

    Reads the sealed leaves of all of them, in the caller's transaction.
    """
    if not gone.months:
        return
    seen = {month.name: (hashlib.sha256(), 0) for month in gone.months}
    here: dict[str, int] = {}  # events that are there all the same
    with connection.chunked_cursor() as cursor:
        cursor.execute(_LEAVES, {"until": gone.until})
        while rows := cursor.fetchmany(_CHUNK):
            for at, leaf, missing in rows:
                # What came before the first month stands in its partition, which reaches back to the beginning of time.
                name = max(f"{at:%Y-%m}", gone.months[0].name)
                digest, count = seen[name]
                digest.update(leaf)
                seen[name] = (digest, count + 1)
                if not missing:
                    here[name] = here.get(name, 0) + 1
    for month in gone.months:
        digest, count = seen[month.name]
        told = f"Event {gone.event_id} says that {month.name} was removed"
        if count != month.events or digest.hexdigest() != month.leaves:
            sentence = (
                f"{told} with {month.events} events, and the {count} leaves of that time aren't theirs."
            )
            yield Finding("removal_differs", sentence, month.first_batch or None)
        elif here.get(month.name):
            sentence = f"{told}, and {here[month.name]} events of that time are here."
            yield Finding("removal_undone", sentence)


def words_of(gone: Removed) -> str:
    """A sentence for people about what is gone."""
    if not gone.months:
        return ""
    events = sum(each.events for each in gone.months)
    first, last = gone.months[0].name, gone.months[-1].name
    span = first if first == last else f"{first} to {last}"
    until = instant(gone.months[-1].until)
    return f"{events} events of {span}, before {until}, were removed, as event {gone.event_id} says."
