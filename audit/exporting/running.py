"""What is known of an export while it streams: how far it is, whether somebody cancelled it, and how it ended."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from django.db import connection
from django.db.models.functions import Coalesce
from django_subatomic.db import transaction

from audit.exporting.models import Export, How
from audit.ledger import reading
from audit.ledger.canonical import Value
from audit.ledger.reading import EventFilter
from audit.ledger.recorder import Actor, record
from base.clock import real_now
from base.errors import Conflict, Invalid, Missing

LOOK_EVERY = 1.0  # seconds (real time) between two looks at most
LONGEST = 3600.0  # seconds (real time): whoever takes the file more slowly keeps one of few threads
KEEP = timedelta(days=30)  # no longer than the words of an event are kept at least (audit.ledger.retention)
MOST_DELETED = 1_000
_EVENTS = {
    How.DONE: "export.finished",
    How.CANCELLED: "export.cancelled",
    How.BROKEN_OFF: "export.cancelled",
    How.FAILED: "export.failed",
}
# Whoever closed the file already is told nothing by a late look.
_LOOK = """
UPDATE exporting_export SET rows = %s, seen_at = %s WHERE id = %s AND ended_at IS NULL
RETURNING cancelled_at IS NOT NULL
"""
# A browser that was told to stop goes away too: what was asked for first is what it was.
_END = """
UPDATE exporting_export SET rows = %s, seen_at = %s, ended_at = %s,
    how = CASE WHEN cancelled_at IS NOT NULL AND %s = 'broken_off' THEN 'cancelled' ELSE %s END
WHERE id = %s AND ended_at IS NULL RETURNING how
"""


class Cancelled(ConnectionResetError):
    """Its owner cancelled it. The transfer breaks, so that no half file looks whole.

    Web servers take a reset connection for what happens every day, and write no error of it.
    """

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "The export was cancelled.")


class Stopped(ConnectionResetError):
    """It has to end, and nobody asked for that; `sentence` says why. The transfer breaks as with Cancelled.

    Of any other error gunicorn closes a connection twice, counts one too few, and waits for no other when it ends.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(errno.ECONNRESET, sentence)
        self.sentence = sentence


def end_when(stopping: Callable[[], bool]) -> None:
    """From now on every export of this process ends at its next look once `stopping` says so."""
    global _stopping
    _stopping = stopping


def _nobody_stops() -> bool:
    return False


_stopping: Callable[[], bool] = _nobody_stops


@dataclass(slots=True)
class Running:
    """An export that streams, as its process knows it."""

    export_id: UUID
    form: str
    actor: Actor
    began: float  # on the monotonic clock
    looked: float = 0.0

    def look(self, rows: int) -> None:
        """Say that `rows` are written, once in LOOK_EVERY at most: one statement, which also says whether to go on.

        Raises:
            Cancelled: somebody cancelled it.
            Stopped: it took too long, or this process is told to end.
        """
        if _stopping():
            raise Stopped("The portal was stopped or updated meanwhile. Export it again.")
        now = time.monotonic()
        if now - self.began > LONGEST:
            raise Stopped(
                f"It took more than {LONGEST / 60:.0f} minutes. Ask for a shorter time, or take it by a faster connection."
            )
        if now - max(self.began, self.looked) < LOOK_EVERY:
            return
        with connection.cursor() as cursor:
            cursor.execute(_LOOK, [rows, real_now(), self.export_id])
            found = cursor.fetchone()
        self.looked = now
        if found is None or found[0]:
            raise Cancelled

    def end(self, how: How, rows: int, *, reason: str = "", left_out: str = "") -> None:
        """Say how it ended, with the event of it; `left_out` in words, where it doesn't hold all that was found."""
        now = real_now()
        with transaction():
            with connection.cursor() as cursor:
                cursor.execute(_END, [rows, now, now, how.value, how.value, self.export_id])
                found = cursor.fetchone()
            was = How(found[0]) if found else how
            fields: dict[str, Value] = {"form": self.form, "export_id": self.export_id, "rows": rows}
            if was in (How.CANCELLED, How.BROKEN_OFF):
                fields["how"] = str(was.label).lower()
            if was is How.DONE and left_out:
                fields["left_out"] = left_out
            if was is How.FAILED:
                fields["reason"] = reason
            record(_EVENTS[was], actor=self.actor, fields=fields)


def begin(form: str, wanted: EventFilter, *, query: str, most: int, actor: Actor) -> Running:
    """A row for an export of at most `most` rows, and the event of its beginning."""
    expected, more = _expected(wanted, most)
    now = real_now()
    running = Running(uuid4(), form, actor, began=time.monotonic())
    with transaction():
        Export.objects.create(
            id=running.export_id,
            owner_oid=actor.object_id,
            form=form,
            query=query,
            expected=expected,
            expected_more=more,
            began_at=now,
            seen_at=now,
        )
        record(
            "export.began",
            actor=actor,
            fields={"form": form, "export_id": running.export_id},
            words={"filter": query} if query else {},
        )
    return running


def _expected(wanted: EventFilter, most: int) -> tuple[int | None, bool]:
    """How many rows, and whether there are more than that; None where counting takes too long."""
    try:
        counted = reading.count(wanted)
    except Invalid:
        return None, False
    if counted > reading.MOST_COUNTED < most:
        return reading.MOST_COUNTED, True
    return min(counted, most), False


def cancel(*, export_id: UUID, owner_oid: str) -> None:
    """Have one's own export end at its next look; asking twice is harmless. Its end is the event, with its rows.

    Raises:
        Missing: there is none, or it is somebody else's.
        Conflict: it has ended.
    """
    own = Export.objects.filter(pk=export_id, owner_oid=owner_oid)
    # One statement: an export that ends meanwhile has ended, and is found so below.
    if own.filter(ended_at=None).update(cancelled_at=Coalesce("cancelled_at", real_now())):
        return
    if not own.exists():
        raise Missing("export.missing", "There is no such export.")
    raise Conflict("export.ended", "This export has ended already. What it sent is in its file.")


def exports_of(owner_oid: str, most: int) -> Sequence[Export]:
    """Somebody's own exports of the last days, the newest first. One query."""
    own = Export.objects.filter(owner_oid=owner_oid, began_at__gte=real_now() - KEEP)
    return list(own.order_by("-began_at", "pk")[:most])


def forget_old() -> int:
    """Delete rows that are older than KEEP, a bounded number at a time; gives how many. Their events stay."""
    old = (
        Export.objects.filter(began_at__lt=real_now() - KEEP)
        .order_by("began_at")
        .values_list("pk", flat=True)
    )
    deleted, _ = Export.objects.filter(pk__in=list(old[:MOST_DELETED])).delete()
    return deleted
