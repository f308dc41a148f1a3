"""What the timeline's filters by words and through requests cost with many thousands of events, texts and scopes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker, Settings

from audit.history import searching
from audit.history.searching import timeline
from audit.ledger import reading
from audit.ledger.models import Event, PersonalWords
from audit.ledger.reading import Position
from identity.models import AppRole, Person, User
from tests.audit.history.fuzzing import INTERNALS, PAGES, Asker, View, addresses
from tests.audit.history.test_as_of import nodes
from tests.audit.ledger.bulk import fill
from tests.audit.ledger.test_reading import explain, scans_of_whole_partitions
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer, pointed_at

MANY = 20_000
NOTHING: dict[str, Any] = {
    "person": "",
    "permission_set": "",
    "account": "",
    "group": "",
    "types": (),
    "outcome": "",
    "since": None,
    "until": None,
    "words": "",
}


@pytest.fixture(scope="module")
def many_requests(
    postgres_server: PostgresServer, django_db_blocker: DjangoDbBlocker, worker_id: str
) -> Iterator[None]:
    """Twenty thousand events of two thousand requests, whose scopes are forty thousand rows."""
    name = f"portal_{worker_id}_many_requests"
    postgres_server.clone(name)
    fill(postgres_server, name, MANY)
    with django_db_blocker.unblock():
        with pointed_at(postgres_server, name, step_into="portal_worker"):
            person, group = make.person("Ada Asker"), make.pim_group("AWS - Group")
            version = make.terms(make.rule(person))
        _fill_scopes(postgres_server, name, person.pk, group.pk, version.pk)
        _fill_words(postgres_server, name)
        # As after some time: Postgres knows how many rows there are.
        with psycopg.connect(postgres_server.conninfo("postgres", name), autocommit=True) as direct:
            direct.execute("ANALYZE")
        with pointed_at(postgres_server, name, step_into="portal_web"):
            yield
    postgres_server.drop(name)


def _fill_scopes(server: PostgresServer, name: str, person: int, group: int, version: int) -> None:
    """Written as the superuser past the guards: these requests only have to be there."""
    keys = {"person": person, "group": group, "version": version}
    with psycopg.connect(server.conninfo("postgres", name), autocommit=True) as direct:
        # Not even a superuser's replication session gets past the guards; the throwaway tables lose them.
        for table in ("accessrequest", "requestitem", "requestscope"):
            direct.execute(f"ALTER TABLE requests_app_{table} DISABLE TRIGGER USER".encode())
        direct.execute(
            "INSERT INTO requests_app_accessrequest (id, version, requester_id, justification, reference,"
            " created_at, created_real_at) SELECT md5('request' || n)::uuid, 1, %(person)s, 'x', '', now(), now()"
            " FROM generate_series(0, 1999) AS n",
            keys,
        )
        direct.execute(
            "INSERT INTO requests_app_requestitem (id, request_id, requester_id, group_id, duration, status, version,"
            " stage, terms_id, scope_hash, longest_session, created_at, lapses_at, decided_at,"
            " close_reason)"
            " SELECT md5('item' || n)::uuid, md5('request' || n)::uuid, %(person)s, %(group)s, interval '1 hour',"
            " 'denied', 2, 0, %(version)s, '', interval '1 hour', now(), now(), now(), ''"
            " FROM generate_series(0, 1999) AS n",
            keys,
        )
        direct.execute(
            "INSERT INTO requests_app_requestscope (item_id, account_id, account_name, permission_set_arn,"
            " permission_set_name, session_duration)"
            " SELECT md5('item' || n)::uuid, lpad(((n * 13 + m) % 200)::text, 12, '0'), 'account',"
            " 'arn:' || kind, kind, interval '1 hour'"
            " FROM generate_series(0, 1999) AS n, generate_series(1, 20) AS m,"
            " LATERAL (SELECT CASE WHEN n % 500 = 0 AND m = 1 THEN 'Rare' ELSE 'Common' END AS kind) AS k"
        )
        direct.execute(
            "INSERT INTO catalog_organizationalunit (unit_id, name, path, present) VALUES"
            " ('r-ab12', 'Everything', '', true), ('ou-ab12-0000000a', 'One', '', true)"
        )
        direct.execute(
            "INSERT INTO catalog_awsaccount (account_id, name, email, state, tags, present, unit_id)"
            " SELECT lpad(n::text, 12, '0'), 'account ' || n, '', 'ACTIVE', '{}', true, unit.id"
            " FROM generate_series(0, 199) AS n JOIN catalog_organizationalunit unit"
            " ON unit.unit_id = CASE WHEN n = 17 THEN 'ou-ab12-0000000a' ELSE 'r-ab12' END"
            " ON CONFLICT (account_id) DO UPDATE SET unit_id = excluded.unit_id"
        )
        for kind in ("Rare", "Common"):
            direct.execute(
                "INSERT INTO catalog_permissionset (arn, name, description, session_duration, relay_state,"
                " managed_policies, customer_managed_policies, inline_policy, permissions_boundary, tags, summary,"
                " content_hash, present) VALUES (%s, %s, '', interval '1 hour', '', '[]', '[]', '', '', '{}', '',"
                " '', true)",
                [f"arn:{kind}", kind],
            )
        direct.execute("ANALYZE")


def _fill_words(server: PostgresServer, name: str) -> None:
    """What somebody wrote, beside three quarters of the events; one in 500 of them says something rare."""
    with psycopg.connect(server.conninfo("portal_owner", name), autocommit=True) as owner:
        owner.execute("ALTER TABLE audit_pii DISABLE TRIGGER audit_pii_event")
        owner.execute(
            "INSERT INTO audit_pii (event_id, field, salt, words) SELECT id, 'justification', '0123456789abcdef',"
            " 'The common disk is full' || CASE WHEN id % 500 = 0 THEN ', rarely' ELSE '' END"
            " FROM audit_event WHERE id % 4 <> 1"
        )
        owner.execute("ANALYZE audit_pii")


# For these, nothing has to be looked for in the trail at all.
EMPTY = {
    "an unused account",
    "both",
    "an absent word",
    "a rare word of a person's",
    "a common word and an unused account",
}
FILTERS: dict[str, dict[str, Any]] = {
    "a rare permission set": {"permission_set": "Rare"},
    "a common permission set": {"permission_set": "Common"},
    "a permission set by its ARN": {"permission_set": "arn:Rare"},
    "an account": {"account": "000000000017"},
    "an unused account": {"account": "999999999999"},
    "both": {"account": "000000000013", "permission_set": "Rare"},
    "a rare word": {"words": "rare"},
    "a common word": {"words": "common disk"},
    "an absent word": {"words": "nowhere"},
    "a rare word of a person's": {"words": "rarely", "person": "00000000-0000-4000-8000-00000000aaaa"},
    "a common word and an account": {"words": "disk", "account": "000000000017"},
    "an OU of every account": {"unit": "Everything"},
    "an OU of one account": {"unit": "ou-ab12-0000000a", "words": "rare"},
    "a common word and an unused account": {"words": "disk", "account": "999999999999"},
    "an account and a type": {"account": "000000000017", "types": ("trial.asked",)},
}


def whole_reads_of_words(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Sequential scans of what people wrote."""
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] == "audit_pii":
        yield plan
    for below in plan.get("Plans", []):
        yield from whole_reads_of_words(below)


