"""Signing in once more as Entra wants it: what goes there, and what has to come back before anything changes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from audit.ledger.models import Event
from identity.models import Person, SignIn
from identity.signin.stepping_up import parameters
from requests_app.lifecycle import GrantStatus
from requests_app.models import WAITS_FOR_PERSON, Grant
from tests.identity.conftest import Visitor
from tests.identity.issuer import RunningIssuer
from tests.pages.moving import bring, decide
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole

PIMS = {"access_token": {"acrs": {"essential": True, "value": "c2"}, "xms_cc": {"values": ["cp1"]}}}


def query_of(response: Any) -> dict[str, str]:
    assert response.status_code == 302, response.content
    query = parse_qs(urlsplit(response["Location"]).query)
    return {name: values[0] for name, values in query.items()}


@dataclass
class Waiting(Visitor):
    """Nora's browser, and a grant of hers that waits for her."""

    as_role: AsRole
    grant: Grant

    @property
    def page(self) -> str:
        return f"/requests/{self.grant.first_request_id}/"

    def press(self) -> Any:
        with self.as_role("portal_web"):
            return self.client.post(self.page + "sign-in/")

    def to_entra(self) -> dict[str, str]:
        return query_of(self.press())

    def back(self, sent: dict[str, str], **claims: Any) -> Any:
        token = self.issuer.sign(self.issuer.claims(nonce=sent["nonce"], **claims))
        with self.as_role("portal_web"):
            return self.come_back(state=sent["state"], token=token)

    def wait(self, *, claims: Any = PIMS) -> None:
        Grant.objects.filter(pk=self.grant.pk).update(
            problem_code=WAITS_FOR_PERSON, wanted_claims=json.dumps(claims) if claims else ""
        )


@pytest.fixture
def waiting(db: None, issuer: RunningIssuer, client: Client, as_role: AsRole) -> Waiting:
    with as_role("portal_web"):
        Visitor(client=client, issuer=issuer).sign_in(login_hint="nora-hint")
    nora, ben, group = Person.objects.get(), make.person("Ben Boss"), make.pim_group()
    make.eligibility(nora, group)
    rule = make.rule(ben, groups=(group,))
    with as_role("portal_web"):
        item = make.pending_item(nora, group, rule, duration=timedelta(hours=1))
    decide(item, ben, "approve", as_role)
    grant = bring(make.scheduled_grant(item), GrantStatus.ACTIVATING)
    made = Waiting(client, issuer, as_role, grant)
    made.wait()
    return made


def assert_nothing_changed(waiting: Waiting, response: Any, code: str) -> None:
    assert (response.status_code, response.context["problem"].code) == (403, code)
    (event,) = Event.objects.filter(type="signin.refused")
    assert event.data["fields"]["code"] == code
    assert SignIn.objects.count() == 1
    with waiting.as_role("portal_web"):
        assert waiting.client.get(waiting.page).status_code == 200


def test_entra_gets_exactly_its_claims_and_the_session_goes_on_at_the_request(waiting: Waiting) -> None:
    sent = waiting.to_entra()
    asked = json.loads(sent["claims"])
    assert asked.pop("id_token") == {"acrs": {"essential": True, "value": "c2"}}
    assert asked == PIMS
    assert sent["login_hint"] == "nora-hint"
    assert "prompt" not in sent
    response = waiting.back(sent, acrs=["c1", "c2"], login_hint="nora-hint")
    assert (response.status_code, response["Location"]) == (302, waiting.page)
    (row,) = SignIn.objects.all()
    assert row.session_key == waiting.client.session.session_key
    assert Event.objects.filter(type="signin.succeeded").count() == 2


@pytest.mark.parametrize("proven", [None, [], ["c1"], "c2"])
def test_what_the_answer_does_not_prove_changes_nothing(waiting: Waiting, proven: Any) -> None:
    response = waiting.back(waiting.to_entra(), acrs=proven)
    assert_nothing_changed(waiting, response, "not_proven")


def test_another_account_changes_nothing(waiting: Waiting) -> None:
    response = waiting.back(waiting.to_entra(), acrs=["c2"], oid=make.oid())
    assert_nothing_changed(waiting, response, "other_person")


def test_the_form_decides_nothing_about_the_claims(waiting: Waiting) -> None:
    with waiting.as_role("portal_web"):
        response = waiting.client.post(
            waiting.page + "sign-in/?auth_params=claims%3D%7B%7D", {"claims": "{}"}
        )
    assert json.loads(query_of(response)["claims"])["access_token"] == PIMS["access_token"]


def test_the_page_offers_it_while_it_waits_and_says_so_when_it_does_not(waiting: Waiting) -> None:
    with waiting.as_role("portal_web"):
        page = waiting.client.get(waiting.page).content.decode()
    assert "Sign in again, so that this goes on" in page
    assert "Waiting for a sign-in" in page
    assert f'action="{waiting.page}sign-in/"' in page
    Grant.objects.update(problem_code="")
    response = waiting.press()
    assert (response.status_code, response["Location"]) == (302, waiting.page)
    with waiting.as_role("portal_web"):
        assert "isn&#x27;t needed" in waiting.client.get(waiting.page).content.decode()


@pytest.mark.parametrize("claims", ["", "no JSON", "[1]", "null"])
def test_without_claims_entra_authenticates_afresh(claims: str) -> None:
    assert parameters(claims) == ({"prompt": "login"}, frozenset())


@pytest.mark.parametrize(
    ("claims", "contexts"),
    [
        ({"access_token": {"nbf": {"essential": True, "value": "1700000000"}}}, set()),
        ({"id_token": {"acrs": {"values": ["c3", "c4", 5]}}}, {"c3", "c4"}),
        ({"id_token": None, "access_token": {"acrs": None}}, set()),
    ],
)
def test_claims_that_name_no_context_of_an_access_token_go_as_they_came(
    claims: dict[str, Any], contexts: set[str]
) -> None:
    extra, wanted = parameters(json.dumps(claims))
    assert json.loads(extra["claims"]) == claims
    assert wanted == contexts
