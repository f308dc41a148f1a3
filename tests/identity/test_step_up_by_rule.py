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
from catalog.models import Eligibility, PimGroup, ProvisioningState
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

    def post(self, path: str, **fields: str | list[str]) -> Any:
        with self.as_role("portal_web"):
            return self.client.post(path, fields)

    def send(self, words: str = WORDS, *, at: str = "") -> Any:
        """From the form as it is opened, or as the browser comes back to it."""
        fields = {"length": "60", "reference": "INC0012345", "start": ""}
        return self.post(at or self.form, justification=words, **fields)

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
    assert scene.send(at=back["Location"])["Location"].startswith("/requests/")
    kept = Proof.of_json(AccessRequest.objects.get().proof)
    assert kept is not None
    assert (kept.person, list(kept.contexts)) == (scene.nora.object_id, ["c1"])
    assert kept.used_at is not None
    assert Event.objects.get(type="request.submitted").data["fields"]["proven_contexts"] == "c1"
    gone = scene.get(f"{scene.form}?typed=1").content.decode()
    assert WORDS not in gone
    assert "no longer kept: it was sent" in gone


def test_two_windows_with_the_same_form_keep_their_own_words(scene: Scene) -> None:
    scene.want(ask={"contexts": ["c1"]})
    scene.send("Words of the first window")
    scene.back(query_of(scene.send("Words of the second window")), acrs=["c1"])
    pages = {number: scene.get(f"{scene.form}?typed={number}").content.decode() for number in (1, 2)}
    assert "Words of the first window" in pages[1]
    assert "Words of the second window" in pages[2]
    assert scene.send(at=f"{scene.form}?typed=2")["Location"].startswith("/requests/")
    assert "Words of the first window" in scene.get(f"{scene.form}?typed=1").content.decode()


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


def several(*groups: PimGroup, **more: str | list[str]) -> dict[str, str | list[str]]:
    """The form for several as a browser sends it: half an hour and then two hours."""
    keys = [group.object_id for group in groups]
    lengths = {f"{key}-length": length for key, length in zip(keys, ("30", "120"), strict=False)}
    return {
        "group": keys,
        "named": keys,
        "justification": WORDS,
        "reference": "INC0012345",
        **lengths,
        **more,
    }


def test_several_go_to_entra_and_come_back_with_every_choice(scene: Scene) -> None:
    scene.want(ask={"contexts": ["c1"]})
    other, left_out = make.pim_group("AWS - Other"), make.pim_group("AWS - Left out")
    make.rule(scene.ben, groups=(other, left_out), step_up={"ask": {"contexts": ["c2"]}})
    for group in (other, left_out):
        make.eligibility(scene.nora, group)
    names = [scene.group.object_id, other.object_id, left_out.object_id]
    fields = several(scene.group, other, named=names)
    path = "/access/request/"
    for context in ("c1", "c2"):
        sent = query_of(scene.post(path, **fields))
        assert f'"{context}"' in sent["claims"]
        path = scene.back(sent, acrs=[context])["Location"]
        assert path == "/access/request/?typed=1", "the second trip takes the place of the first"
        page = scene.get(path)
        chosen = {each.offer.group.pk: each for each in page.context["choices"]}
        assert [chosen[group.pk].chosen for group in (scene.group, other, left_out)] == [True, True, False]
        assert [chosen[group.pk].form["length"].value() for group in (scene.group, other)] == ["30", "120"]
        assert (page.context["form"]["justification"].value(), page.context["form"]["reference"].value()) == (
            WORDS,
            "INC0012345",
        )
        assert ("leads to Microsoft Entra first" in page.content.decode()) == (context == "c1")
    assert not AccessRequest.objects.exists()
    # Whoever lost one of them meanwhile keeps the words, and the others.
    Eligibility.objects.filter(group=other).delete()
    page = scene.get(path)
    assert {each.offer.group.pk for each in page.context["choices"]} == {left_out.pk, scene.group.pk}
    assert "no longer eligible for some of it" in page.content.decode()
    assert WORDS in page.content.decode()
    make.eligibility(scene.nora, other)
    answer = scene.post(path, **fields)
    request = AccessRequest.objects.get()
    assert answer["Location"] == f"/requests/{request.pk}/"
    kept = Proof.of_json(request.proof)
    assert kept is not None
    assert set(kept.contexts) == {"c1", "c2"}


