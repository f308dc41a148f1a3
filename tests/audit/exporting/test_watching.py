"""The page of one's own exports: what runs, how it ended, and the button that ends it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from django.http import StreamingHttpResponse
from django.test import Client

from audit.exporting import running, streaming
from audit.exporting.models import Export, How
from audit.exporting.running import Cancelled, begin
from audit.exporting.watching import LOST_AFTER, Watched
from audit.ledger.reading import EventFilter
from audit.ledger.recorder import Actor
from tests.audit.ledger.factories import ADA, note
from tests.requests_app import factories as make

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def watched(**values: object) -> Watched:
    """An export of twelve seconds, of which something was heard a second ago."""
    known = {"began_at": NOW - timedelta(seconds=13), "seen_at": NOW - timedelta(seconds=1), "form": "csv"}
    return Watched(Export(**(known | values)), NOW)


@pytest.mark.parametrize(
    ("values", "tone", "words", "of", "rate"),
    [
        ({"rows": 6_000, "expected": 9_000}, "moving", "Running", "of 9,000", 500),
        (
            {"rows": 6_000, "expected": 10_000, "expected_more": True},
            "moving",
            "Running",
            "of more than 10,000",
            500,
        ),
        (
            {"rows": 24_000, "expected": 10_000, "expected_more": True},
            "moving",
            "Running",
            "of at most 1,000,000",
            2_000,
        ),
        ({"rows": 0}, "moving", "Running", "", None),
        ({"rows": 12, "cancelled_at": NOW}, "ending", "Being cancelled", "", 1),
        (
            {"rows": 12, "seen_at": NOW - LOST_AFTER - timedelta(seconds=1)},
            "problem",
            "No sign of life",
            "",
            None,
        ),
        # Events came meanwhile: it is never more than the whole.
        ({"rows": 8, "expected": 7, "ended_at": NOW, "how": How.DONE}, "live", "Done", "of 8", 1),
        ({"rows": 3, "expected": 7, "ended_at": NOW, "how": How.CANCELLED}, "ended", "Cancelled", "of 7", 0),
        ({"rows": 3, "ended_at": NOW, "how": How.BROKEN_OFF}, "problem", "Broken off", "", 0),
    ],
)
def test_what_is_said_of_one(
    values: dict[str, object], tone: str, words: str, of: str, rate: int | None
) -> None:
    one = watched(**values)
    assert (one.tone, one.words, one.of_how_many, one.rate) == (tone, words, of, rate)


def test_a_file_that_holds_no_more_says_so() -> None:
    done = {"ended_at": NOW, "how": How.DONE, "form": "xlsx"}
    assert watched(rows=100_000, **done).full
    assert not watched(rows=99_999, **done).full
    assert not watched(rows=100_000, form="xlsx").full, "it still runs"


def test_a_search_is_shown_in_words_and_leads_back_to_it() -> None:
    one = watched(query="person=Ada+L&unknown=x&action=grant.ended")
    assert list(one.search) == [("Person", "Ada L"), ("Action", "Grant: ended")]
    assert one.address == "/audit/?person=Ada+L&action=grant.ended"
    assert watched().address == "/audit/"


def test_watched_and_cancelled_on_its_page(auditor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "PAGE", 3)
    monkeypatch.setattr(running, "LOOK_EVERY", 0.0)
    oid = make.oid()
    for number in range(7):
        note(f"number {number}", actor=Actor.person(oid, "Ada"))
    page = auditor.get("/audit/exports/").content.decode()
    assert "No export yet" in page
    answer = cast("StreamingHttpResponse", auditor.post("/audit/export/", {"person": oid, "form": "jsonl"}))
    chunks = iter(cast("Iterable[bytes]", answer.streaming_content))
    next(chunks)
    next(chunks)
    page = auditor.get("/audit/exports/").content.decode()
    assert f"Person: {oid}" in page
    assert '<progress max="7" value="3"' in page
    live = page.partition('hx-get="')[2].partition('"')[0]
    assert auditor.get(live).status_code == 204  # nothing is new
    export = Export.objects.get()
    sent = auditor.post(f"/audit/exports/{export.pk}/cancel/")
    assert sent["Location"] == "/audit/exports/"
    part = auditor.get(live).content.decode()
    assert "Being cancelled" in part
    assert f"/{export.pk}/cancel/" not in part
    with pytest.raises(Cancelled):
        list(chunks)
    assert "Cancelled" in auditor.get(live).content.decode()
    assert auditor.post(f"/audit/exports/{export.pk}/cancel/").status_code == 409
    assert 'href="/audit/exports/"' in auditor.get(f"/audit/?person={oid}").content.decode()


def test_nobody_cancels_anybody_elses(auditor: Client) -> None:
    begin("csv", EventFilter(), query="", most=10, actor=ADA)
    export = Export.objects.get()
    assert "No export yet" in auditor.get("/audit/exports/").content.decode()
    assert auditor.post(f"/audit/exports/{export.pk}/cancel/").status_code == 404
    export.refresh_from_db()
    assert export.cancelled_at is None
