"""A form that the rule lets nobody send without another sign-in: to Entra, back to the same words, and sent."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from audit.ledger.models import Event
from base.clock import business_now
from catalog.models import PimGroup, ProvisioningState
from identity.models import Person
from identity.signin.proving import Proof
from policy.models import Rule, RuleVersion
from requests_app.models import AccessRequest, Decision
from tests.identity.conftest import Visitor
from tests.identity.issuer import RunningIssuer
from tests.identity.test_stepping_up import query_of
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole

WORDS = "Fix the deployment that is stuck"


@dataclass
class Scene(Visitor):
    """Nora's browser; she may ask for the group, and Ben decides on it."""

    as_role: AsRole
    nora: Person
    ben: Person
    group: PimGroup
    rule: RuleVersion

    @property
    def form(self) -> str:
        return f"/access/{self.group.object_id}/request/"

    def get(self, path: str) -> Any:
        with self.as_role("portal_web"):
            return self.client.get(path)

    def post(self, path: str, **fields: str) -> Any:
        with self.as_role("portal_web"):
            return self.client.post(path, fields)

    def send(self) -> Any:
        return self.post(self.form, length="60", justification=WORDS, reference="INC0012345", start="")

    def back(self, sent: dict[str, str], **claims: Any) -> Any:
        token = self.issuer.sign(self.issuer.claims(nonce=sent["nonce"], **claims))
        with self.as_role("portal_web"):
            return self.come_back(state=sent["state"], token=token)

    def want(self, decider: Person | None = None, **step_up: object) -> None:
        Rule.objects.update(retired=True)
        self.rule = make.rule(decider or self.ben, groups=(self.group,), step_up=step_up)


@pytest.fixture
def scene(db: None, issuer: RunningIssuer, client: Client, as_role: AsRole) -> Scene:
    with as_role("portal_web"):
        Visitor(client=client, issuer=issuer).sign_in()
    nora, ben, group = Person.objects.get(), make.person("Ben Boss"), make.pim_group()
    Person.objects.filter(pk=nora.pk).update(given_name="Nora", surname="Lind", employee_id="E77")
    make.eligibility(nora, group)
    ProvisioningState.objects.create(
        job_id="job", code="Active", last_cycle_completed=True, observed_at=business_now()
    )
    return Scene(client, issuer, as_role, nora, ben, group, make.rule(ben, groups=(group,)))


def test_an_ask_goes_to_entra_and_is_sent_with_the_same_words_and_its_proof(scene: Scene) -> None:
    scene.want(ask={"fresh_within": "PT10M", "contexts": ["c1"]})
    assert "Sending this leads to Microsoft Entra first" in scene.get(scene.form).content.decode()
    sent = query_of(scene.send())
    assert json.loads(sent["claims"]) == {"id_token": {"acrs": {"essential": True, "value": "c1"}}}
    assert (sent["prompt"], sent["max_age"]) == ("login", "600")
    assert not AccessRequest.objects.exists()
    back = scene.back(sent, acrs=["c1"], auth_time=int(time.time()))
    assert back["Location"] == f"{scene.form}?typed=1"
    page = scene.get(back["Location"]).content.decode()
    assert "what you wrote is still here" in page
    assert WORDS in page
    assert 'value="INC0012345"' in page
    assert "leads to Microsoft Entra first" not in page
    assert scene.send()["Location"].startswith("/requests/")
    kept = Proof.of_json(AccessRequest.objects.get().proof)
    assert kept is not None
    assert (kept.person, list(kept.contexts)) == (scene.nora.object_id, ["c1"])
    assert kept.used_at is not None
    assert Event.objects.get(type="request.submitted").data["fields"]["proven_contexts"] == "c1"
    assert WORDS not in scene.get(f"{scene.form}?typed=1").content.decode(), "sent, and no longer kept"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"acrs": ["c1"]}, "not_fresh"),
        ({"acrs": ["c1"], "auth_time": 1_700_000_000}, "not_fresh"),
        ({"acrs": ["c1"], "auth_time": True}, "not_fresh"),
        ({"acrs": ["c1"], "auth_time": 99_999_999_999}, "not_fresh"),
        ({"acrs": ["c2"], "auth_time": "now"}, "not_proven"),
    ],
)
def test_what_comes_back_without_the_proof_changes_nothing_and_loses_no_word(
    scene: Scene, claims: dict[str, Any], code: str
) -> None:
    scene.want(ask={"fresh_within": "PT10M", "contexts": ["c1"]})
    if claims.get("auth_time") == "now":
        claims = {**claims, "auth_time": int(time.time())}
    response = scene.back(query_of(scene.send()), **claims)
    assert (response.status_code, response.context["problem"].code) == (403, code)
    assert f'href="{scene.form}?typed=1"' in response.content.decode()
    page = scene.get(f"{scene.form}?typed=1").content.decode()
    assert WORDS in page
    assert "You haven&#x27;t signed in again yet" in page
    assert scene.send().status_code == 302
    assert not AccessRequest.objects.exists()


def test_two_contexts_add_up_over_two_sign_ins(scene: Scene) -> None:
    scene.want(ask={"contexts": ["c1", "c2"]})
    for context in ("c1", "c2"):
        sent = query_of(scene.send())
        assert f'"{context}"' in sent["claims"]
        scene.back(sent, acrs=[context])
    assert scene.send()["Location"].startswith("/requests/")


def test_a_decision_goes_to_entra_and_keeps_the_comment(scene: Scene) -> None:
    asker = make.person("Ada Asker")
    scene.want(scene.nora, decide={"contexts": ["c3"]})
    with scene.as_role("portal_web"):
        item = make.pending_item(asker, scene.group, scene.rule)
    page = f"/approvals/{item.pk}/"

    def decide() -> Any:
        shown = scene.get(page).context["shown"]
        return scene.post(page, verdict="approve", comment="Seen with the team", length="", shown=shown)

    back = scene.back(query_of(decide()), acrs=["c3"])
    assert back["Location"] == f"{page}?typed=1"
    assert not Decision.objects.exists()
    assert "Seen with the team" in scene.get(back["Location"]).content.decode()
    assert decide()["Location"] == page
    kept = Proof.of_json(Decision.objects.get().proof)
    assert kept is not None
    assert (kept.person, "c3" in kept.contexts) == (scene.nora.object_id, True)


def test_another_persons_sign_in_takes_nothing_along(scene: Scene) -> None:
    scene.want(ask={"contexts": ["c1"]})
    scene.back(query_of(scene.send()), acrs=["c1"])
    with scene.as_role("portal_web"):
        scene.sign_in(oid=make.oid(), name="Olga Other")
    kept = Proof.of_json(scene.client.session["proven"])
    assert kept is not None
    assert (kept.person != scene.nora.object_id, dict(kept.contexts)) == (True, {})
    assert "typed" not in scene.client.session
