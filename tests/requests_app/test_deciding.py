"""Deciding: what a page refuses at once, and what a worker refuses or waits for before a decision counts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from unittest.mock import Mock, patch

import pytest

from audit.ledger.models import Event
from base import crash
from base.clock import real_now
from base.errors import Conflict, Denied, Invalid, Missing
from catalog.models import PimGroup
from clients.registry import clients
from identity.models import DirectoryGroup, DirectoryMembership, Person
from requests_app.actions.checking import EligibilityCheck, fresh_eligibility
from requests_app.actions.deciding import check_decision
from requests_app.actions.withdrawing import withdraw_item
from requests_app.models import Decision, Grant, RequestItem
from simulator.sample.builder import Builder
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.requests_app.deciding_scene import (
    ask_under,
    colleague,
    people,
    play,
    policy,
    refused,
    rule_of,
    submit,
)
from tests.support.stage import Stage, stage

__all__ = ["play"]
pytestmark = pytest.mark.django_db


# ------------------------------------------------------------ on the page, at once


def test_nobody_decides_on_their_own_request(play: Stage) -> None:
    item = ask_under(play, rule_of(play, people(play.asker, play.boss)))
    error = refused(Denied, lambda: submit(play, item.pk, play.asker))
    assert error.code == "decision.own_request"


def test_nor_with_a_second_account_of_the_same_employee(play: Stage) -> None:
    second = colleague(play, "Ada Admin")
    Person.objects.filter(pk=second.pk).update(employee_id=play.asker.employee_id)
    item = ask_under(play, rule_of(play, people(second, play.boss)))
    error = refused(Denied, lambda: submit(play, item.pk, second))
    assert error.code == "decision.own_request"


def test_two_people_without_an_employee_number_are_two(play: Stage) -> None:
    Person.objects.filter(pk__in=[play.asker.pk, play.boss.pk]).update(employee_id="")
    submit(play, play.ask().pk, play.boss)


def test_absent_and_forbidden_are_the_same(play: Stage) -> None:
    item = play.ask()
    stranger = colleague(play, "Sam Stranger")
    forbidden = refused(Missing, lambda: submit(play, item.pk, stranger))
    absent = refused(Missing, lambda: submit(play, uuid.uuid4(), stranger))
    assert (forbidden.code, forbidden.sentence, forbidden.status) == (absent.code, absent.sentence, 404)


def test_a_disabled_approver_sees_nothing_to_decide(play: Stage) -> None:
    item = play.ask()
    Person.objects.filter(pk=play.boss.pk).update(enabled=False)
    refused(Missing, lambda: submit(play, item.pk, play.boss))


@pytest.mark.parametrize("verdict", ["", "Approve", "approved", "approve ", "1' OR '1'='1"])
def test_a_verdict_is_one_of_two_words(play: Stage, verdict: str) -> None:
    item = play.ask()
    assert refused(Invalid, lambda: submit(play, item.pk, play.boss, verdict)).field == "verdict"


@pytest.mark.parametrize("comment", ["", "   ", "\n\t"])
def test_a_denial_says_why(play: Stage, comment: str) -> None:
    item = play.ask()
    assert refused(Invalid, lambda: submit(play, item.pk, play.boss, "deny", comment)).field == "comment"


@pytest.mark.parametrize("comment", ["x" * 2001, "zero \x00 byte"])
def test_a_comment_is_readable_and_short(play: Stage, comment: str) -> None:
    item = play.ask()
    assert refused(Invalid, lambda: submit(play, item.pk, play.boss, "deny", comment)).field == "comment"


def test_the_same_approver_decides_once(play: Stage) -> None:
    item = play.ask()
    submit(play, item.pk, play.boss)
    assert refused(Conflict, lambda: submit(play, item.pk, play.boss, "deny")).code == "decision.exists"


def test_what_is_over_is_not_decided(play: Stage) -> None:
    item = play.ask()
    with play.as_role("portal_web"):
        withdraw_item(item_id=item.pk, person_id=play.asker.pk, actor=make.actor(play.asker))
    error = refused(Conflict, lambda: submit(play, item.pk, play.boss))
    assert "withdrawn" in error.sentence


def test_another_stage_decides_first(play: Stage) -> None:
    later = colleague(play, "Lea Later")
    item = ask_under(play, rule_of(play, people(play.boss), people(later)))
    assert refused(Denied, lambda: submit(play, item.pk, later)).code == "decision.other_stage"


# ------------------------------------------------------------ by the worker, before it counts


REFUSALS: dict[str, tuple[Callable[[Stage], object], str]] = {
    "approver disabled": (
        lambda play: play.world.directory.set_enabled(play.boss.object_id, enabled=False),
        "approver's account is disabled or gone",
    ),
    "requester disabled": (
        lambda play: play.world.directory.set_enabled(play.asker.object_id, enabled=False),
        "requester's account is disabled or gone",
    ),
    "eligibility gone": (
        lambda play: play.world.happen(
            "eligibility_ended", group=play.world_group.id, person=play.world_asker.id
        ),
        "no longer eligible",
    ),
    "MFA demanded": (
        lambda play: policy(play, activation_rules=["MultiFactorAuthentication"]),
        "multifactor authentication",
    ),
    "ticket demanded": (lambda play: policy(play, activation_rules=["Ticketing"]), "a reference number"),
    "approval in PIM demanded": (
        lambda play: policy(play, approval_required=True),
        "PIM demands an approval that nothing waives",
    ),
    "one of PIM's own approvers demanded": (
        lambda play: policy(play, approval_required=True, approver_users=[play.asker.object_id]),
        "PIM demands the approval of one of its own approvers",
    ),
    "authentication context demanded": (
        lambda play: policy(play, authentication_context="c1"),
        "PIM demands the authentication context c1",
    ),
    "policy shorter than asked": (
        lambda play: policy(play, activation_maximum="PT30M"),
        "now allows only 30 min",
    ),
    "provisioning paused": (lambda play: play.world.provisioning.pause(), "not running (state: Paused)"),
    "provisioning in quarantine": (
        lambda play: play.world.happen("quarantine"),
        "not running (state: Quarantine)",
    ),
    "what the group opens has changed": (
        lambda play: PimGroup.objects.filter(pk=play.group.pk).update(scope_hash="other"),
        "has changed since it was asked for",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_decision_is_refused(play: Stage, case: str) -> None:
    change, sentence = REFUSALS[case]
    item = play.ask()
    decision_id = play.decide(item)
    change(play)
    assert check_decision(decision_id=decision_id) == ()
    decision = Decision.objects.get(pk=decision_id)
    assert decision.status == "refused"
    assert sentence in decision.reason
    assert decision.settled_at is not None
    assert RequestItem.objects.get(pk=item.pk).status == "pending", "somebody else may still decide"
    assert not Grant.objects.exists()
    assert Event.objects.filter(type="decision.refused", request_id=item.request_id).count() == 1
    assert check_decision(decision_id=decision_id) == (), "settled once"


def test_two_accounts_that_turn_out_to_be_one_person(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    Person.objects.filter(pk=play.boss.pk).update(employee_id=play.asker.employee_id)
    assert check_decision(decision_id=decision_id) == ()
    assert Decision.objects.get(pk=decision_id).reason == "Nobody decides on their own request."
    assert not Grant.objects.exists()


def test_two_accounts_that_are_linked_after_the_directory_was_asked(play: Stage) -> None:
    """A sync reads the link while a worker is between its check and its count."""
    decision_id = play.decide(play.ask())

    def link(point: str) -> None:
        if point == "deciding.checked":
            Person.objects.filter(pk=play.boss.pk).update(employee_id=play.asker.employee_id)

    crash.install(link)
    try:
        assert check_decision(decision_id=decision_id) == ()
    finally:
        crash.install(None)
    assert Decision.objects.get(pk=decision_id).reason == "Nobody decides on their own request."
    assert not Grant.objects.exists()


@pytest.mark.parametrize("later", ["approver", "requester"])
def test_accounts_that_the_directory_links_and_no_sync_has_read_are_one_person(
    play: Stage, later: str
) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    changed, other = (play.boss, play.asker) if later == "approver" else (play.asker, play.boss)
    assert other.mark
    play.world.directory.user(changed.object_id).employee_id = f" {other.employee_id.lower()}"
    assert check_decision(decision_id=decision_id) == ()
    assert Decision.objects.get(pk=decision_id).reason == "Nobody decides on their own request."
    assert not Grant.objects.exists()


def test_an_account_that_shares_another_value_than_the_first_is_the_requesters_too(play: Stage) -> None:
    """A sync has read it of the requester's, and none yet of the approver's."""
    Person.objects.filter(pk=play.asker.pk).update(marks=[play.asker.mark, "x-9"])
    decision_id = play.decide(play.ask())
    play.world.directory.user(play.boss.object_id).employee_id = "X-9 "
    assert check_decision(decision_id=decision_id) == ()
    assert Decision.objects.get(pk=decision_id).reason == "Nobody decides on their own request."
    assert not Grant.objects.exists()


def test_after_a_refusal_the_same_approver_may_decide_again(play: Stage) -> None:
    item = play.ask()
    play.world.provisioning.pause()
    assert check_decision(decision_id=play.decide(item)) == ()
    play.world.provisioning.start()
    assert check_decision(decision_id=play.decide(item))
    assert RequestItem.objects.get(pk=item.pk).status == "approved"


def test_a_denial_needs_neither_eligibility_nor_provisioning(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item, "deny")
    play.world.provisioning.pause()
    play.world.happen("eligibility_ended", group=play.world_group.id, person=play.world_asker.id)
    check_decision(decision_id=decision_id)
    assert RequestItem.objects.get(pk=item.pk).status == "denied"


def test_an_eligibility_that_ends_bounds_the_access(as_role: AsRole) -> None:
    with stage(as_role, eligible_for=timedelta(minutes=25)) as play:
        check_decision(decision_id=play.decide(play.ask()))
        grant = play.grant()
        assert grant.ends_at - grant.starts_at == timedelta(minutes=25)


def test_an_eligibility_that_ends_in_moments_is_refused(as_role: AsRole) -> None:
    with stage(as_role, eligible_for=timedelta(minutes=25)) as play:
        item = play.ask()
        play.step(timedelta(minutes=16))
        decision_id = play.decide(item)
        assert check_decision(decision_id=decision_id) == ()
        assert "ends within 10 min" in Decision.objects.get(pk=decision_id).reason


def test_an_eligibility_that_has_ended_is_none(as_role: AsRole) -> None:
    with stage(as_role, eligible_for=timedelta(minutes=25)) as play:
        item = play.ask()
        play.step(timedelta(minutes=26))
        decision_id = play.decide(item)
        assert check_decision(decision_id=decision_id) == ()
        assert "no longer eligible" in Decision.objects.get(pk=decision_id).reason


@pytest.mark.parametrize("still_a_member", [True, False])
def test_an_eligibility_through_a_group(play: Stage, still_a_member: bool) -> None:
    build = Builder(play.world)
    team = build.group("Team - Storefront")
    build.member(team, play.world_asker)
    build.eligible(play.world_group, team)
    play.world.happen("eligibility_ended", group=play.world_group.id, person=play.world_asker.id)
    item = play.ask()
    decision_id = play.decide(item)
    if not still_a_member:
        play.world.happen("member_removed", group=team.id, person=play.world_asker.id)
    check_decision(decision_id=decision_id)
    assert RequestItem.objects.get(pk=item.pk).status == ("approved" if still_a_member else "pending")


def eligible_colleagues(play: Stage, number: int) -> None:
    build = Builder(play.world)
    for n in range(number):
        build.eligible(play.world_group, build.user(f"colleague{n}@acme.example", f"Colleague {n}"))


def test_one_s_own_endless_eligibility_is_looked_for_nowhere_else(play: Stage) -> None:
    eligible_colleagues(play, 40)
    team = Builder(play.world).group("Team - Storefront")
    Builder(play.world).eligible(play.world_group, team)
    before = dict(play.calls.made)
    assert len(check_decision(decision_id=play.decide(play.ask()))) == 1
    assert play.calls.count("graph.GET groups") == before.get("graph.GET groups", 0)
    assert play.calls.count("graph.GET members") == before.get("graph.GET members", 0)


def test_only_groups_among_the_eligible_are_asked_for_their_members(play: Stage) -> None:
    eligible_colleagues(play, 40)
    build = Builder(play.world)
    team = build.group("Team - Storefront")
    build.member(team, play.world_asker)
    build.eligible(play.world_group, team)
    play.world.happen("eligibility_ended", group=play.world_group.id, person=play.world_asker.id)
    asked = Mock(wraps=clients().directory.read_members)
    with patch.object(type(clients().directory), "read_members", asked):
        assert len(check_decision(decision_id=play.decide(play.ask()))) == 1
    assert [call.args for call in asked.call_args_list] == [(team.id,)]
    assert play.calls.count("graph.GET groups") == 1


def test_a_group_may_be_eligible_for_longer_than_the_person(as_role: AsRole) -> None:
    with stage(as_role, eligible_for=timedelta(minutes=25)) as play:
        build = Builder(play.world)
        team = build.group("Team - Storefront")
        build.member(team, play.world_asker)
        build.eligible(play.world_group, team, ends_in=None)
        check_decision(decision_id=play.decide(play.ask()))
        assert play.grant().ends_at - play.grant().starts_at == timedelta(hours=1)


def test_the_case_of_an_object_id_means_nothing(play: Stage) -> None:
    held = fresh_eligibility(play.asker.object_id.upper(), play.group.object_id)
    assert held == EligibilityCheck(held=True, ends_at=None)


@pytest.mark.parametrize("still_a_member", [True, False])
def test_an_approver_through_a_group(play: Stage, still_a_member: bool) -> None:
    build = Builder(play.world)
    approvers = build.group("Access approvers")
    boss = play.world.directory.user(play.boss.object_id)
    build.member(approvers, boss)
    row = DirectoryGroup.objects.create(
        object_id=approvers.id, display_name=approvers.display_name, synced_at=real_now()
    )
    DirectoryMembership.objects.create(group=row, person=play.boss)
    item = ask_under(play, rule_of(play, {"people": [], "groups": [approvers.id], "quorum": 1}))
    decision_id = play.decide(item)
    if not still_a_member:
        play.world.happen("member_removed", group=approvers.id, person=boss.id)
    check_decision(decision_id=decision_id)
    decision = Decision.objects.get(pk=decision_id)
    assert decision.status == ("counted" if still_a_member else "refused")
    if not still_a_member:
        assert "no longer among those who may decide" in decision.reason
