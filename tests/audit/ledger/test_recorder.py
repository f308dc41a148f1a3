"""What goes into an event, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import cast
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection
from django_subatomic.db import _MissingRequiredTransaction, transaction

from audit.ledger.canonical import Value
from audit.ledger.models import Event, PersonalWords, Version
from audit.ledger.recorder import Actor, Subject, record, record_alone
from audit.ledger.registry import LedgerError
from base import clock
from tests.audit.ledger.factories import ADA, ask, note

type CountQueries = Callable[[int], AbstractContextManager[None]]
type AsRole = Callable[[str], AbstractContextManager[None]]


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["portal_web", "portal_worker"])
def test_an_event_says_who_what_when_and_about_whom(role: str, as_role: AsRole) -> None:
    request_id, subject = uuid4(), Subject("trial", uuid4(), 3)
    with as_role(role), transaction():
        event_id = ask(subject=subject, request_id=request_id)

    event = Event.objects.get(id=event_id)
    assert (event.type, event.outcome, event.actor_kind) == ("trial.asked", "done", "person")
    assert event.actor_oid == event.about_oid == ADA.object_id
    assert event.request_id == request_id
    assert event.grant_id is None
    assert event.ip == "192.0.2.1"
    assert event.session == sha256(b"cookie").hexdigest()[:32]
    assert event.data["fields"] == {"duration": 3600.0, "group": "Storage"}
    version = Version.objects.get(event_id=event_id)
    assert (version.subject_kind, version.subject_id, version.version) == ("trial", subject.id, 3)


@pytest.mark.django_db
def test_business_and_real_time_are_both_kept() -> None:
    start = datetime(2030, 5, 1, tzinfo=UTC)
    before = clock.business_clock()
    clock.configure(clock.BusinessClock(60, clock.real_now(), start))
    try:
        event = Event.objects.get(id=note())
    finally:
        clock.configure(before)
    assert start <= event.business_at < start + timedelta(hours=1)
    assert abs(event.at - clock.real_now()) < timedelta(seconds=60)


@pytest.mark.django_db
def test_the_text_that_is_sealed_is_canonical() -> None:
    with transaction():
        event = Event.objects.get(id=ask(words="naïve 中文"))
    document = json.loads(event.canon)
    assert event.canon == json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert document == event.data
    assert document["v"] == 1


@pytest.mark.django_db
def test_words_and_names_stand_beside_the_event_under_a_commitment() -> None:
    with transaction():
        event = Event.objects.get(id=ask(words="Disk is full"))
    kept = {row.field: row for row in PersonalWords.objects.filter(event_id=event.id)}
    assert {field: row.words for field, row in kept.items()} == {
        "actor": "Ada Lovelace",
        "about": "Ada Lovelace",
        "mail": "ada@example.org",
        "justification": "Disk is full",
    }
    for field, row in kept.items():
        assert row.words not in event.canon
        assert event.data["commitments"][field] == sha256(bytes(row.salt) + row.words.encode()).hexdigest()
    assert len({bytes(row.salt) for row in kept.values()}) == len(kept)


@pytest.mark.django_db
def test_one_statement_writes_everything(
    django_assert_num_queries: Callable[[int], AbstractContextManager[None]],
) -> None:
    with transaction(), django_assert_num_queries(1):
        ask()


@pytest.mark.django_db
def test_one_version_has_one_event() -> None:
    subject = Subject("trial", uuid4(), 1)
    with transaction():
        ask(subject=subject)
    with pytest.raises(IntegrityError, match="audit_version"), transaction():
        ask(subject=subject)
    assert Version.objects.filter(subject_id=subject.id).count() == 1


@pytest.mark.django_db
def test_record_outside_a_transaction_is_refused() -> None:
    with pytest.raises(_MissingRequiredTransaction):
        ask()
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_record_alone_inside_a_transaction_is_refused() -> None:
    with transaction(), pytest.raises(RuntimeError):
        note()


def test_record_alone_outlives_the_failure_of_its_caller(committed_db: str) -> None:
    def fail() -> None:
        with transaction():
            ask()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    event_id = note()
    connection.close()  # whatever a connection still held would be gone
    assert [event.id for event in Event.objects.all()] == [event_id]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"group": "Storage"}, "needs its field 'duration'"),
        ({"group": "Storage", "duration": timedelta(1), "colour": "red"}, "no field \\['colour'\\]"),
        ({"group": 7, "duration": timedelta(1)}, "group is a text, not int"),
        ({"group": "Storage", "duration": 3600}, "duration is a duration, not int"),
    ],
)
def test_fields_are_exactly_those_declared(fields: Mapping[str, Value], complaint: str) -> None:
    with transaction(), pytest.raises(LedgerError, match=complaint):
        ask(fields=fields)


@pytest.mark.django_db
def test_undeclared_events_and_words_are_refused() -> None:
    with pytest.raises(LedgerError, match="No event type"):
        record_alone("trial.unheard", actor=ADA)
    with pytest.raises(LedgerError, match="declares no words"):
        record_alone("trial.noted", actor=ADA, words={"justification": "because"})
    with pytest.raises(LedgerError, match="are names"):
        record_alone("trial.noted", actor=ADA, words={"actor": "Somebody Else"})
    with pytest.raises(LedgerError, match="No event type"), transaction():
        record("trial.unheard", actor=ADA)
    assert not Event.objects.exists()


def test_a_person_has_an_object_id_and_nobody_else_has() -> None:
    with pytest.raises(LedgerError, match="object id"):
        Actor("person")
    with pytest.raises(LedgerError, match="object id"):
        Actor("worker", "some-id")
    with pytest.raises(LedgerError, match="no kind of actor"):
        Actor("robot")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text", ["nul \x00 inside", "half a pair \ud800", "<script>", "\u202eoverride", "'; --"]
)
def test_hostile_text_is_kept_and_breaks_nothing(text: str) -> None:
    event = Event.objects.get(id=note(text))
    kept = cast("str", event.data["fields"]["note"])
    assert kept == text.replace("\x00", "\ufffd").replace("\ud800", "?")


@pytest.mark.django_db
def test_an_event_that_is_too_long_is_refused() -> None:
    with pytest.raises(LedgerError, match="at most"):
        note("x" * 300_000)
