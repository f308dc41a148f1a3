"""The API for auditors' programs: what it gives, to whom, and that it is as its description says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.test import Client
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # no types published
from openapi_spec_validator import validate
from pytest_django import Settings

from audit.api import tokens as making
from audit.api.models import ApiToken, Scope
from audit.api.openapi import description
from audit.api.tokens import digest_of, make_token
from audit.history import searching
from audit.ledger import reading
from audit.ledger.models import Event, PersonalWords
from audit.ledger.registry import LedgerError
from base.clock import real_now
from base.errors import TooOften
from identity.models import Person, User
from requests_app.lifecycle import GrantStatus
from requests_app.models import RequestItem
from tests.audit.history.conftest import AsRole, browser_of
from tests.audit.ledger.factories import note
from tests.pages.moving import bring, decide
from tests.requests_app import factories as make

pytestmark = pytest.mark.django_db
READS = ("/api/v1/events", "/api/v1/as-of", "/api/v1/cases/00000000-0000-4000-8000-000000000000")


@pytest.fixture
def olga(db: None, as_role: AsRole) -> Person:
    person = make.person("Olga Auditor")
    with as_role("portal_web"):
        make.login(person, "Auditor")
    return person


def token_of(owner: Person, *scopes: str, lasts: timedelta = timedelta(days=1)) -> str:
    made = make_token(owner=owner, name="SIEM", scopes=scopes, lasts=lasts, actor=make.actor(owner))
    return made.text


class Program:
    """An auditor's program: it has a token and no session."""

    def __init__(self, token: str) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {token}"} if token else {})

    def read(self, address: str, status: int = 200) -> dict[str, Any]:
        answer = self.client.get(address)
        assert answer.status_code == status, answer.content
        assert answer["Cache-Control"] == "no-store"
        assert answer["Content-Type"] == ("application/json" if status == 200 else "application/problem+json")
        found: dict[str, Any] = answer.json()
        assert_as_described(found, "Problem" if status != 200 else schema_at(address))
        return found


def schema_at(address: str) -> str:
    path = address.partition("?")[0]
    return (
        "Case"
        if "/cases/" in path
        else {"events": "Events", "as-of": "AsOf"}.get(path.rpartition("/")[2], "Description")
    )


def assert_as_described(found: dict[str, Any], schema: str) -> None:
    document = description() | {"$ref": f"#/components/schemas/{schema}"}
    errors = [
        f"{each.json_path}: {each.message}" for each in Draft202012Validator(document).iter_errors(found)
    ]
    assert errors == []


@pytest.fixture
def program(olga: Person, as_role: AsRole) -> Iterator[Program]:
    with as_role("portal_web"):
        yield Program(token_of(olga, *Scope.values))


@pytest.fixture
def item(as_role: AsRole) -> RequestItem:
    ada, ben = make.person("Ada Asker"), make.person("Ben Boss")
    group = make.pim_group("AWS - Amazon EC2 Admin")
    rule = make.rule(ben)
    with as_role("portal_web"):
        asked = make.pending_item(ada, group, rule)
    decide(asked, ben, "approve", as_role)
    bring(make.scheduled_grant(asked), GrantStatus.ACTIVE)
    return asked


def test_the_description_is_valid_and_names_what_the_pages_take() -> None:
    document = description()
    validate(document)
    assert {list(each) == ["get"] for each in document["paths"].values()} == {True}, "it only reads"
    names = {each["name"] for each in document["paths"]["/api/v1/events"]["get"]["parameters"]}
    assert {"person", "words", "action", "since", "before"} <= names


def test_a_program_follows_a_case_through_all_that_there_is(item: RequestItem, program: Program) -> None:
    found = program.read("/api/v1/events?person=Ada&action=item.requested")["events"]
    assert [each["type"] for each in found] == ["item.requested"]
    case = program.read(f"/api/v1/cases/{found[0]['request_id']}")
    assert case["requester_name"] == "Ada Asker"
    assert case["items"][0]["grant"]["status"] == "active"
    assert "decision.counted" in [each["type"] for each in case["events"]]
    [access] = program.read("/api/v1/as-of?group=AWS")["accesses"]
    assert access["person_name"] == "Ada Asker"
    assert access["request_ids"] == [case["request_id"]]
    assert access["in_entra"]["held"] == "yes"
    assert program.read("/api/v1/openapi.json")["openapi"] == "3.1.0"


