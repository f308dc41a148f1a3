"""An approval stands on the right of whoever gave it, until access begins: the right is asked again at the start."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from audit.ledger.models import Event
from base.clock import business_now, real_now
from catalog.models import ProvisioningState
from identity.models import DirectoryGroup, DirectoryMembership, Person
from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciders import (
    ASKED_JUST_NOW,
    decider_unfit,
    fallen_approval,
    fallen_words,
    look_at,
)
from requests_app.actions.deciding import check_decision
from requests_app.models import Decision, Grant, RequestItem
from requests_app.waivers.settling import check_waiver
from simulator.sample.builder import Builder
from tests.requests_app import waiver_scene
from tests.requests_app.deciding_scene import ask_under, colleague, people, play, rule_of, submit
from tests.requests_app.test_rechecking import held_up, is_not_sent
from tests.requests_app.test_scheduled_starts import DAY, ask
from tests.requests_app.test_standing_in import away
from tests.support.stage import Stage

__all__ = ["play"]
pytestmark = pytest.mark.django_db

POST = "graph.POST assignmentScheduleRequests"
USERS = "graph.GET users"
LATER = timedelta(hours=40)
type Change = Callable[[Stage, Person], object]


@pytest.fixture(autouse=True)
def provisioning(play: Stage) -> None:
    ProvisioningState.objects.create(
        job_id="job", code="Active", last_cycle_completed=True, observed_at=business_now()
    )


def disabled(play: Stage, who: Person) -> None:
    play.world.directory.user(who.object_id).account_enabled = False


def deleted(play: Stage, who: Person) -> None:
    del play.world.state.users[who.object_id]


def guest(play: Stage, who: Person) -> None:
    play.world.directory.user(who.object_id).user_type = "Guest"


def the_requester(play: Stage, who: Person) -> None:
    """Two accounts turn out to be one human's."""
    Person.objects.filter(pk=who.pk).update(employee_id=play.asker.employee_id)


GONE = [
    (disabled, "disabled or gone"),
    (deleted, "disabled or gone"),
    (guest, "guest"),
]
CHANGES = pytest.mark.parametrize(
    ("happens", "words"),
    [*GONE, (the_requester, "own request")],
)


def count(play: Stage, item: RequestItem, who: Person) -> None:
    """Somebody's approval is counted, and nobody has acted on what follows."""
    decision = submit(play, item.pk, who)
    check_decision(decision_id=decision)
    assert Decision.objects.get(pk=decision).status == "counted", Decision.objects.get(pk=decision).reason


def not_started(play: Stage, who: Person, words: str) -> Grant:
    grant = play.play_to("not_granted", "provisioning", "active")
    assert grant.status == "not_granted", play.describe()
    assert who.display_name in grant.problem
    assert words in grant.problem
    assert "void" in grant.problem
    assert "ask again" in grant.problem
    assert play.calls.count(POST) == 0
    assert Event.objects.get(type="grant.not_started").data["fields"]["problem"] == grant.problem
    return grant


@CHANGES
def test_an_approver_who_left_before_a_start_much_later(play: Stage, happens: Change, words: str) -> None:
    play.decide(ask(play, business_now() + LATER))
    play.play_to("scheduled")
    play.step(DAY)
    happens(play, play.boss)
    not_started(play, play.boss, words)


def test_an_approver_who_is_there_still_at_a_start_much_later(play: Stage) -> None:
    play.decide(ask(play, business_now() + LATER))
    assert play.play_to("active", "not_granted").status == "active"


def test_an_approver_who_is_no_longer_in_the_approver_group(play: Stage) -> None:
    build = Builder(play.world)
    approvers = build.group("Access approvers")
    build.member(approvers, play.world.directory.user(play.boss.object_id))
    row = DirectoryGroup.objects.create(
        object_id=approvers.id, display_name=approvers.display_name, synced_at=real_now()
    )
    DirectoryMembership.objects.create(group=row, person=play.boss)
    rule_of(play, {"people": [], "groups": [approvers.id], "quorum": 1})
    play.decide(ask(play, business_now() + DAY))
    play.play_to("scheduled")
    play.world.happen("member_removed", group=approvers.id, person=play.boss.object_id)
    not_started(play, play.boss, "no longer among those who may decide")


@pytest.mark.parametrize(("happens", "words"), GONE)
@pytest.mark.parametrize("stages", ["two stages", "a quorum of two"])
def test_the_first_approver_left_before_the_last_word(
    play: Stage, stages: str, happens: Change, words: str
) -> None:
    lea = colleague(play, "Lea Later")
    two = [people(play.boss), people(lea)] if stages == "two stages" else [people(play.boss, lea, quorum=2)]
    item = ask_under(play, rule_of(play, *two), duration=timedelta(hours=4))
    count(play, item, play.boss)
    play.step(timedelta(minutes=30))
    happens(play, play.boss)
    count(play, item, lea)
    not_started(play, play.boss, words)


