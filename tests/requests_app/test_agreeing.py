"""Several who decide: a quorum, stages, one word for each human, and somebody who was faster."""

from __future__ import annotations

import uuid
from datetime import timedelta
from uuid import UUID

import pytest

from audit.ledger.models import Event
from base.errors import Conflict, Denied
from identity.models import Person
from requests_app.actions.deciding import check_decision
from requests_app.actions.sweeping import lapse_unanswered
from requests_app.actions.withdrawing import withdraw_item
from requests_app.models import Decision, Grant, RequestItem
from requests_app.selectors import decision_page, waiting_count, waits_for
from tests.requests_app import factories as make
from tests.requests_app.deciding_scene import (
    ask_under,
    colleague,
    people,
    play,
    refused,
    rule_of,
    second_account,
    submit,
)
from tests.support.stage import Stage

__all__ = ["play"]
pytestmark = pytest.mark.django_db


# ------------------------------------------------------------ a quorum and stages


def test_two_must_agree(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other, quorum=2)))
    assert check_decision(decision_id=play.decide(item)) == ()
    assert RequestItem.objects.get(pk=item.pk).status == "pending"
    assert refused(Conflict, lambda: submit(play, item.pk, play.boss)).code == "decision.exists"
    assert len(check_decision(decision_id=play.decide(item, who=other))) == 1
    assert RequestItem.objects.get(pk=item.pk).status == "approved"
    assert Grant.objects.count() == 1


def test_one_denial_is_enough_whatever_the_quorum(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other, quorum=2)))
    check_decision(decision_id=play.decide(item))
    check_decision(decision_id=play.decide(item, "deny", who=other))
    assert RequestItem.objects.get(pk=item.pk).status == "denied"
    assert not Grant.objects.exists()


def test_one_stage_after_the_other(play: Stage) -> None:
    later = colleague(play, "Lea Later")
    item = ask_under(play, rule_of(play, people(play.boss), people(later)))
    assert check_decision(decision_id=play.decide(item)) == ()
    item.refresh_from_db()
    assert (item.status, item.stage) == ("pending", 1)
    assert refused(Denied, lambda: submit(play, item.pk, play.boss)).code == "decision.other_stage"
    assert len(check_decision(decision_id=play.decide(item, who=later))) == 1
    assert RequestItem.objects.get(pk=item.pk).status == "approved"


def test_a_decision_for_a_stage_that_is_over_does_not_count(play: Stage) -> None:
    other, later = colleague(play, "Olga Other"), colleague(play, "Lea Later")
    item = ask_under(play, rule_of(play, people(play.boss, other), people(later)))
    first, second = play.decide(item), play.decide(item, "deny", who=other)
    check_decision(decision_id=first)
    check_decision(decision_id=second)
    decision = Decision.objects.get(pk=second)
    assert decision.status == "refused"
    assert "stage" in decision.reason


# ------------------------------------------------------------ one human, one word


def test_a_second_account_is_no_second_approver(play: Stage) -> None:
    twin = second_account(play, play.boss)
    item = ask_under(play, rule_of(play, people(play.boss, twin, quorum=2)))
    check_decision(decision_id=play.decide(item))
    assert refused(Conflict, lambda: submit(play, item.pk, twin)).code == "decision.exists"
    assert RequestItem.objects.get(pk=item.pk).status == "pending"
    for who in (play.boss, twin):
        assert waiting_count(waits_for(who)) == 0
        assert not decision_page(who, item.pk).may_decide


@pytest.mark.parametrize("by_second_account", [True, False])
def test_who_approved_one_stage_does_not_approve_another(play: Stage, by_second_account: bool) -> None:
    who = second_account(play, play.boss) if by_second_account else play.boss
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss), people(who, other)))
    check_decision(decision_id=play.decide(item))
    assert refused(Conflict, lambda: submit(play, item.pk, who)).code == "decision.exists"
    assert waiting_count(waits_for(who)) == 0
    assert not decision_page(who, item.pk).may_decide
    assert waiting_count(waits_for(other)) == 1
    assert decision_page(other, item.pk).may_decide
    assert len(check_decision(decision_id=play.decide(item, who=other))) == 1


@pytest.mark.parametrize("later_first", [True, False])
def test_two_approvers_that_turn_out_to_be_one_person(play: Stage, later_first: bool) -> None:
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other, quorum=2)))
    earlier = play.decide(item)
    play.step(timedelta(seconds=1))
    later = play.decide(item, who=other)
    Person.objects.filter(pk=other.pk).update(employee_id=play.boss.employee_id)
    for decision_id in (later, earlier) if later_first else (earlier, later):
        assert check_decision(decision_id=decision_id) == ()
    assert Decision.objects.get(pk=earlier).status == "counted"
    assert "decides once" in Decision.objects.get(pk=later).reason
    assert not Grant.objects.exists()


@pytest.mark.parametrize("whose", ["each other's", "the requester's"])
def test_counted_approvers_who_turn_out_to_be_one_person_carry_no_later_word(play: Stage, whose: str) -> None:
    second, third = colleague(play, "Olga Other"), colleague(play, "Theo Third")
    item = ask_under(play, rule_of(play, people(play.boss, second, third, quorum=3)))
    check_decision(decision_id=play.decide(item))
    check_decision(decision_id=play.decide(item, who=second))
    of = play.boss if whose == "each other's" else play.asker
    Person.objects.filter(pk=second.pk).update(employee_id=of.employee_id)
    last = play.decide(item, who=third)
    assert check_decision(decision_id=last) == ()
    assert "turned out to be one person's" in Decision.objects.get(pk=last).reason
    assert RequestItem.objects.get(pk=item.pk).status == "pending"
    assert not Grant.objects.exists()