def test_pages_follow_each_other_without_a_gap(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = reading.events
    monkeypatch.setattr(reading, "events", lambda wanted, before: reader(wanted, before=before, limit=2))
    for number in range(5):
        note(str(number))
    address, seen = "/api/v1/events?person=Ada&action=trial.noted", []
    monkeypatch.setattr(searching, "people_named", lambda *_: ())
    while address:
        page = program.read(address)
        seen += [each["facts"]["note"] for each in page["events"]]
        address = page["next"]
    assert seen == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    ("address", "field", "words"),
    [
        ("/api/v1/events?since=yesterday", "since", "Write a date and a time"),
        ("/api/v1/events?action=nothing.such", "action", "Select a valid choice"),
        ("/api/v1/events?persn=Ada", "persn", "no such parameter"),
        ("/api/v1/events?person=Nobody", "person", "No people have this name"),
        ("/api/v1/events?before=x", "before", "no place in the trail"),
        ("/api/v1/as-of?at=2199-01-01", "at", "has not come yet"),
        ("/api/v1/as-of?after=x", "after", "no grant's id"),
    ],
)
def test_a_filter_that_can_not_be_used_is_refused_and_finds_nothing(
    address: str, field: str, words: str, program: Program
) -> None:
    problem = program.read(address, 422)
    assert words in problem["errors"][field][0]
    assert words in problem["detail"]


def test_a_case_of_nothing_is_not_there(program: Program) -> None:
    assert program.read(f"/api/v1/cases/{uuid4()}", 404)["detail"] == "There is no such request."


@pytest.mark.parametrize("address", READS)
def test_without_a_token_that_counts_nothing_opens(address: str, olga: Person, as_role: AsRole) -> None:
    with as_role("portal_web"):
        good = token_of(olga, *Scope.values)
        for token in ("", "apt_guessed", digest_of(good)):
            assert "WWW-Authenticate" in Program(token).client.get(address).headers
            Program(token).read(address, 401)
        for header in ("Basic x", "Bearer ", f"Token {good}"):
            assert Client().get(address, headers={"Authorization": header}).status_code == 401
        browser = browser_of(olga)
        assert browser.get(address).status_code == 401, "a session is no token"
    assert not Event.objects.filter(type__in=["api.token_used", "api.refused"]).exists()


def test_a_token_opens_what_it_is_for(olga: Person, as_role: AsRole) -> None:
    with as_role("portal_web"):
        program = Program(token_of(olga, "events"))
        program.read("/api/v1/events")
        assert "isn't for “as_of”" in program.read("/api/v1/as-of", 403)["detail"]
        program.read(f"/api/v1/cases/{uuid4()}", 403)
        program.read("/api/v1/openapi.json")


def test_nothing_can_be_written(program: Program) -> None:
    for address in (*READS, "/api/v1/openapi.json"):
        for method in ("post", "put", "patch", "delete"):
            assert getattr(program.client, method)(address).status_code == 405


def test_a_token_ends(olga: Person, as_role: AsRole, time_machine_at: Any) -> None:
    with as_role("portal_web"):
        program = Program(token_of(olga, "events", lasts=timedelta(days=7)))
        time_machine_at(timedelta(days=7) - timedelta(seconds=1))
        program.read("/api/v1/events")
        time_machine_at(timedelta(days=7) + timedelta(seconds=1))
        program.read("/api/v1/events", 401)


