"""Reading: what a filter finds, in which order, at which cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_subatomic.db import transaction
from pytest_django import DjangoAssertNumQueries, DjangoDbBlocker

from audit.ledger import reading
from audit.ledger.models import Event
from audit.ledger.reading import MOST_VALUES, EventFilter, Position, count, events, events_of_request
from audit.ledger.recorder import Actor
from audit.ledger.sentences import sentence
from base.clock import real_now
from base.errors import Invalid
from tests.audit.ledger.bulk import fill
from tests.audit.ledger.factories import ADA, ask, note
from tests.support.servers import DEFAULT_ROLE, PostgresServer, pointed_at

MANY = 20_000
GRACE = Actor.person("00000000-0000-4000-8000-000000009ace", "Grace Hopper")


@pytest.fixture(scope="module")
def many_events(
    postgres_server: PostgresServer, django_db_blocker: DjangoDbBlocker, worker_id: str
) -> Iterator[None]:
    """A database with twenty thousand events, for the tests of this module that only read."""
    name = f"portal_{worker_id}_many_events"
    postgres_server.clone(name)
    fill(postgres_server, name, MANY)
    with django_db_blocker.unblock(), pointed_at(postgres_server, name, step_into=DEFAULT_ROLE):
        yield
    postgres_server.drop(name)


# --- what is found


@pytest.mark.django_db
def test_newest_first_in_pages_without_gap_or_repetition() -> None:
    written = [note(f"{number}") for number in range(7)]
    read: list[int] = []
    before: Position | None = None
    while True:
        page = events(EventFilter(), before=before, limit=3)
        read += [entry.event.id for entry in page.entries]
        if page.older is None:
            break
        before = Position.parse(str(page.older))
        assert before == page.older
    assert read == written[::-1]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text", ["", "1", "x-1", "1-x", "-1-1", "9" * 30 + "-1", "1-1; DROP", "\u0661-\u0662"]
)
def test_a_position_that_is_none_is_none(text: str) -> None:
    position = Position.parse(text)
    assert position is None or events(EventFilter(), before=position).entries == []


@pytest.mark.django_db
def test_a_person_is_found_as_actor_and_as_the_one_concerned_and_only_once() -> None:
    with transaction():
        both = ask(actor=ADA)
    by_grace = note(actor=GRACE)
    by_ada = note(actor=ADA)
    with transaction():
        of_grace = ask(actor=ADA, about=GRACE)
    found = events(EventFilter(people=(ADA.object_id,))).entries
    assert [entry.event.id for entry in found] == [of_grace, by_ada, both]
    of_both = EventFilter(people=(ADA.object_id, GRACE.object_id))
    pages = [events(of_both, limit=2)]
    while (older := pages[-1].older) is not None:
        pages.append(events(of_both, before=older, limit=2))
    assert [entry.event.id for page in pages for entry in page.entries] == [of_grace, by_ada, by_grace, both]
    worded = EventFilter(people=of_both.people, words="disk")
    assert [entry.event.id for entry in events(worded).entries] == [of_grace, both]
    assert (count(of_both), count(worded)) == (4, 2)
    for wanted, expected in (
        (EventFilter(actors=(GRACE.object_id,)), [by_grace]),
        (EventFilter(actors=(GRACE.object_id, ADA.object_id)), [of_grace, by_ada, by_grace, both]),
        (EventFilter(actors=(ADA.object_id,), people=(GRACE.object_id,)), [of_grace]),
        (EventFilter(actors=(GRACE.object_id,), words="disk"), []),
    ):
        assert [entry.event.id for entry in events(wanted).entries] == expected
    assert events(EventFilter(people=("nobody",))).entries == []


@pytest.mark.django_db
def test_kinds_of_filter_are_joined() -> None:
    with transaction():
        asked = ask(actor=ADA)
    note(actor=ADA)
    wanted = EventFilter(people=(ADA.object_id,), types=("trial.asked", "trial.refused"), outcome="done")
    assert [entry.event.id for entry in events(wanted).entries] == [asked]
    assert events(EventFilter(types=("trial.asked",), outcome="refused")).entries == []
    assert count(wanted) == 1
    now = real_now()
    minute = timedelta(minutes=1)
    assert count(EventFilter(since=now - minute, until=now + minute)) == 2
    assert count(EventFilter(until=now - minute)) == 0


@pytest.mark.django_db
def test_a_case_is_told_from_its_beginning() -> None:
    request_id, grant_id = uuid4(), uuid4()
    with transaction():
        first = ask(request_id=request_id)
        ask(request_id=uuid4())
        second = ask(request_id=request_id)
    told = events_of_request(request_id, grant_ids=[grant_id])
    assert [entry.event.id for entry in told] == [first, second]
    assert [entry.event.id for entry in events_of_request(request_id, limit=1)] == [second]


@pytest.mark.django_db
def test_sentences_have_names_words_and_values() -> None:
    with transaction():
        ask(words="Disk is full")
    note(actor=Actor.system())
    noted, asked = events(EventFilter()).entries
    assert sentence(asked) == "Ada Lovelace asked for Storage for 1:00:00: Disk is full"
    assert sentence(noted) == "The portal noted something"
    assert asked.texts["mail"] == "ada@example.org"


@pytest.mark.django_db
def test_an_event_that_is_no_longer_declared_is_still_shown() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_event (canon) VALUES (%s)",
            [
                Event.objects.get(id=note()).canon.replace("trial.noted", "trial.forgotten"),
            ],
        )
    assert sentence(events(EventFilter()).entries[0]) == "trial.forgotten (no longer declared)"


def test_erased_words_and_false_words_are_not_shown_as_somebodys(
    committed_db: str, postgres_server: PostgresServer
) -> None:
    with transaction():
        ask(words="Disk is full")
    with psycopg.connect(postgres_server.conninfo("portal_owner", committed_db), autocommit=True) as owner:
        owner.execute("DELETE FROM audit_pii WHERE field IN ('justification', 'actor')")
        owner.execute("ALTER TABLE audit_pii DISABLE TRIGGER audit_pii_unchanged")
        owner.execute("UPDATE audit_pii SET words = 'mallory@example.org' WHERE field = 'mail'")
    (entry,) = events(EventFilter()).entries
    assert entry.erased == {"justification", "actor"}
    assert "mail" not in entry.texts
    assert sentence(entry) == f"{ADA.object_id} asked for Storage for 1:00:00: (erased)"


# --- what it costs

FILTERS: dict[str, Any] = {
    "everything": EventFilter,
    "a person": lambda: EventFilter(people=("person-7",)),
    "some people": lambda: EventFilter(people=tuple(f"person-{number}" for number in range(MOST_VALUES))),
    "an actor": lambda: EventFilter(actors=("person-7",)),
    "nobody": lambda: EventFilter(people=("absent",)),
    "a group": lambda: EventFilter(groups=("group-3",)),
    "an absent group": lambda: EventFilter(groups=("absent",)),
    "a common type": lambda: EventFilter(types=("trial.noted",)),
    "an address": lambda: EventFilter(address="192.0.2.7"),
    "an absent address": lambda: EventFilter(address="198.51.100.7"),
    "a rare type": lambda: EventFilter(types=("trial.refused",)),
    "two types": lambda: EventFilter(types=("trial.refused", "trial.asked")),
    "an absent type": lambda: EventFilter(types=("trial.never",)),
    "a rare outcome": lambda: EventFilter(outcome="refused"),
    "a common outcome": lambda: EventFilter(outcome="done"),
    "a day long ago": lambda: EventFilter(
        since=real_now() - timedelta(days=200), until=real_now() - timedelta(days=199)
    ),
    "a person on a day": lambda: EventFilter(
        people=("person-7",), since=real_now() - timedelta(days=200), until=real_now() - timedelta(days=190)
    ),
    "a person's refusals": lambda: EventFilter(people=("person-0",), outcome="refused"),
}


@pytest.mark.usefixtures("many_events")
@pytest.mark.parametrize("what", FILTERS)
@pytest.mark.parametrize("depth", ["first page", "middle"])
def test_every_filter_is_served_by_an_index(what: str, depth: str) -> None:
    before = Position(real_now() - timedelta(days=180), 0) if depth == "middle" else None
    with CaptureQueriesContext(connection) as captured:
        events(FILTERS[what](), before=before)
    reads = [query["sql"] for query in captured if "audit_event" in query["sql"]]
    assert reads
    for statement in reads:
        plan = explain(statement)
        assert not list(scans_of_whole_partitions(plan)), plan


@pytest.mark.usefixtures("many_events")
def test_a_page_costs_the_same_queries_however_full(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for wanted in (
        EventFilter(),
        EventFilter(people=("person-7", "person-8")),
        EventFilter(types=("trial.never",)),
    ):
        with django_assert_max_num_queries(6):  # BEGIN, timeout, keys, events, words, COMMIT
            events(wanted)


@pytest.mark.usefixtures("many_events")
def test_a_case_is_found_by_its_indexes() -> None:
    request_id = UUID(hashlib.md5(b"request5", usedforsecurity=False).hexdigest())
    grant_id = UUID(hashlib.md5(b"grant5", usedforsecurity=False).hexdigest())
    with CaptureQueriesContext(connection) as captured:
        told = events_of_request(request_id, grant_ids=[grant_id])
    assert len(told) == 10
    for query in captured:
        if "audit_event" in query["sql"]:
            assert not list(scans_of_whole_partitions(explain(query["sql"])))


@pytest.mark.usefixtures("many_events")
def test_counts_are_capped() -> None:
    assert count(EventFilter()) == 10_001
    assert count(EventFilter(people=("person-7",))) < 500
    with CaptureQueriesContext(connection) as captured:
        count(EventFilter(people=("person-7", "person-8")))
    assert all("LIMIT 10001" in query["sql"] for query in captured if "COUNT" in query["sql"])


@pytest.mark.usefixtures("many_events")
def test_a_search_that_takes_too_long_is_stopped_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "STATEMENT_TIMEOUT", timedelta(milliseconds=1))
    with pytest.raises(Invalid, match="Name a person, or a shorter time"):
        count(EventFilter())
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")  # the limit was that transaction's own
        assert cursor.fetchone() != ("1ms",)


def test_a_filter_takes_so_many_values_and_no_others() -> None:
    with pytest.raises(Invalid):
        EventFilter(people=tuple(str(number) for number in range(MOST_VALUES + 1)))
    with pytest.raises(Invalid):
        EventFilter(outcome="done' OR 1=1")


def explain(statement: str) -> dict[str, Any]:
    """The executed plan of a captured statement."""
    with connection.cursor() as cursor:
        cursor.execute("SET random_page_cost = 1.1")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, BUFFERS OFF) {statement.replace('%', '%%')}", [])
        ((plans,),) = cursor.fetchall()
    found = plans if isinstance(plans, list) else json.loads(plans)
    plan: dict[str, Any] = found[0]["Plan"]
    return plan


def scans_of_whole_partitions(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Sequential scans that read a partition with many events in it, and walks that threw most of it away."""
    if plan.get("Relation Name", "").startswith("audit_event"):
        wasted = plan.get("Rows Removed by Filter", 0)
        if (plan["Node Type"] == "Seq Scan" and plan["Actual Rows"] + wasted > 1_000) or wasted > MANY / 4:
            yield plan
    for below in plan.get("Plans", []):
        yield from scans_of_whole_partitions(below)