@pytest.mark.usefixtures("many_requests")
@pytest.mark.parametrize("what", FILTERS)
@pytest.mark.parametrize("deep", [False, True])
def test_filters_beside_the_events_are_served_by_indexes(what: str, deep: bool, settings: Settings) -> None:
    settings.ENTRA_TENANT_ID = make.TENANT
    before = Position(datetime.now(UTC) - timedelta(days=180), 0) if deep else None
    with CaptureQueriesContext(connection) as captured:
        timeline({**NOTHING, **FILTERS[what]}, before)
    reads = [
        query["sql"] for query in captured if "audit_event" in query["sql"] or "audit_pii" in query["sql"]
    ]
    assert reads or what in EMPTY
    for statement in reads:
        plan = explain(statement)
        # A word that most texts have is read from the texts until enough is found; any other from its index.
        assert "common" in what or not list(whole_reads_of_words(plan)), plan
        # A count up to ten thousand of twenty thousand may read them all.
        assert "COUNT(" in statement or not list(scans_of_whole_partitions(plan)), plan


@pytest.mark.usefixtures("many_requests")
def test_a_persons_events_are_tried_as_they_are_walked() -> None:
    """Of somebody's two thousand events no more are read than it takes: nothing has to be sorted or told apart first."""
    people = ("person-1", "person-2")
    wanted = reading.EventFilter(people=people, words="disk")
    with CaptureQueriesContext(connection) as captured:
        found = reading.events(wanted).entries
    assert len(found) == reading.PAGE
    worded = PersonalWords.objects.filter(words__contains="disk").values("event_id")
    naively = (
        Event.objects.filter(Q(actor_oid__in=people) | Q(about_oid__in=people), id__in=worded)
        .order_by("-at", "-id")
        .values_list("id", flat=True)[: reading.PAGE]
    )
    assert [entry.event.id for entry in found] == list(naively)
    (tried,) = [query["sql"] for query in captured if "candidates AS" in query["sql"]]
    plan = list(nodes(explain(tried)))
    assert not [node for node in plan if node["Node Type"] == "Unique" or node.get("Strategy") == "Hashed"], (
        plan
    )
    assert "Merge Append" in {node["Node Type"] for node in plan}


