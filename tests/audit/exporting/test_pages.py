"""Taking copies: by auditors only, of what the search found, each with an entry in the trail."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django_subatomic.db import transaction

from audit.exporting import evidence, views
from audit.ledger.models import Event
from audit.ledger.reading import EventFilter, events
from audit.ledger.recorder import Actor, record_alone
from audit.ledger.wording import COMMON
from base.errors import Invalid
from requests_app.models import RequestItem
from tests.audit.forwarding.entries import AT, entry_of
from tests.audit.history.conftest import AsRole
from tests.audit.ledger.factories import ADA, ask, note
from tests.requests_app import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def item(as_role: AsRole) -> RequestItem:
    ada, ben = make.person("Ada Asker"), make.person("Ben Boss")
    group = make.pim_group("AWS - Amazon EC2 Admin")
    rule = make.rule(ben)
    with as_role("portal_web"):
        return make.pending_item(ada, group, rule)


def last() -> Event:
    return Event.objects.filter(type__startswith="export.").order_by("-id")[0]


def test_what_the_search_finds_is_what_the_file_holds(item: RequestItem, auditor: Client) -> None:
    note("elsewhere", actor=Actor.person(make.oid(), "Zoe Else"))
    answer = auditor.post("/audit/export/", {"person": "Ada", "form": "csv"})
    assert answer.status_code == 200
    assert answer["Content-Disposition"].endswith('.csv"')
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode(), newline="")))
    assert [row["type"] for row in rows] == ["item.requested", "request.submitted"]
    assert last().type == "export.finished"
    # It is on the timeline like everything else.
    assert "began to export events" in auditor.get("/audit/?action=export.").content.decode()


def test_the_page_offers_all_that_fits_its_search(item: RequestItem, auditor: Client) -> None:
    page = auditor.get("/audit/?person=Ada&unknown=x").content.decode()
    assert '<input type="hidden" name="person" value="Ada">' in page
    assert "unknown" not in page
    assert 'name="form" value="evidence"' in page
    assert "Words that are erased later stay in copies that were taken before." in page


def test_a_case_as_evidence(item: RequestItem, auditor: Client) -> None:
    answer = auditor.post(f"/audit/requests/{item.request_id}/evidence/")
    assert answer["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as pack:
        assert len(pack.read("events.jsonl").splitlines()) == 2
        assert "Fix the stuck deployment" in pack.read("case.html").decode()
        assert "reach this copy" in pack.read("case.html").decode()
        assert "Words that are erased later stay in this" in pack.read("README.txt").decode()
        about = f"The events of request {item.request_id} and of the access that followed it."
        assert about in pack.read("README.txt").decode()
        assert about in pack.read("case.html").decode()
    assert last().type == "export.packed"
    assert last().request_id == item.request_id
    assert auditor.post(f"/audit/requests/{uuid4()}/evidence/").status_code == 404


def test_a_pack_says_which_search_it_holds_and_what_of_a_case_it_lacks(
    item: RequestItem, auditor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def about(path: str, **sent: str) -> list[str]:
        with zipfile.ZipFile(io.BytesIO(auditor.post(path, sent).getvalue())) as pack:
            found: list[str] = json.loads(pack.read("manifest.json"))["about"]
            assert "\n".join(found) in pack.read("README.txt").decode()
        return found

    assert about("/audit/export/", form="evidence", person="Ada", since="2020-01-01") == [
        "What a search of the audit trail found when this was made: Person: Ada; From (UTC): 2020-01-01."
    ]
    monkeypatch.setattr("audit.history.case.MOST_OF_A_CASE", 2)
    of_case = about(f"/audit/requests/{item.request_id}/evidence/")
    assert of_case[1:] == ["Only the newest 2 of them: older ones are left out, if there are any."]


def test_a_pack_of_a_person_and_of_a_period(item: RequestItem, auditor: Client) -> None:
    note("elsewhere", actor=Actor.person(make.oid(), "Zoe Else"))
    for sent, types in (
        ({"person": item.requester.object_id}, ["request.submitted", "item.requested"]),
        (
            {"since": "2020-01-01", "until": "2199-01-01"},
            ["request.submitted", "item.requested", "trial.noted"],
        ),
        ({"since": "2020-01-01", "until": "2020-01-02"}, []),
    ):
        answer = auditor.post("/audit/export/", {"form": "evidence", "action": "", **sent})
        with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as pack:
            lines = pack.read("events.jsonl").splitlines()
        found = [json.loads(json.loads(line)["canon"])["type"] for line in lines]
        assert [name for name in found if not name.startswith(("export.", "search.", "signin."))] == types
    case = auditor.get(f"/audit/requests/{item.request_id}/").content.decode()
    assert f'href="/audit/?person={item.requester.object_id}"' in case


def test_a_pack_holds_the_wordings_of_the_rules_that_judged_it(
    item: RequestItem, auditor: Client, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    [judge] = item.terms.judged_by
    judged = judge["name"], judge["number"]

    def write(name: str, number: int, actor: Actor, quorum: int = 1) -> None:
        record_alone(
            "rule.versioned",
            actor=actor,
            fields={
                "name": name,
                "number": number,
                "document": {"quorum": quorum},
                "document_hash": "0" * 64,
                "written_by": "tests",
            },
        )

    with as_role("portal_worker"):
        write(*judged, Actor.system())
        write(judge["name"], judge["number"] + 1, Actor.system())
        write("Another", 1, Actor.system())
    write(*judged, Actor.anonymous(), quorum=9)  # as the web process could forge it
    for answer in (
        auditor.post(f"/audit/requests/{item.request_id}/evidence/"),
        auditor.post("/audit/export/", {"form": "evidence", "person": item.requester.display_name}),
    ):
        with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as pack:
            events = [
                json.loads(json.loads(line)["canon"]) for line in pack.read("events.jsonl").splitlines()
            ]
        rules = [said["fields"] for said in events if said["type"] == "rule.versioned"]
        assert [(rule["name"], rule["number"]) for rule in rules] == [(judge["name"], judge["number"])]
        assert rules[0]["document"] == {"quorum": 1}
    monkeypatch.setattr(views, "MOST_WORDINGS", 1)
    cut = auditor.post(f"/audit/requests/{item.request_id}/evidence/")
    with zipfile.ZipFile(io.BytesIO(cut.getvalue())) as pack:
        assert "Of the wordings of rules only the newest 1:" in pack.read("README.txt").decode()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"form": "exe"}, "Choose CSV, Excel, JSON Lines, OCSF or an evidence pack"),
        ({}, "Choose CSV, Excel, JSON Lines, OCSF or an evidence pack"),
        ({"form": "csv", "person": "Nobody at all"}, "No people have this name"),
        ({"form": "csv", "since": "yesterday"}, "Write a date and a time"),
    ],
)
def test_a_refusal_is_a_sentence_and_leaves_nothing(
    sent: dict[str, str], words: str, auditor: Client
) -> None:
    answer = auditor.post("/audit/export/", sent)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert ("Nothing was exported" in answer.content.decode()) == words.startswith("Choose")
    assert "The search was stopped" not in answer.content.decode()
    assert not Event.objects.filter(type__startswith="export.").exists()


def test_too_much_for_a_pack_is_refused(
    item: RequestItem, auditor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MOST_EVENTS", 1)
    monkeypatch.setattr(evidence, "MOST_EVENTS", 1)
    answer = auditor.post("/audit/export/", {"person": "Ada", "form": "evidence"})
    assert answer.status_code == 422
    assert "at most 1 events, and more fit. Name a person or a shorter time." in answer.content.decode()


def test_too_long_for_a_pack_is_refused_before_it_is_read(
    auditor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "x" * 200_000
    for text in ("first", long, long):
        note(text)
    newest = Event.objects.order_by("-id").values_list("canon", flat=True)[:3]
    whole = sum(map(len, newest)) + 3 * len(ADA.name)
    for most, fit in ((whole, 3), (whole - 1, 2), (whole - 200_000, 1), (1, 1)):
        page = events(EventFilter(people=(ADA.object_id,)), most_bytes=most)
        assert (len(page.entries), page.older is None) == (fit, fit == 3)
    for _ in range(3):
        note(long)
    monkeypatch.setattr(views, "MOST_BYTES", 1_000_000)
    answer = auditor.post("/audit/export/", {"form": "evidence"})
    assert answer.status_code == 422
    assert "at most 1 MB of events, and more fit. Name a person" in answer.content.decode()


@pytest.mark.django_db
def test_of_common_words_that_take_too_long_it_is_said_where_to_part_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_long(*_args: object, **_more: object) -> None:
        raise Invalid("audit.too_slow", "This search took longer.")

    with transaction():
        for _ in range(COMMON):
            ask(words="Disk is full")
    assert len(views.for_a_pack(EventFilter(words="disk"))) == COMMON
    monkeypatch.setattr("audit.ledger.reading.events", too_long)
    with pytest.raises(Invalid, match="holds at most 10,000 events"):
        views.for_a_pack(EventFilter(words="disk"))
    for other in (EventFilter(words="elsewhere"), EventFilter(people=(ADA.object_id,))):
        with pytest.raises(Invalid, match="took longer"):
            views.for_a_pack(other)


def test_what_is_too_much_for_one_pack_can_be_taken_in_parts() -> None:
    """Together they hold every event once: a minute that is named as the last is meant to its end."""
    of = [entry_of("grant.revoked", business_at=AT - timedelta(seconds=40 * n)) for n in range(3)]
    assert views.too_many_words(of) == (
        "An evidence pack holds at most 10,000 events, and more fit. Name a person, or take it in parts: the newest from "
        "2026-05-01 12:29 on, and what is older to 2026-05-01 12:28."
    )
    assert "in parts" not in views.too_many_words(of[:1])
