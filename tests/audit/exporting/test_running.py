"""An export while it runs: how far it is stands in its row, and whoever took it can end it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import NoReturn
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.exporting import running, streaming
from audit.exporting.models import Export
from audit.exporting.running import KEEP, Cancelled, Stopped, cancel, exports_of
from audit.exporting.streaming import stream
from audit.exporting.tasks import forget_exports
from audit.ledger import reading
from audit.ledger.models import Event
from audit.ledger.reading import EventFilter, Page, Position
from audit.ledger.recorder import Actor
from base.clock import real_now
from base.errors import Conflict, Invalid, Missing
from tests.audit.history.conftest import AsRole
from tests.audit.ledger.factories import note
from tests.requests_app import factories as make

pytestmark = pytest.mark.django_db
BOB = Actor.person("00000000-0000-4000-8000-0000000000b0", "Bob")


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch, as_role: AsRole) -> Iterator[EventFilter]:
    """Seven events, three to a page, and a look whenever there could be one; with the rights of the web process."""
    monkeypatch.setattr(streaming, "PAGE", 3)
    monkeypatch.setattr(running, "LOOK_EVERY", 0.0)
    oid = make.oid()
    for number in range(7):
        note(f"number {number}", actor=Actor.person(oid, "Ada"))
    with as_role("portal_web"):
        yield EventFilter(people=(oid,))


def start(wanted: EventFilter, form: str = "jsonl", query: str = "") -> tuple[Iterator[bytes], Export]:
    chunks = stream(form, wanted, query=query, actor=BOB)
    return chunks, Export.objects.latest("began_at")


def ended(export: Export) -> tuple[str, int, str, int, str | None]:
    """How by its row, and by the only event of its end."""
    export.refresh_from_db()
    said = Event.objects.get(type__startswith="export.", data__fields__rows__isnull=False)
    fields = said.data["fields"]
    assert fields["export_id"] == str(export.pk)
    return export.how, export.rows, said.type, fields["rows"], fields.get("how")


def test_how_far_it_is_stands_in_its_row(wanted: EventFilter) -> None:
    chunks, export = start(wanted, query="person=Ada")
    assert (export.owner_oid, export.query, export.rows) == (BOB.object_id, "person=Ada", 0)
    assert (export.expected, export.expected_more, export.ended_at) == (7, False, None)
    began = export.seen_at
    next(chunks)
    next(chunks)
    export.refresh_from_db()
    assert export.rows == 3
    assert export.seen_at > began
    list(chunks)
    assert ended(export) == ("done", 7, "export.finished", 7, None)


def test_cancelled_midway_nothing_more_is_sent(wanted: EventFilter) -> None:
    chunks, export = start(wanted)
    assert len(next(chunks).splitlines()) == 3
    cancel(export_id=export.pk, owner_oid=BOB.object_id)
    with pytest.raises(Cancelled) as told:  # so that the transfer breaks, and no half file looks whole
        next(chunks)
    assert told.value.errno == errno.ECONNRESET  # which the web server takes for an everyday thing
    assert list(chunks) == []
    assert ended(export) == ("cancelled", 3, "export.cancelled", 3, "cancelled")


def test_a_workbook_is_cancelled_while_it_is_made(
    wanted: EventFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks, export = start(wanted, "xlsx")
    # The head of the answer is out: a browser that has none of it yet would ask again.
    assert next(chunks) == b""
    read, pages = reading.events, iter(range(2, 9))  # the first was read before it began

    def cancelled_at_the_second(wanted: EventFilter, *, before: Position | None, limit: int) -> Page:
        if next(pages) == 2:
            cancel(export_id=export.pk, owner_oid=BOB.object_id)
        return read(wanted, before=before, limit=limit)

    monkeypatch.setattr(reading, "events", cancelled_at_the_second)
    with pytest.raises(Cancelled):
        next(chunks)
    assert ended(export) == ("cancelled", 6, "export.cancelled", 6, "cancelled")


def test_a_browser_that_goes_away_is_told_apart(wanted: EventFilter) -> None:
    chunks, export = start(wanted)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]  # what Django does when the browser is gone
    assert ended(export) == ("broken_off", 3, "export.cancelled", 3, "broken off")


def test_who_cancels_and_goes_away_has_cancelled(wanted: EventFilter) -> None:
    chunks, export = start(wanted)
    next(chunks)
    cancel(export_id=export.pk, owner_oid=BOB.object_id)
    chunks.close()  # type: ignore[attr-defined]  # likewise
    assert ended(export) == ("cancelled", 3, "export.cancelled", 3, "cancelled")


def test_a_failure_is_in_the_row_too(wanted: EventFilter, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks, export = start(wanted)
    next(chunks)
    monkeypatch.setattr(reading, "events", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(chunks)
    assert ended(export) == ("failed", 3, "export.failed", 3, None)


@pytest.mark.parametrize("form", ["jsonl", "xlsx"])
def test_one_whose_process_has_to_end_or_that_takes_too_long_says_so_and_breaks_its_transfer(
    form: str, wanted: EventFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks, export = start(wanted, form)
    next(chunks)
    written = 0 if form == "xlsx" else 3
    with monkeypatch.context() as patched:
        patched.setattr(running, "_stopping", lambda: True)
        with pytest.raises(Stopped):
            next(chunks)
    assert ended(export) == ("failed", written, "export.failed", written, None)
    said = Event.objects.get(type="export.failed").data["fields"]["reason"]
    assert said == "The portal was stopped or updated meanwhile. Export it again."
    slow = start(wanted, form)[0]
    next(slow)
    monkeypatch.setattr(running, "LONGEST", -1.0)
    with pytest.raises(Stopped, match="It took more than"):
        next(slow)


def test_only_ones_own_and_only_while_it_runs(wanted: EventFilter) -> None:
    chunks, export = start(wanted)
    for export_id, owner in ((export.pk, make.oid()), (uuid4(), BOB.object_id)):
        with pytest.raises(Missing):
            cancel(export_id=export_id, owner_oid=owner)
    assert len(b"".join(chunks).splitlines()) == 7
    with pytest.raises(Conflict):
        cancel(export_id=export.pk, owner_oid=BOB.object_id)


def test_it_looks_once_a_second_however_many_pages_there_are(
    wanted: EventFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(1_000))
    monkeypatch.setattr(running, "LOOK_EVERY", 1.0)
    monkeypatch.setattr(running, "time", SimpleNamespace(monotonic=lambda: next(ticks) / 2))
    with CaptureQueriesContext(connection) as asked:
        assert len(b"".join(start(wanted)[0]).splitlines()) == 7
    # Before each of three pages and behind each of three pieces it could; half a second passes from one to the next.
    assert len([each for each in asked if "UPDATE exporting_export" in each["sql"]]) == 3 + 1  # and its end
    assert next(ticks) == 1 + 6


@pytest.mark.parametrize("slow", [False, True])
def test_of_how_many_is_said_as_far_as_it_was_counted(
    wanted: EventFilter, monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    def too_slow(_: EventFilter) -> NoReturn:
        raise Invalid("audit.slow", "Be more precise.")

    monkeypatch.setattr(reading, "MOST_COUNTED", 5)
    if slow:
        monkeypatch.setattr(reading, "count", too_slow)
    chunks, export = start(wanted)
    assert (export.expected, export.expected_more) == ((None, False) if slow else (5, True))
    assert len(b"".join(chunks).splitlines()) == 7


def test_rows_go_when_they_are_old(
    wanted: EventFilter, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = real_now() - KEEP - timedelta(minutes=1)
    with monkeypatch.context() as then:
        then.setattr(running, "real_now", lambda: long_ago)
        start(wanted)
    young = start(wanted)[1]
    assert exports_of(BOB.object_id, 9) == [young]
    with as_role("portal_worker"):
        forget_exports()
    assert list(Export.objects.all()) == [young]