def test_two_who_are_both_there_still(play: Stage) -> None:
    lea = colleague(play, "Lea Later")
    item = ask_under(play, rule_of(play, people(play.boss), people(lea)), duration=timedelta(hours=4))
    count(play, item, play.boss)
    play.step(timedelta(minutes=30))
    count(play, item, lea)
    assert play.play_to("active", "not_granted").status == "active"


def test_a_word_that_was_counted_within_the_minute_is_not_asked_about_again(play: Stage) -> None:
    lea = colleague(play, "Lea Later")
    item = ask_under(play, rule_of(play, people(play.boss, lea, quorum=2)))
    count(play, item, play.boss)
    play.step(ASKED_JUST_NOW - timedelta(seconds=1))
    count(play, item, lea)
    before = play.calls.count(USERS)
    advance_grant(grant_id=play.grant().pk)
    item.refresh_from_db()
    assert play.grant().status != "scheduled"
    assert play.calls.count(USERS) == before
    assert fallen_words(item) == {}
    disabled(play, play.boss)
    assert fallen_approval([item]) == ""
    play.step(timedelta(seconds=1))
    assert play.boss.display_name in fallen_approval([item])


def test_a_delegate_whose_principal_left(play: Stage) -> None:
    dora = colleague(play, "Dora Deputy")
    away(play, play.boss, dora)
    play.decide(ask(play, business_now() + LATER), who=dora)
    play.play_to("scheduled")
    disabled(play, play.boss)
    not_started(play, dora, "in whose right the delegate decided")


def test_a_delegate_whose_principal_is_back_has_approved_all_the_same(play: Stage) -> None:
    dora = colleague(play, "Dora Deputy")
    away(play, play.boss, dora)
    play.decide(ask(play, business_now() + LATER), who=dora)
    assert play.play_to("active", "not_granted").status == "active"


def test_a_guest_whom_the_rule_lets_decide_stands(play: Stage) -> None:
    rule_of(play, people(play.boss), guests_decide=True)
    play.decide(ask(play, business_now() + DAY))
    play.play_to("scheduled")
    guest(play, play.boss)
    assert play.play_to("active", "not_granted").status == "active"


@pytest.mark.parametrize("stage", [1, 7, -1])
def test_a_word_for_a_stage_that_is_not_there_counts_for_nothing(play: Stage, stage: int) -> None:
    play.decide(ask(play, business_now() + DAY))
    play.play_to("scheduled")
    item = RequestItem.objects.get()
    word = Decision.objects.get()
    word.stage = stage
    assert "no longer among those who may decide" in decider_unfit(word, item.terms.parsed, look_at(word))


def test_what_can_not_be_read_is_asked_again_and_never_taken_for_a_yes(play: Stage) -> None:
    play.decide(ask(play, business_now() + DAY))
    play.play_to("scheduled")
    play.step(DAY)
    play.world.faults.add(USERS, "error", count=2, status=503)
    play.work()
    grant = play.grant()
    assert (grant.status, grant.problem_code) == ("scheduled", "waiting")
    assert play.play_to("active", "not_granted").status == "active"


@CHANGES
def test_an_approver_who_left_while_the_assignment_could_not_leave(
    play: Stage, happens: Change, words: str
) -> None:
    held_up(play)
    happens(play, play.boss)
    grant = is_not_sent(play, words)
    assert play.boss.display_name in grant.problem


def test_an_emergency_has_no_approver_to_ask_about(play: Stage) -> None:
    waiver_scene.only_rule(play, waiver_scene.emergency(play.asker, reviewers=[play.boss]))
    item = waiver_scene.ask(play)
    check_waiver(waiver_id=waiver_scene.waiver_of(item).pk)
    disabled(play, play.boss)
    play.world.faults.add("graph.GET assignmentScheduleInstances", "throttle", count=1, retry_after=120)
    assert play.play_to("active", "not_granted").status == "active", play.describe()


@pytest.mark.parametrize("left", [False, True])
def test_what_lengthens_access_needs_all_who_approved_it(play: Stage, left: bool) -> None:
    """It takes effect with the last word, without a start of its own."""
    play.decide(play.ask(duration=timedelta(hours=2)))
    first = play.play_to("active")
    lea = colleague(play, "Lea Later")
    item = ask_under(play, rule_of(play, people(play.boss), people(lea)))
    count(play, item, play.boss)
    play.step(timedelta(minutes=5))
    if left:
        disabled(play, play.boss)
    last = submit(play, item.pk, lea)
    check_decision(decision_id=last)
    word, grant = Decision.objects.get(pk=last), play.grant()
    assert word.status == ("refused" if left else "counted")
    assert (grant.ends_at == first.ends_at) is left
    if left:
        assert play.boss.display_name in word.reason
        assert "ask again" in word.reason
