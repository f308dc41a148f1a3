"""The case page: one request from the ask to the proof of removal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from audit.history import case as cases
from audit.history.case import case
from audit.ledger.keys import make_key
from audit.ledger.models import Event
from audit.ledger.recorder import record_alone
from audit.ledger.sealing import seal_everything
from audit.ledger.sentences import sentence
from base.errors import Missing
from identity.models import AppRole, Person
from notifications.models import Message
from notifications.planning import plan
from oversight import selectors
from requests_app.models import Attempt, Decision, RequestItem
from requests_app.shown import what_was_shown
from tests.audit.history.conftest import AsRole, browser_of
from tests.audit.ledger.factories import ADA
from tests.requests_app import factories as make
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    """Somebody asked, somebody approved, and it ran to its end."""
    with stage(as_role) as made:
        made.decide(made.ask())
        made.play_out()
        yield made


@pytest.fixture
def olga(play: Stage) -> Person:
    return make.person("Olga Auditor")


def page_of(olga: Person, play: Stage) -> str:
    with play.as_role("portal_web"):
        browser = browser_of(olga, AppRole.AUDITOR)
        response = browser.get(f"/audit/requests/{play.grant().first_request_id}/")
    assert response.status_code == 200
    return response.content.decode()


def text_of(body: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", "", body).split())


def test_it_tells_everything_from_the_ask_to_the_end(olga: Person, play: Stage) -> None:
    body = page_of(olga, play)
    text, grant = text_of(body), play.grant()
    told = [sentence(row.entry) for row in case(grant.first_request_id).rows]
    assert told[0] == "Ada Asker asked for access"
    assert told[-1].startswith("Access of Ada Asker through AWS - Amazon EC2 Admin ended")
    assert Event.objects.filter(request_id=grant.first_request_id).count() == len(told)
    for words in (
        "Fix the stuck deployment",
        "Ben Boss",
        "Approve: counted",
        str(grant.tag),
        str(grant.first_request_id),
        "Out of Entra",
        "draining → ended",
        "Out of AWS",
        "Read back: Ada Asker is out of AWS - Amazon EC2 Admin in Entra",
    ):
        assert words in text, words


def test_it_has_what_each_approver_was_shown_by_which_version_of_a_rule_and_who_was_told(
    olga: Person, play: Stage
) -> None:
    item = RequestItem.objects.select_related("terms").get()
    with play.as_role("portal_worker"):
        plan()
        Message.objects.filter(kind="approved").update(
            state="given_up", problem="No such mailbox.", settled_at=play.time.now
        )
    text, body = text_of(page_of(olga, play)), page_of(olga, play)
    (rule,) = item.terms.judged_by
    assert f'<a href="/operations/rules/{rule["rule"]}/">{rule["name"]}, version {rule["number"]}</a>' in body
    assert "What the page showed" in text
    decision = Decision.objects.get()
    assert all(mark in text for mark in decision.shown.split("."))
    assert text.count("as it stands here") == 3
    messages = Message.objects.filter(item=item)
    assert {"approved", "usable", "ended"} <= {each.kind for each in messages}
    kept = " ".join(f"{each.facts} {each.problem}" for each in messages)
    assert not [words for words in ("Fix the stuck", "Ada", "Ben") if words in kept], "no words and no names"
    for words in (
        r"Ada Asker\s*Your request was approved\s*Given up\s*No such mailbox\.",
        r"Ada Asker\s*Your access has ended\s*To be sent",
    ):
        assert re.search(words, text), words


def changed(digest: str) -> str:
    """Another one, in its first digit."""
    return ("1" if digest[0] == "0" else "0") + digest[1:]


def test_what_an_approver_was_shown_is_told_apart_from_what_stands_now(play: Stage) -> None:
    (each,) = case(play.grant().first_request_id).items
    ((decision, shown),) = each.decided
    assert [part.same for part in shown] == [True, True, True]
    ask, rule, opens = decision.shown.split(".")
    for other, differs in (
        (f"{changed(ask)}.{rule}.{opens}", [False, True, True]),
        (f"{ask}.{changed(rule)}.{opens}", [True, False, True]),
        (f"{ask}.{rule}.{changed(opens)}", [True, True, False]),
    ):
        assert [part.same for part in what_was_shown(other, each.item, decision.stage)] == differs
    assert not what_was_shown(decision.shown, each.item, decision.stage + 1)[0].same
    assert what_was_shown("", each.item, decision.stage) == ()
    each.item.request.justification = "(erased on 2026-11-26)"
    assert "its words were erased" in what_was_shown(decision.shown, each.item, decision.stage)[0].words


def test_it_has_the_vendors_request_id_of_every_outside_write(olga: Person, play: Stage) -> None:
    body = page_of(olga, play)
    writes = Attempt.objects.filter(kind__in=["assign", "remove", "on_demand"])
    assert writes.count() >= 2
    for attempt in writes:
        assert attempt.vendor_request_id
        # once among the calls, and once in the trail, which keeps it for good
        assert body.count(attempt.vendor_request_id) >= 2
        assert body.count(str(attempt.pk)) >= 2


def test_of_too_many_calls_and_findings_the_oldest_are_left_out_and_no_write(
    olga: Person, play: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant, whole = play.grant(), case(play.grant().first_request_id)
    assert (whole.attempts_cut, whole.findings_cut) == (False, False)
    (every,) = (each.attempts for each in whole.items)
    writes = {each.pk for each in every if each.kind in ("assign", "remove", "on_demand")}
    *older, newest = [each.pk for each in every if each.pk not in writes]  # of one moment, by their key
    assert older
    monkeypatch.setattr(cases, "MOST_ATTEMPTS", len(writes) + 1)
    monkeypatch.setattr(selectors, "MOST_OF_GRANTS", 1)
    with play.as_role("portal_worker"):
        make.finding(grant.person, grant.group, "late", grant=grant)
        last = make.finding(grant.person, grant.group, "widened", grant=grant, first_seen_at=play.time.now)
    cut = case(grant.first_request_id)
    (shown,) = cut.items
    assert [each.pk for each in shown.attempts] == [each.pk for each in every if each.pk in {*writes, newest}]
    assert (cut.attempts_cut, cut.findings_cut) == (True, True)
    assert [row.finding for row in shown.findings] == [last]
    text = text_of(page_of(olga, play))
    assert "the oldest reads are left out" in text
    assert "More drift was found than this page shows" in text


def test_each_event_says_where_it_is_sealed(
    olga: Person, play: Stage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert "wait for their seal" in text_of(page_of(olga, play))
    with play.as_role("portal_sealer"):
        seal_everything(make_key(tmp_path_factory.mktemp("keys") / "key"))
    text = text_of(page_of(olga, play))
    assert "wait for their seal" not in text
    assert "sealed in batch 1" in text


@pytest.mark.proof
def test_what_was_found_to_differ_meanwhile_is_in_it(olga: Person, play: Stage) -> None:
    grant = play.grant()
    with play.as_role("portal_worker"):
        finding = make.finding(grant.person, grant.group, "late", grant=grant)
        make.finding(grant.person, make.pim_group("AWS - Another"))
    body = page_of(olga, play)
    assert f'href="/operations/drift/{finding.pk}/"' in body
    assert finding.sentence in text_of(body)
    assert body.count("/operations/drift/") == 1, "nothing of another access"


def test_a_case_that_does_not_exist(olga: Person, play: Stage) -> None:
    with pytest.raises(Missing):
        case(uuid4())
    with play.as_role("portal_web"):
        browser = browser_of(olga, AppRole.AUDITOR)
        absent = browser.get(f"/audit/requests/{uuid4()}/")
        malformed = browser.get("/audit/requests/no-uuid/")
    assert absent.status_code == malformed.status_code == 404
    assert absent.content == malformed.content


def test_a_request_whose_row_is_gone_is_told_by_the_trail(olga: Person, play: Stage) -> None:
    request_id = uuid4()
    record_alone("trial.noted", actor=ADA, fields={"note": "what was left"}, request_id=request_id)
    with play.as_role("portal_web"):
        body = browser_of(olga, AppRole.AUDITOR).get(f"/audit/requests/{request_id}/").content.decode()
    assert "The request itself is gone" in body
    assert "Ada Lovelace noted what was left" in text_of(body)


def test_it_costs_a_bounded_number_of_queries(
    olga: Person, play: Stage, django_assert_max_num_queries: DjangoAssertNumQueries, settings: Settings
) -> None:
    request_id = play.grant().first_request_id
    with play.as_role("portal_web"):
        browser = browser_of(olga, AppRole.AUDITOR)
        with django_assert_max_num_queries(22):
            browser.get(f"/audit/requests/{request_id}/")