# How many requests are named, and how many rows of scope are gathered at once, before it is done another way.
WAYS = {"named": (500, 10_000), "gathered": (1, 10_000), "each looked up": (1, 1)}


@pytest.mark.usefixtures("many_requests")
@pytest.mark.parametrize("types", [(), ("trial.asked",), ("trial.asked", "trial.noted")])
def test_requests_of_an_account_are_found_alike_in_every_way(
    types: tuple[str, ...], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ENTRA_TENANT_ID = make.TENANT
    wanted = {**NOTHING, "account": "000000000017", "types": types}
    found = {}
    for way, (named, gathered) in WAYS.items():
        monkeypatch.setattr(searching, "MOST_NAMED", named)
        monkeypatch.setattr(searching, "MOST_GATHERED", gathered)
        first = timeline(wanted, None)
        assert first.older
        second = timeline(wanted, first.older)
        found[way] = [row.id for page in (first, second) for row in page.rows]
    assert found["named"] == found["gathered"] == found["each looked up"]
    assert len(found["named"]) == 100


@pytest.mark.usefixtures("many_requests")
def test_beside_common_words_requests_are_gathered_once_and_the_same_is_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ENTRA_TENANT_ID = make.TENANT
    wanted = {**NOTHING, "account": "000000000017", "words": "disk"}
    named = timeline(wanted, None)
    assert len(named.rows) == reading.PAGE
    monkeypatch.setattr(searching, "MOST_NAMED", 1)
    with CaptureQueriesContext(connection) as captured:
        gathered = timeline(wanted, None)
    assert [row.id for row in gathered.rows] == [row.id for row in named.rows]
    assert (gathered.counted, gathered.cut) == (reading.MOST_TRIED_WORDED, True)
    assert (gathered.counted, gathered.facets) == (named.counted, named.facets)
    tried = [query["sql"] for query in captured if "WITH gathered" in query["sql"]]
    # A sample, what page and facets show, and how many were tried: all at once.
    assert len(tried) == 1
    for statement in tried:
        plan = list(nodes(explain(statement)))
        walks = [
            node for node in plan if node["Node Type"] == "CTE Scan" and node.get("CTE Name") == "gathered"
        ]
        scopes = [node for node in plan if node.get("Relation Name") == "requests_app_requestscope"]
        assert len(walks) > len(scopes) == 1, plan
        assert not list(scans_of_whole_partitions(explain(statement)))


@pytest.mark.usefixtures("many_requests")
def test_events_of_many_requests_are_counted_up_to_a_bound(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ENTRA_TENANT_ID = make.TENANT
    wanted = {**NOTHING, "account": "000000000017"}
    named = timeline(wanted, None)
    assert named.counted
    assert not named.cut
    monkeypatch.setattr(searching, "MOST_NAMED", 1)
    monkeypatch.setattr(reading, "MOST_WORDED", named.counted)
    gathered = timeline(wanted, None)
    assert (gathered.counted, gathered.facets, gathered.cut) == (named.counted, named.facets, False)
    monkeypatch.setattr(reading, "MOST_WORDED", 9)
    cut = timeline(wanted, None)
    assert (cut.counted, cut.cut) == (9, True)


@pytest.mark.usefixtures("many_requests")
def test_the_newest_are_counted_however_postgres_would_join(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which way is the quickest differs with what it knows of the tables; here each is forbidden in turn."""
    settings.ENTRA_TENANT_ID = make.TENANT
    monkeypatch.setattr(reading, "MOST_WORDED", 9)
    wanted = searching.event_filter({**NOTHING, "permission_set": "Common"})
    page = reading.events(wanted).entries[:9]
    newest = Counter(entry.event.type for entry in page)
    for ways in ((), ("nestloop",), ("hashjoin",), ("nestloop", "hashjoin"), ("hashjoin", "mergejoin")):
        with connection.cursor() as cursor:
            for way in ways:
                cursor.execute(f"SET enable_{way} = off")
            tried = reading.opening(wanted)[1]
            for way in ways:
                cursor.execute(f"RESET enable_{way}")
        assert (tried.counted, tried.cut, dict(tried.values["type"])) == (9, True, newest), ways


@pytest.mark.usefixtures("many_requests")
@pytest.mark.parametrize("types", [(), ("trial.asked",)])
def test_many_requests_are_gathered_once_and_looked_for_in_an_index_alone(
    types: tuple[str, ...], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ENTRA_TENANT_ID = make.TENANT
    monkeypatch.setattr(searching, "MOST_NAMED", 1)
    wanted = searching.event_filter({**NOTHING, "account": "000000000017", "types": types})
    with CaptureQueriesContext(connection) as captured:
        assert len(reading.events(wanted).entries) == reading.PAGE
    walks = [query["sql"] for query in captured if "CASE WHEN" in query["sql"]]
    assert walks
    for walk in walks:
        plan = list(nodes(explain(walk)))
        reads = {
            node["Node Type"] for node in plan if node.get("Relation Name", "").startswith("audit_event")
        }
        assert reads == {"Index Only Scan"}, plan


# --- Whatever somebody writes into an address


@pytest.fixture
def asker(many_requests: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Asker:
    for views in ("audit.history.views", "audit.controls.views"):
        monkeypatch.setattr(f"{views}.spend", lambda *_: None)  # nobody slows this auditor down
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.ENTRA_TENANT_ID = make.TENANT
    person = Person.objects.get(display_name="Ada Asker")
    return Asker(User(person=person, subject="auditor", app_roles=[AppRole.AUDITOR]))


def _try(asker: Asker, seed: int, number: int) -> None:
    """Every answer is a page or a refusal on its form, and nothing reaches the limit of a statement."""
    answers: Counter[int] = Counter()
    for path, view, query in addresses(seed, number):
        answer = asker.ask(path, view, query)
        body = answer.content.decode()
        answers[answer.status_code] += 1
        assert answer.status_code in (200, 422), f"{path}?{query}"
        assert "was stopped" not in body, f"{path}?{query} took too long"
        assert "<script>alert" not in body, f"{path}?{query}"
        assert "onerror=alert(1)>" not in body, f"{path}?{query}"
    assert min(answers[200], answers[422]) > number / 10, answers


def test_no_address_breaks_a_search(asker: Asker) -> None:
    _try(asker, seed=4, number=100)


@pytest.mark.proof
def test_ten_thousand_addresses_break_no_search(asker: Asker) -> None:
    _try(asker, seed=2_026, number=10_000)


@pytest.mark.parametrize(("path", "view"), [each[:2] for each in PAGES], ids=[each[0] for each in PAGES])
def test_what_a_page_does_not_know_changes_nothing_of_what_it_asks(
    asker: Asker, path: str, view: View
) -> None:
    def asked(query: str) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert asker.ask(path, view, query).status_code == 200
        # Times of now differ from one to the next, and so do names of savepoints.
        return [re.sub(r"'[^']*'|\bs\d+_x\d+", "?", each["sql"]) for each in captured]

    plain = asked("since=2026-05-01" if path == "/audit/" else "")
    assert plain
    junk = "&".join(f"{name}=x" for name in INTERNALS)
    assert asked(f"since=2026-05-01&{junk}" if path == "/audit/" else junk) == plain
