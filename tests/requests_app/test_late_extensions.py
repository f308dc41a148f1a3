"""An extension that leaves late is held to what a first assignment is held to; what runs keeps its own end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings

from audit.ledger.models import Event
from requests_app.actions.deciding import check_decision
from requests_app.lifecycle import TERMINAL, EndReason
from requests_app.models import Decision, Grant
from requests_app.overdue import overdue, overdue_grants
from tests.requests_app.deciding_scene import ask_under, colleague, people, play, rule_of
from tests.requests_app.test_extending import READ, approve, pim_end
from tests.requests_app.test_rechecking import CHANGES, ELIGIBILITY, POST, USERS
from tests.support.stage import Stage

__all__ = ["play"]
pytestmark = pytest.mark.django_db

# Longer than what was asked just now, and shorter than until the holder is looked at anew.
HELD_UP = timedelta(minutes=2)
type Change = Callable[[Stage], object]


def approver_left(play: Stage) -> None:
    play.world.directory.user(play.boss.object_id).account_enabled = False


def held_up(play: Stage, status: str = "active") -> Grant:
    """Access that was extended, and whose new end Entra has kept from leaving; gives it as it was before."""
    approve(play)
    first = play.play_to(status)
    play.world.faults.add(READ, "throttle", count=1, retry_after=int(HELD_UP.total_seconds()))
    approve(play)
    play.work()
    assert play.grant().extension_owed
    return first


def told(play: Stage) -> bool:
    grant = play.grant()
    return grant.extension_refused == 2 or not grant.extension_owed


@pytest.mark.parametrize(("happens", "words"), [*CHANGES.args[1], (approver_left, "doesn't stand any more")])
def test_what_does_not_stand_any_more_is_not_sent(play: Stage, happens: Change, words: str) -> None:
    first = held_up(play)
    happens(play)
    play.play(lambda: told(play), at_most=timedelta(minutes=4))
    grant = play.grant()
    assert (grant.status, grant.extension_refused) == ("active", 2)
    assert words in grant.extension_problem
    assert grant.sure_until == pim_end(play) == first.ends_at
    assert play.calls.count(POST) == 1
    event = Event.objects.get(type="grant.extension_not_sent").data["fields"]
    assert event["problem"] == grant.extension_problem


def test_it_ends_when_it_would_have_and_another_approval_does_not_lengthen_it(play: Stage) -> None:
    first = held_up(play)
    approver_left(play)
    play.play(lambda: told(play), at_most=timedelta(minutes=4))
    item = ask_under(play, rule_of(play, people(lea := colleague(play, "Lea Later"))))
    check_decision(decision_id=play.decide(item, who=lea))
    assert "again once it has ended" in Decision.objects.get(item=item).reason
    play.play(lambda: play.grant().status in TERMINAL)
    ended = play.grant()
    assert (ended.status, ended.revision) == ("ended", 2)
    assert ended.out_of_entra_at is not None
    assert ended.out_of_entra_at - first.ends_at < timedelta(minutes=2)
    assert play.assignments_made() == 1


@pytest.mark.parametrize("status", ["active", "provisioning"])
def test_where_pim_does_not_end_it_then_it_is_overdue_from_there_and_taken_out(
    play: Stage, status: str
) -> None:
    if status == "provisioning":
        play.world.faults.add("graph.POST provisionOnDemand", "error", count=None)
    first = held_up(play, status)
    if status == "provisioning":
        play.world.happen("quarantine")
    approver_left(play)
    play.play(lambda: told(play), at_most=timedelta(minutes=4))
    assert play.grant().fell_back_to == play.grant().stands_until == first.ends_at
    play.world.happen("expiry_late", group=play.world_group.id, person=play.world_asker.id, minutes="300")
    play.world.faults.add(POST, "error", count=None)
    play.play(lambda: play.time.now > first.ends_at + settings.OVERDUE_ENTRA + timedelta(seconds=20))
    assert [each.grant for each in overdue_grants()] == [play.grant()]
    play.play(lambda: play.time.now > first.ends_at + timedelta(minutes=25))
    late = overdue(play.grant())
    assert late is not None, play.describe()
    assert [late.grant] == [each.grant for each in overdue_grants()]
    assert (late.hop, late.since) == ("Entra", first.ends_at + settings.OVERDUE_ENTRA)
    assert (late.grant.status, late.grant.end_reason) == ("removing", EndReason.WINDOW_OVER)
    assert Event.objects.filter(type="grant.overdue").exists()
    play.world.faults.clear()
    play.play_to("deprovisioning", *TERMINAL)
    assert not play.in_entra()
    assert play.time.now - first.ends_at < timedelta(hours=1), "it stayed for what doesn't stand"


def test_an_ask_that_arrives_after_it_fell_brings_no_later_end(play: Stage) -> None:
    first = held_up(play)
    approver_left(play)
    play.play(lambda: told(play), at_most=timedelta(minutes=4))
    play.step(timedelta(minutes=14))  # so that looks don't fall on the end by themselves
    state = play.world.state
    schedule = next(row for row in state.schedules.values() if row.id == play.grant().pim_schedule_id)
    state.due = [due for due in state.due if due.arguments.get("schedule_id") != schedule.id]
    schedule.end = play.grant().ends_at  # asked for before, and lost on the way until now
    play.play(lambda: not play.grant().extension_owed, at_most=timedelta(minutes=15))
    assert play.grant().stands_until == first.ends_at
    play.play(lambda: play.grant().status in TERMINAL)
    ended = play.grant()
    assert ended.out_of_entra_at is not None
    assert ended.out_of_entra_at - first.ends_at < timedelta(minutes=4), "it stayed for what doesn't stand"


def test_what_stands_again_at_the_earlier_end_is_assigned_anew_and_lasts(play: Stage) -> None:
    first = held_up(play)
    approver_left(play)
    play.play(lambda: told(play), at_most=timedelta(minutes=4))
    fallen = play.grant()
    fallen.status = "activating"  # what stands after all, while it is assigned anew
    assert (play.grant().stands_until, fallen.stands_until) == (first.ends_at, fallen.ends_at)
    play.world.directory.user(play.boss.object_id).account_enabled = True
    play.play(lambda: play.assignments_made() == 2, at_most=timedelta(hours=2))
    again = play.play_to("active")
    assert (again.fell_back_to, again.stands_until) == (None, first.ends_at + timedelta(hours=1))
    assert play.play_out().end_reason == EndReason.WINDOW_OVER


def test_what_stands_is_sent_late_although_who_approved_the_first_time_has_left(play: Stage) -> None:
    approve(play)
    first = play.play_to("active")
    play.world.faults.add(READ, "throttle", count=1, retry_after=int(HELD_UP.total_seconds()))
    item = ask_under(play, rule_of(play, people(lea := colleague(play, "Lea Later"))))
    check_decision(decision_id=play.decide(item, who=lea))
    play.work()
    approver_left(play)
    play.play(lambda: told(play), at_most=timedelta(minutes=4))
    assert pim_end(play) == play.grant().ends_at == first.ends_at + timedelta(hours=1)


def test_what_leaves_at_once_is_not_asked_about_twice(play: Stage) -> None:
    approve(play)
    play.play_to("active")
    approve(play)
    asked = play.calls.count(USERS), play.calls.count(ELIGIBILITY)
    play.play(lambda: told(play), at_most=timedelta(minutes=1))
    assert not play.grant().extension_owed
    assert (play.calls.count(USERS), play.calls.count(ELIGIBILITY)) == asked


@pytest.mark.parametrize("unreadable", [ELIGIBILITY, USERS])
def test_what_can_not_be_read_is_waited_for_and_never_taken_for_a_yes(play: Stage, unreadable: str) -> None:
    held_up(play)
    play.world.faults.add(unreadable, "error", count=3, status=503)
    play.play(lambda: bool(play.grant().extension_problem), at_most=timedelta(minutes=4))
    assert play.calls.count(POST) == 1
    play.play(lambda: told(play), at_most=timedelta(minutes=4))
    assert pim_end(play) == play.grant().ends_at
    assert play.grant().extension_problem == ""
