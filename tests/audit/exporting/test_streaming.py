"""Exports on their way: all of it in pages, nothing at once, and its end recorded whichever way it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.exporting import streaming
from audit.exporting.running import Stopped
from audit.exporting.streaming import FORMS, stream
from audit.ledger import reading
from audit.ledger.models import Event
from audit.ledger.reading import EventFilter
from audit.ledger.recorder import Actor
from base.errors import Invalid
from tests.audit.history.conftest import AsRole
from tests.audit.ledger.factories import ADA, note
from tests.requests_app import factories as make

pytestmark = pytest.mark.django_db
BOB = Actor.person("00000000-0000-4000-8000-0000000000b0", "Bob")


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch, as_role: AsRole) -> Iterator[EventFilter]:
    """Seven events, three to a page; with the rights of the web process."""
    monkeypatch.setattr(streaming, "PAGE", 3)
    oid = make.oid()
    for number in range(7):
        note(f"number {number}", actor=Actor.person(oid, "Ada"))
    with as_role("portal_web"):
        yield EventFilter(people=(oid,))


def told() -> list[tuple[str, str, int | None]]:
    rows = Event.objects.filter(type__startswith="export.").order_by("id")
    return [(row.type, row.outcome, row.data["fields"].get("rows")) for row in rows]


def test_all_of_it_newest_first_in_bounded_steps(wanted: EventFilter) -> None:
    with CaptureQueriesContext(connection) as queries:
        chunks = stream("jsonl", wanted, query="person=Ada", actor=BOB)
        found = [json.loads(line) for chunk in chunks for line in chunk.decode().splitlines()]
    assert [each["facts"]["note"] for each in found] == [f"number {number}" for number in reversed(range(7))]
    assert len([query for query in queries if "LIMIT 4" in query["sql"]]) == 3, (
        "a page and one more, three times"
    )
    assert told() == [("export.began", "done", None), ("export.finished", "done", 7)]
    began = Event.objects.get(type="export.began")
    assert began.actor_oid == BOB.object_id
    assert set(began.data["commitments"]) == {"actor", "filter"}


def test_the_beginning_is_recorded_before_the_first_byte(wanted: EventFilter) -> None:
    chunks = stream("csv", wanted, query="", actor=BOB)
    assert told() == [("export.began", "done", None)]
    assert next(chunks).startswith(b"event_id,")


def test_whoever_breaks_it_off_is_recorded(wanted: EventFilter) -> None:
    chunks = stream("jsonl", wanted, query="", actor=BOB)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined] # what Django does when the browser is gone
    assert told()[-1] == ("export.cancelled", "failed", 3)


def test_a_failure_breaks_the_transfer_and_is_recorded(
    wanted: EventFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = stream("jsonl", wanted, query="", actor=BOB)
    next(chunks)

    def away(*_: object, **__: object) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(reading, "events", away)
    with pytest.raises(ConnectionError):
        list(chunks)
    assert told()[-1] == ("export.failed", "failed", 3)


def test_a_search_that_takes_too_long_is_refused_before_it_begins_and_says_so_when_it_is_a_later_page(
    wanted: EventFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_slow(*_: object, **__: object) -> None:
        raise Invalid("audit.too_slow", "Be more precise.")

    chunks = stream("csv", wanted, query="", actor=BOB)
    monkeypatch.setattr(reading, "events", too_slow)
    with pytest.raises(Invalid, match="Be more precise"):
        stream("csv", wanted, query="", actor=BOB)
    assert told() == [("export.began", "done", None)], "of the first alone"
    with pytest.raises(Stopped, match="Be more precise"):
        list(chunks)
    assert told()[-1] == ("export.failed", "failed", 3)
    assert Event.objects.get(type="export.failed").data["fields"]["reason"] == "Be more precise."


def test_it_ends_at_the_most(wanted: EventFilter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "FORMS", {"jsonl": replace(FORMS["jsonl"], most=5)})
    lines = b"".join(stream("jsonl", wanted, query="", actor=ADA)).splitlines()
    assert len(lines) == 5
    assert told()[-1] == ("export.finished", "done", 5)
    ended = Event.objects.filter(type="export.finished").order_by("id")
    assert ended[0].data["fields"]["left_out"] == "older events"
    monkeypatch.setattr(streaming, "FORMS", {"jsonl": replace(FORMS["jsonl"], most=7)})
    assert len(b"".join(stream("jsonl", wanted, query="", actor=ADA)).splitlines()) == 7
    assert "left_out" not in ended[1].data["fields"], "it is all there is"