def test_one_stage_s_approver_is_refused_at_the_next_by_the_worker_too(play: Stage) -> None:
    item = ask_under(play, rule_of(play, people(play.boss), people(play.boss)))
    check_decision(decision_id=play.decide(item))
    item.refresh_from_db()
    with play.as_role("portal_web"):
        decision_id = make.submitted_decision(item, play.boss)
    assert check_decision(decision_id=decision_id) == ()
    assert "decides once" in Decision.objects.get(pk=decision_id).reason
    assert not Grant.objects.exists()


def test_an_approver_who_became_a_guest_does_not_decide(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    play.world.directory.user(play.boss.object_id).user_type = "Guest"
    assert check_decision(decision_id=decision_id) == ()
    assert "is a guest" in Decision.objects.get(pk=decision_id).reason
    assert RequestItem.objects.get(pk=item.pk).status == "pending"


@pytest.mark.parametrize(("mark", "counts"), [("E-9", True), (" ", False)])
def test_a_guest_whose_account_says_nothing_of_whose_it_is_does_not_decide(
    play: Stage, mark: str, counts: bool
) -> None:
    Person.objects.filter(pk=play.boss.pk).update(employee_id=mark)
    item = ask_under(play, rule_of(play, people(play.boss), guests_decide=True))
    decision_id = submit(play, item.pk, play.boss)
    play.world.directory.user(play.boss.object_id).user_type = "Guest"
    check_decision(decision_id=decision_id)
    decision = Decision.objects.get(pk=decision_id)
    assert (decision.status == "counted") is counts, decision.reason
    assert counts or "doesn't say whose it is" in decision.reason


# ------------------------------------------------------------ somebody was faster


def test_withdrawn_before_it_counted(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    with play.as_role("portal_web"):
        withdraw_item(item_id=item.pk, person_id=play.asker.pk, actor=make.actor(play.asker))
    assert check_decision(decision_id=decision_id) == ()
    assert "was withdrawn before this decision" in Decision.objects.get(pk=decision_id).reason


def test_denied_by_another_before_it_counted(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other)))
    approval, denial = play.decide(item), play.decide(item, "deny", who=other)
    check_decision(decision_id=denial)
    assert check_decision(decision_id=approval) == ()
    assert "was denied before this decision" in Decision.objects.get(pk=approval).reason
    assert not Grant.objects.exists()


def test_what_is_being_checked_does_not_lapse_and_what_lapsed_is_not_decided(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    play.step(timedelta(days=1, seconds=1))
    assert lapse_unanswered() == 0, "the decision was made in time"
    play.world.provisioning.pause()
    check_decision(decision_id=decision_id)
    assert lapse_unanswered() == 1
    error = refused(Conflict, lambda: submit(play, item.pk, play.boss))
    assert "lapsed" in error.sentence


def test_what_nobody_answered_in_time_is_not_decided_even_when_no_sweep_ran(play: Stage) -> None:
    item = play.ask()
    play.step(timedelta(days=1) - timedelta(seconds=1))
    assert waiting_count(waits_for(play.boss)) == 1
    play.step(timedelta(seconds=1))
    assert refused(Conflict, lambda: submit(play, item.pk, play.boss)).code == "item.lapsed"
    assert waiting_count(waits_for(play.boss)) == 0
    assert not decision_page(play.boss, item.pk).may_decide


def test_what_was_decided_in_time_counts_later(play: Stage) -> None:
    decision_id = play.decide(play.ask())
    play.step(timedelta(days=2))
    assert lapse_unanswered() == 0
    assert len(check_decision(decision_id=decision_id)) == 1


def late_decision(play: Stage, item: RequestItem) -> UUID:
    """A decision stored at the lapse: by a web process whose clock, or whose mind, is not the worker's."""
    play.step(timedelta(days=1))
    with play.as_role("portal_web"):
        return make.submitted_decision(item, play.boss)


def test_a_late_decision_does_not_keep_a_request_alive(play: Stage) -> None:
    item = play.ask()
    decision_id = late_decision(play, item)
    assert lapse_unanswered() == 1
    assert check_decision(decision_id=decision_id) == ()
    assert RequestItem.objects.get(pk=item.pk).status == "lapsed"


def test_a_late_decision_does_not_count_before_the_sweep_either(play: Stage) -> None:
    decision_id = late_decision(play, play.ask())
    assert check_decision(decision_id=decision_id) == ()
    assert "after the request had lapsed" in Decision.objects.get(pk=decision_id).reason
    assert not Grant.objects.exists()


def test_access_that_one_has_already_is_lengthened(play: Stage) -> None:
    first = check_decision(decision_id=play.decide(play.ask()))
    assert check_decision(decision_id=play.decide(play.ask())) == first
    assert Grant.objects.get().revision == 2


def test_a_rule_that_judges_no_more_decides_no_more(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    rule_of(play, people(play.boss))
    assert check_decision(decision_id=decision_id) == ()
    assert "Other rules judge" in Decision.objects.get(pk=decision_id).reason


def test_checking_again_changes_nothing(play: Stage) -> None:
    decision_id = play.decide(play.ask())
    assert len(check_decision(decision_id=decision_id)) == 1
    events = Event.objects.count()
    assert check_decision(decision_id=decision_id) == ()
    assert check_decision(decision_id=uuid.uuid4()) == ()
    assert Event.objects.count() == events
    assert Grant.objects.count() == 1
