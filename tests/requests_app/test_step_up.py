"""A word counts only on the strength of the sign-in that the rules want, as the row itself proves it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from pytest_django import Settings

from audit.ledger.models import Event
from base.clock import real_now
from catalog.sync.policies import write_policy
from clients.registry import clients
from identity.models import Person
from identity.signin.proving import Proof
from requests_app.actions.deciding import check_decision, submit_decision
from requests_app.actions.deciding_together import submit_decisions
from requests_app.actions.submitting import submit_request
from requests_app.models import AccessRequest, Decision, RequestItem
from requests_app.stepping_up import StepUpWanted
from tests.requests_app import factories as make
from tests.requests_app.deciding_scene import colleague, people, play, policy, refused, rule_of
from tests.support.stage import Stage

__all__ = ["play"]
pytestmark = pytest.mark.django_db
STEP_UP = {"ask": {"contexts": ["c1"]}, "decide": {"fresh_within": "PT10M", "contexts": ["c2"]}}


def proof(of: Person, *contexts: str, ago: timedelta = timedelta(minutes=3)) -> Proof:
    now: datetime = real_now()
    return Proof(of.object_id, now, now - ago, dict.fromkeys(contexts, now))


def used(found: Proof) -> Proof:
    return found.used(real_now())


@pytest.fixture
def item(play: Stage) -> RequestItem:
    """A request under a rule that wants more of both; its own proof is good."""
    rule = rule_of(play, people(play.boss), step_up=STEP_UP)
    with play.as_role("portal_web"):
        return make.pending_item(play.asker, play.group, rule, proof=used(proof(play.asker, "c1")))


def test_asking_is_refused_until_the_session_proves_it_and_keeps_the_proof(play: Stage) -> None:
    rule_of(play, people(play.boss), step_up=STEP_UP)

    def ask(with_: Proof | None) -> UUID:
        with play.as_role("portal_web"):
            return submit_request(
                requester_id=play.asker.pk,
                group_object_id=play.group.object_id,
                duration=timedelta(hours=1),
                justification="Fix the stuck deployment",
                reference="",
                actor=make.actor(play.asker),
                proof=with_,
            )

    for wrong in (None, proof(play.asker, "c2"), proof(play.boss, "c1")):
        with pytest.raises(StepUpWanted, match="authentication context c1"):
            ask(wrong)
        assert not AccessRequest.objects.exists()
    request = AccessRequest.objects.get(pk=ask(proof(play.asker, "c1")))
    kept = Proof.of_json(request.proof)
    assert kept is not None
    assert (kept.person, list(kept.contexts)) == (play.asker.object_id, ["c1"])
    fields = Event.objects.get(type="request.submitted").data["fields"]
    assert fields["proven_contexts"] == "c1"
    assert {"authenticated_at", "verified_at"} <= set(fields)


def test_a_decision_with_its_proof_counts_and_the_trail_says_what_was_proven(
    play: Stage, item: RequestItem
) -> None:
    def decide(with_: Proof | None) -> UUID:
        with play.as_role("portal_web"):
            return submit_decision(
                item_id=item.pk,
                approver_id=play.boss.pk,
                verdict="approve",
                comment="",
                shown=make.shown(item),
                actor=make.actor(play.boss),
                proof=with_,
            )

    stale = proof(play.boss, "c2", ago=timedelta(minutes=20))
    assert "at most 10 min ago" in refused(StepUpWanted, lambda: decide(stale)).sentence
    decision = Decision.objects.get(pk=decide(proof(play.boss, "c2")))
    assert len(check_decision(decision_id=decision.pk)) == 1
    fields = Event.objects.get(type="decision.submitted").data["fields"]
    assert fields["proven_contexts"] == "c2"
    assert fields["authenticated_at"]


def test_several_at_once_are_stored_all_or_none_where_the_sign_in_lacks_something(
    play: Stage, item: RequestItem
) -> None:
    def decide() -> object:
        with play.as_role("portal_web"):
            return submit_decisions(
                shown={item.pk: make.shown(item)},
                approver_id=play.boss.pk,
                verdict="deny",
                comment="Not needed",
                actor=make.actor(play.boss),
                proof=proof(play.boss, "c1"),
            )

    assert "context c2" in refused(StepUpWanted, decide).sentence


@pytest.mark.parametrize("case", ["missing", "old", "another's", "not used"])
def test_the_worker_counts_no_decision_whose_proof_does_not_hold(
    play: Stage, item: RequestItem, case: str
) -> None:
    good = used(proof(play.boss, "c2"))
    forged, words = {
        "missing": (None, "no proof"),
        "old": (replace(good, authenticated_at=real_now() - timedelta(hours=1)), "at most 10 min ago"),
        "another's": (replace(good, person=play.asker.object_id), "another person's"),
        "not used": (replace(good, used_at=None), "no proof"),
    }[case]
    with play.as_role("portal_web"):
        decision_id = make.submitted_decision(item, play.boss, proof=forged)
    assert check_decision(decision_id=decision_id) == ()
    decision = Decision.objects.get(pk=decision_id)
    assert decision.status == "refused"
    assert words in decision.reason
    assert decision.reason.endswith("Decide again.")


def test_pims_own_settings_are_the_floor_in_application_mode(play: Stage, settings: Settings) -> None:
    """MFA, context and approval of PIM's policy: wanted of the ask, decided by PIM's approver too, and counted as such."""
    settings.ENTRA_MFA_CONTEXT = "c7"
    pims = colleague(play, "Pia Pim")
    rule_of(play, people(play.boss))
    policy(
        play,
        authentication_context="c1",
        activation_rules=["MultiFactorAuthentication"],
        approval_required=True,
        approver_users=[pims.object_id],
    )
    assert write_policy(play.group, clients().pim.group_policy(play.group.object_id).value)

    def ask(*contexts: str) -> AccessRequest:
        with play.as_role("portal_web"):
            made = submit_request(
                requester_id=play.asker.pk,
                group_object_id=play.group.object_id,
                duration=timedelta(hours=1),
                justification="Fix the stuck deployment",
                reference="",
                actor=make.actor(play.asker),
                proof=proof(play.asker, *contexts),
            )
        return AccessRequest.objects.get(pk=made)

    with pytest.raises(StepUpWanted, match="context c7"):
        ask("c1")
    item = ask("c1", "c7").items.get()
    assert item.terms.parsed.pim_approval
    assert [sorted(each.approvers.people) for each in item.terms.parsed.stages] == [
        [play.boss.object_id],
        [pims.object_id],
    ]
    assert check_decision(decision_id=play.decide(item)) == ()
    item.refresh_from_db()
    assert (item.status, item.stage) == ("pending", 1)
    assert len(check_decision(decision_id=play.decide(item, who=pims))) == 1


def test_an_ask_without_its_proof_is_never_granted_and_can_be_denied(play: Stage) -> None:
    rule = rule_of(play, people(play.boss), step_up={"ask": {"contexts": ["c1"]}})
    with play.as_role("portal_web"):
        item = make.pending_item(play.asker, play.group, rule)
        decision_id = make.submitted_decision(item, play.boss)
    assert check_decision(decision_id=decision_id) == ()
    assert "They have to ask again" in Decision.objects.get(pk=decision_id).reason
    with play.as_role("portal_web"):
        denial = make.submitted_decision(item, play.boss, "deny")
    check_decision(decision_id=denial)
    assert Decision.objects.get(pk=denial).status == "counted"