def test_deciding_together_goes_to_entra_and_comes_back_bound_to_what_was_shown(scene: Scene) -> None:
    scene.want(scene.nora, decide={"contexts": ["c3"]})
    with scene.as_role("portal_web"):
        items = [
            make.pending_item(make.person(f"Asker {number}"), scene.group, scene.rule) for number in range(3)
        ]
    first, second, unticked = items
    path = f"/approvals/{first.pk}/together/"
    opened = scene.get(f"{path}?{'&'.join(f'item={item.pk}' for item in items[1:])}")
    assert "leads to Microsoft Entra first" in opened.content.decode()
    fields: dict[str, str | list[str]] = {
        "item": [str(first.pk), str(second.pk)],
        "named": [str(item.pk) for item in items],
        "comment": "Seen with the team",
        **{f"shown-{each.item.pk}": each.token for each in opened.context["found"]},
    }
    curt = scene.post(path, verdict="deny", **{**fields, "comment": " "})
    assert curt.status_code == 422, "nobody signs in for what would be refused anyway"
    back = scene.back(query_of(scene.post(path, verdict="approve", **fields)), acrs=["c3"])
    assert not Decision.objects.exists()
    # What has changed meanwhile is refused: the page goes on naming what it had shown.
    PimGroup.objects.filter(pk=scene.group.pk).update(scope_hash="other")
    page = scene.get(back["Location"])
    assert page.context["form"]["comment"].value() == "Seen with the team"
    chosen = {each.item.pk: each.chosen for each in page.context["found"]}
    assert chosen == {first.pk: True, second.pk: True, unticked.pk: False}
    assert {f"shown-{each.item.pk}": each.token for each in page.context["found"]}.items() <= fields.items()
    assert scene.post(back["Location"], verdict="approve", **fields)["Location"] == "/approvals/"
    assert not Decision.objects.exists()
    assert "What this PIM group opens has changed." in scene.get("/approvals/").content.decode()
    PimGroup.objects.filter(pk=scene.group.pk).update(scope_hash=scene.group.scope_hash)
    scene.post(back["Location"], verdict="approve", **fields)
    assert set(Decision.objects.values_list("item", flat=True)) == {first.pk, second.pk}


def test_a_decision_that_waited_for_a_sign_in_is_bound_to_what_was_shown(scene: Scene) -> None:
    scene.want(scene.nora, decide={"contexts": ["c3"]})
    with scene.as_role("portal_web"):
        item = make.pending_item(make.person("Ada Asker"), scene.group, scene.rule)
    page = f"/approvals/{item.pk}/"
    fields = {"verdict": "approve", "comment": "", "length": "", "shown": scene.get(page).context["shown"]}
    back = scene.back(query_of(scene.post(page, **fields)), acrs=["c3"])["Location"]
    PimGroup.objects.filter(pk=scene.group.pk).update(scope_hash="other")
    shown = scene.get(back).context["shown"]
    assert shown == fields["shown"]
    answer = scene.post(back, **fields)
    assert answer.status_code == 409
    assert "What this PIM group opens has changed." in answer.content.decode()
    assert not Decision.objects.exists()


def test_another_persons_sign_in_takes_nothing_along(scene: Scene) -> None:
    scene.want(ask={"contexts": ["c1"]})
    scene.back(query_of(scene.send()), acrs=["c1"])
    with scene.as_role("portal_web"):
        scene.sign_in(oid=make.oid(), name="Olga Other")
    kept = Proof.of_json(scene.client.session["proven"])
    assert kept is not None
    assert (kept.person != scene.nora.object_id, dict(kept.contexts)) == (True, {})
    assert "typed" not in scene.client.session