def test_a_token_rests_until_its_owner_signs_in_again(
    olga: Person, as_role: AsRole, time_machine_at: Any, settings: Settings
) -> None:
    settings.API_SIGN_IN_WITHIN = timedelta(days=14)
    with as_role("portal_web"):
        program = Program(token_of(olga, "events", lasts=timedelta(days=60)))
        time_machine_at(timedelta(days=14) - timedelta(minutes=1))
        program.read("/api/v1/events")
        time_machine_at(timedelta(days=14) + timedelta(minutes=1))
        refused = program.read("/api/v1/events", 401)
        assert "whose owner has signed in here within the last 14 days" in refused["detail"]
        again = real_now() + timedelta(days=14)
        User.objects.filter(person=olga).update(last_login=again)  # as a sign-in does
        program.read("/api/v1/events")
        assert "within the last 14 days" in program.read("/api/v1/openapi.json")["info"]["description"]
        assert b"at least every 14 days" in browser_of(olga).get("/audit/tokens/").content


def test_what_is_refused_to_a_known_token_is_told_as_often_as_it_is_bearable(
    olga: Person, as_role: AsRole, time_machine_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> list[tuple[str | None, str]]:
        rows = [row.data for row in Event.objects.filter(type="api.refused").order_by("id")]
        assert all(row["actor"]["kind"] == "anonymous" and row["actor"]["ip"] == "127.0.0.1" for row in rows)
        assert {row["fields"]["token_id"] for row in rows} <= {token.pk}
        return [(row["fields"].get("scope"), row["fields"]["reason"]) for row in rows]

    with as_role("portal_web"):
        program = Program(token_of(olga, "events", lasts=timedelta(days=7)))
        token = ApiToken.objects.get()
        program.read("/api/v1/as-of", 403)
        assert told() == [("as_of", "It isn't for this scope.")]
        time_machine_at(timedelta(days=8))
        program.read("/api/v1/events", 401)
        program.read("/api/v1/openapi.json", 401)
        time_machine_at(timedelta(0))
        User.objects.filter(person=olga).update(last_login=None)
        program.read("/api/v1/events", 401)
        making.revoke_token(token_id=token.pk, actor=make.actor(olga))
        program.read("/api/v1/events", 401)
        assert told()[1:] == [
            ("events", "It has expired."),
            (None, "It has expired."),
            ("events", "Its owner is no auditor any more, or has not signed in for too long."),
            ("events", "It is revoked."),
        ]
        wait = TooOften("limit", "Wait.", wait=timedelta(seconds=1))
        monkeypatch.setattr(making, "spend", Mock(side_effect=wait))
        program.read("/api/v1/events", 401)
        assert len(told()) == 5


@pytest.fixture
def time_machine_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    began = real_now()
    return lambda span: monkeypatch.setattr(making, "real_now", lambda: began + span)


def test_who_is_no_auditor_any_more_has_no_token(olga: Person, program: Program, as_role: AsRole) -> None:
    program.read("/api/v1/events")
    with as_role("portal_worker"):
        Person.objects.filter(pk=olga.pk).update(enabled=False)
    program.read("/api/v1/events", 401)
    with as_role("portal_worker"):
        Person.objects.filter(pk=olga.pk).update(enabled=True)
    with as_role("portal_web"):
        make.login(olga, "Operator")
    program.read("/api/v1/events", 401)


def test_too_many_questions_in_a_minute_are_turned_away(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "MOST_A_MINUTE", 2)
    noon = real_now().replace(second=20)
    monkeypatch.setattr(making, "real_now", lambda: noon)
    program.read("/api/v1/openapi.json")
    program.read("/api/v1/openapi.json")
    assert program.read("/api/v1/openapi.json", 429)["detail"] == "Wait 40 seconds and ask again."
    assert program.client.get("/api/v1/openapi.json")["Retry-After"] == "40"
    monkeypatch.setattr(making, "real_now", lambda: noon + timedelta(seconds=40))
    program.read("/api/v1/openapi.json")


def test_the_first_use_of_a_day_is_in_the_trail(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def used() -> int:
        return Event.objects.filter(type="api.token_used").count()

    now = real_now()
    program.read("/api/v1/openapi.json")
    program.read("/api/v1/openapi.json")
    assert used() == 1
    monkeypatch.setattr(making, "real_now", lambda: now + timedelta(hours=23, minutes=59))
    program.read("/api/v1/openapi.json")
    assert used() == 2


def test_how_many_events_a_token_reads_on_a_day_is_in_the_trail_at_a_bounded_cost(
    item: RequestItem, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "FIRST_TOLD", 8)

    def told() -> list[int]:
        found = Event.objects.filter(type="api.events_read").order_by("id")
        return [each.data["fields"]["events"] for each in found]

    for _ in range(16):
        program.read("/api/v1/events?person=Ada&action=item.requested&before=")
    program.read("/api/v1/as-of?group=AWS")
    program.read("/api/v1/openapi.json")
    assert told() == [8, 16], "at so many, and each time they have doubled"
    event = Event.objects.filter(type="api.events_read").latest("id")
    words = PersonalWords.objects.get(event_id=event.id, field="filter").words
    assert (words, event.actor_oid) == ("person=Ada&action=item.requested", event.about_oid)
    counted = len(program.read(f"/api/v1/cases/{item.request_id}")["events"])
    assert ApiToken.objects.get().events_read == 16 + counted
    monkeypatch.setattr(making, "FIRST_TOLD", 1)

    def refused(*_: object, **__: object) -> None:
        raise LedgerError("No room.")

    with monkeypatch.context() as patch:
        patch.setattr(making, "record", refused)
        for _ in range(16 + counted):
            try:
                program.client.get("/api/v1/events?person=Ada&action=item.requested")
            except LedgerError:
                break
        else:
            pytest.fail("no page without its event")
    now, before = real_now(), ApiToken.objects.get().events_read
    assert before < 2 * (16 + counted), "what isn't given isn't counted"
    monkeypatch.setattr(making, "real_now", lambda: now + timedelta(hours=23, minutes=59))
    monkeypatch.setattr(making, "FIRST_TOLD", 8)
    program.read("/api/v1/events?person=Ada&action=item.requested")
    assert ApiToken.objects.get().events_read == 1


# ------------------------------------------------------------ the page


def test_an_auditor_makes_a_token_sees_it_once_and_revokes_it(auditor: Client) -> None:
    sent = {"name": "SIEM  <b>", "scopes": ["events", "cases"], "days": "30"}
    page = auditor.post("/audit/tokens/", sent).content.decode()
    [text] = set(re.findall(r"apt_[\w-]{43}", page))
    assert "<b>" not in page
    token = ApiToken.objects.get()
    assert (token.name, token.scopes, token.digest) == ("SIEM <b>", ["cases", "events"], digest_of(text))
    assert text not in auditor.get("/audit/tokens/").content.decode()
    Program(text).read("/api/v1/events")
    assert auditor.post(f"/audit/tokens/{token.pk}/revoke/").status_code == 302
    assert "Revoked" in auditor.get("/audit/tokens/").content.decode()
    Program(text).read("/api/v1/events", 401)
    assert auditor.post(f"/audit/tokens/{token.pk}/revoke/").status_code == 409
    told = Event.objects.filter(type__startswith="api.").order_by("id").values_list("type", flat=True)
    assert list(told) == ["api.token_created", "api.token_used", "api.token_revoked", "api.refused"]
    assert text not in str(list(Event.objects.values_list("canon", flat=True)))


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"scopes": ["events"], "days": "30"}, "Say what will use the token"),
        ({"name": "x", "days": "30"}, "Choose what the token is for"),
        ({"name": "x", "scopes": ["everything"], "days": "30"}, "Select a valid choice"),
        ({"name": "x", "scopes": ["events"], "days": "3000"}, "Select a valid choice"),
    ],
)
def test_half_a_wish_makes_no_token(sent: dict[str, Any], words: str, auditor: Client) -> None:
    answer = auditor.post("/audit/tokens/", sent)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_tokens_are_not_gathered_for_ever(auditor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "MOST_TOKENS", 1)
    sent = {"name": "x", "scopes": ["events"], "days": "7"}
    assert auditor.post("/audit/tokens/", sent).status_code == 200
    answer = auditor.post("/audit/tokens/", sent)
    assert answer.status_code == 422
    assert "Revoke one that you don" in answer.content.decode()
