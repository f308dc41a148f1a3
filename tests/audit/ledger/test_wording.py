"""Words in what people wrote and in references: what is found, and what leaves when words are erased."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_subatomic.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.ledger import reading
from audit.ledger.reading import EventFilter, count, events, opening
from audit.ledger.recorder import record
from audit.ledger.registry import registered
from audit.ledger.sql import SEARCHED_WORDS
from audit.ledger.wording import MOST_NAMED, terms_of, worded_types
from base.errors import Invalid
from tests.audit.ledger.factories import ADA, ask
from tests.support.servers import PostgresServer


def found(words: str, **more: object) -> list[int]:
    return [entry.event.id for entry in events(EventFilter(words=words, **more)).entries]  # type: ignore[arg-type]


def submit(reference: str = "", justification: str = "Deploy") -> int:
    request_id = uuid4()
    with transaction():
        return record(
            "request.submitted",
            actor=ADA,
            fields={"reference": reference, "items": 1},
            words={"justification": justification},
            about_oid=ADA.object_id,
            about_name="Ada Lovelace",
            request_id=request_id,
        )


@pytest.mark.django_db
def test_words_and_their_beginnings_are_found_in_texts_and_references() -> None:
    event = submit(
        "CHG-123/prod", "The Storefront's db-main-7 is FULL; see https://wiki.example/runbook Überlauf"
    )
    submit("CHG-999", "Something else entirely")
    for words in (
        "storefront", "STOREF", "db", "main", "db-main", "db-main-7", "full", "full.", "runbook", "wiki.example/run",
        "the store fu", "chg-123", "CHG 12", "123", "prod", "Überl",
    ):  # fmt: skip
        assert found(words) == [event], words
    for words in ("front", "hg-123", "storefront elsewhere", "123 storefront", "ada", "lovelace", "nothing"):
        assert found(words) == [], words
    assert len(found("chg")) == 2


@pytest.mark.django_db
def test_words_join_with_the_other_filters_and_are_counted() -> None:
    with transaction():
        asked = ask(actor=ADA, words="Disk is full")
    assert found("disk", people=(ADA.object_id,)) == [asked]
    assert found("disk", people=("somebody",)) == []
    assert found("disk", types=("trial.asked",)) == [asked]
    assert found("disk", types=("trial.noted",)) == []
    assert count(EventFilter(words="disk")) == 1


@pytest.mark.django_db
def test_very_many_are_found_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    written = [submit("CHG-1", "The disk is full"), submit("DISK-2"), submit("", "disk")]
    assert MOST_NAMED >= 500
    monkeypatch.setattr("audit.ledger.wording.MOST_NAMED", 1)
    assert found("disk") == written[::-1]
    assert found("disk", people=(ADA.object_id,)) == written[::-1]
    assert count(EventFilter(words="disk")) == 3


@pytest.mark.django_db
def test_common_words_are_found_by_trying_as_by_their_index(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ("The disk is full", "The disk is new", "Nothing of it")
    for number in range(30):
        submit("DISK" if number % 7 == 0 else "", texts[number % 3])
    pages: dict[int, list[list[int]]] = {}
    for common in (10**6, 2):  # never, and with two among the newest thousand
        monkeypatch.setattr(reading, "COMMON", common)
        pages[common] = []
        for words in ("disk", "full dis", "elsewhere"):
            before, ids = None, []
            while True:
                page = events(EventFilter(words=words, people=(ADA.object_id,)), before=before, limit=4)
                ids += [entry.event.id for entry in page.entries]
                if (before := page.older) is None:
                    break
            assert ids == sorted(set(ids), reverse=True)
            pages[common].append(ids)
    assert pages[2] == pages[10**6]
    assert [len(ids) for ids in pages[2]] == [21, 10, 0]
    assert opening(EventFilter(words="disk"))[1].counted == 21
    assert not opening(EventFilter(words="disk"))[1].cut
    monkeypatch.setattr(reading, "MOST_TRIED_WORDED", 9)
    assert (opening(EventFilter(words="disk"))[1].counted, opening(EventFilter(words="disk"))[1].cut) == (
        9,
        True,
    )


@pytest.mark.django_db
def test_of_rare_words_the_newest_are_counted_and_it_is_known_how_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = [submit("CHG-1", "The disk is full"), submit("DISK-2"), submit("", "disk")]
    monkeypatch.setattr(reading, "MOST_WORDED", 2)
    monkeypatch.setattr(reading, "PAGE", 2)
    for wanted in (EventFilter(words="disk"), EventFilter(words="disk", people=(ADA.object_id,))):
        with CaptureQueriesContext(connection) as captured:
            page, facets = opening(wanted)
        assert [entry.event.id for entry in page.entries] == written[:0:-1]
        assert page.older is not None
        assert (facets.counted, facets.cut, facets.total) == (2, True, 3)
        assert facets.values["type"] == [("request.submitted", 2)]
        # Their index is asked once for the page and the facets.
        assert sum("AS referred" in query["sql"] for query in captured) == 1
    page, facets = opening(EventFilter(words="full"))
    assert [entry.event.id for entry in page.entries] == written[:1]
    assert (facets.counted, facets.cut, facets.total) == (1, False, 1)
    assert opening(EventFilter(words="full", people=("somebody",)))[1].total == 0


@pytest.mark.django_db
def test_events_that_can_have_no_words_are_not_looked_at() -> None:
    submit("CHG-1", "The disk is full")
    assert "request.submitted" in worded_types(())
    assert worded_types(("grant.ended", "request.submitted", "of.once")) == ("request.submitted", "of.once")
    assert events(EventFilter(words="disk", types=("grant.ended",))).entries == []


def test_erased_words_are_found_no_more(committed_db: str, postgres_server: PostgresServer) -> None:
    event = submit("CHG-7", "The disk is full")
    assert found("disk") == [event]
    with psycopg.connect(postgres_server.conninfo("portal_owner", committed_db), autocommit=True) as owner:
        owner.execute("DELETE FROM audit_pii WHERE event_id = %s", [event])
        owner.execute("VACUUM audit_pii")
        (left,) = owner.execute("SELECT reltuples FROM pg_class WHERE relname = 'audit_pii_words'").fetchall()
    assert left == (0,)
    assert found("disk") == []
    assert found("chg-7") == [event]


@pytest.mark.django_db
def test_no_text_is_too_long_to_be_kept() -> None:
    event = submit("", "first " + " ".join(f"{n:x}word" for n in range(200_000)))
    assert found("first") == [event]


def test_everything_that_people_write_is_searched() -> None:
    declared = {name for each in registered().values() for name in each.words}
    assert declared - set(SEARCHED_WORDS) <= {
        "filter",  # of an export: as its address had it
        "name",  # of a saved search: its owner's note
    }


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30))
def test_no_text_breaks_the_search(text: str) -> None:
    try:
        wanted = EventFilter(words=text)
    except Invalid:
        return
    assert count(wanted) == 0 or not text.strip()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text", ["a' | 'b", "x:* & !y", "\\'x", "a <-> b", "(x", "'); DROP TABLE x --", "%s %%"]
)
def test_the_syntax_of_queries_is_not_understood(text: str) -> None:
    submit("", "nothing of it")
    assert found(text) == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_what_is_no_word_or_too_many() -> None:
    assert terms_of("") == []
    assert terms_of("CHG-123, O'Neill") == ["CHG", "123", "O", "Neill"]
    with pytest.raises(Invalid, match="Write a word"):
        terms_of("-- !")
    with pytest.raises(Invalid, match="At most 10 words"):
        terms_of("a " * 11)
