"""Access is the union of the approved intervals: a further request lengthens what one has, without a gap."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.conf import settings

from audit.ledger.models import Event
from base import crash
from base.errors import Conflict, Invalid
from requests_app.actions.deciding import check_decision, submit_decision
from requests_app.actions.steps.starting import WAITS_FOR_THE_EARLIER
from requests_app.actions.submitting import submit_request
from requests_app.models import Decision, Grant, GrantInterval, RequestItem
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db

POST = "graph.POST assignmentScheduleRequests"
READ = "graph.GET assignmentScheduleInstances"
HOUR = timedelta(hours=1)


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def approve(play: Stage, duration: timedelta = HOUR) -> RequestItem:
    """A request that is approved at once; nobody has acted on it yet."""
    item = play.ask(duration=duration)
    check_decision(decision_id=play.decide(item))
    item.refresh_from_db()
    assert item.status == "approved", Decision.objects.filter(item=item).values_list("reason", flat=True)
    return item


def pim_end(play: Stage) -> datetime | None:
    """The end of the one assignment that PIM holds for the asker."""
    held = play.world.pim.assignment_instances(group_id=play.world_group.id, principal_id=play.world_asker.id)
    assert len(held) == 1
    return held[0].end


def check_never_gone(play: Stage, until: datetime) -> None:
    """Play to an instant and see the membership in Entra all the time."""
    while play.time.now < until - timedelta(seconds=1):
        assert play.in_entra(), play.describe()
        play.work()
        play.step(min(play._until_next(), until - timedelta(seconds=1) - play.time.now))


def events(play: Stage, prefix: str) -> list[str]:
    rows = Event.objects.filter(grant_id=play.grant().pk, type__startswith=prefix).order_by("id")
    return list(rows.values_list("type", flat=True))


@pytest.mark.parametrize("keeps_schedule", [False, pytest.param(True, marks=pytest.mark.proof)])
def test_an_extension_is_brought_to_pim_and_the_first_end_cuts_nothing(
    play: Stage, keeps_schedule: bool
) -> None:
    play.world.switches.update_keeps_schedule = keeps_schedule
    approve(play)
    first = play.play_to("active")
    play.step(timedelta(minutes=20))
    second = approve(play, timedelta(hours=2))
    grant = play.grant()
    assert grant.pk == first.pk
    assert (grant.revision, grant.ends_at) == (2, first.ends_at + timedelta(hours=2))
    assert grant.extension_owed
    assert grant.sure_until == first.ends_at, (
        "until PIM is read to hold the new end, the old one is what is sure"
    )
    span = GrantInterval.objects.get(item=second)
    assert (span.starts_at, span.ends_at) == (first.ends_at, grant.ends_at)
    play.play(lambda: not play.grant().extension_owed, at_most=timedelta(minutes=2))
    assert pim_end(play) == grant.ends_at
    assert play.grant().sure_until == grant.ends_at
    check_never_gone(play, grant.ends_at)
    assert play.grant().status == "active"
    ended = play.play_out()
    assert ended.status == "ended"
    assert ended.out_of_entra_at is not None
    assert timedelta(0) <= ended.out_of_entra_at - grant.ends_at < timedelta(minutes=2)
    assert events(play, "grant.exten") == ["grant.extended", "grant.extension_held"]
    assert events(play, "outside.extension") == ["outside.extension_sent", "outside.extension_answered"]


def test_several_extensions_add_up(play: Stage) -> None:
    approve(play)
    first = play.play_to("active")
    for _ in range(3):
        approve(play)
        play.play(lambda: not play.grant().extension_owed, at_most=timedelta(minutes=5))
    grant = play.grant()
    assert (grant.revision, grant.ends_at) == (4, first.ends_at + 3 * HOUR)
    assert pim_end(play) == grant.ends_at


def test_where_pim_refuses_the_old_end_stands_and_the_rest_is_assigned_anew(play: Stage) -> None:
    play.world.switches.update_reaches_running = False
    approve(play)
    first = play.play_to("active")
    approve(play)
    play.play(lambda: play.grant().extension_refused == 2, at_most=timedelta(minutes=2))
    grant = play.grant()
    assert grant.sure_until == first.ends_at
    assert grant.extension_problem
    assert pim_end(play) == first.ends_at
    check_never_gone(play, first.ends_at)
    play.play(
        lambda: play.grant().status == "active" and play.time.now > first.ends_at + timedelta(minutes=1)
    )
    assert play.in_entra()
    assert pim_end(play) == grant.ends_at
    assert not play.grant().extension_owed
    rows = [row for row in play.world.state.schedules.values() if row.kind == "assignment"]
    old, new = sorted(rows, key=lambda row: row.start)
    assert old.ended_at is not None
    assert new.started_at is not None
    assert old.ended_at <= new.started_at, "two assignments of one pair at once"
    ended = play.play_out()
    assert ended.status == "ended"
    assert ended.out_of_entra_at is not None
    assert ended.out_of_entra_at >= grant.ends_at
    assert events(play, "grant.continued") == ["grant.continued"]
    assert play.calls.count(POST) == 2, "a refusal for good is not repeated"
    assert ended.arrived_at == first.arrived_at, "it was usable since then"
    asked = ended.attempts.filter(kind="on_demand").latest("started_at").started_at
    assert first.ends_at <= asked < first.ends_at + timedelta(minutes=1), "asked for at once, as the first"


def test_what_became_permanent_is_looked_at_as_seldom_as_anything(as_role: AsRole) -> None:
    with stage(as_role, polls=((timedelta(days=1), timedelta(seconds=2)),)) as play:
        approve(play)
        play.play_to("active")
        for row in play.world.state.schedules.values():
            if row.kind == "assignment":
                row.end = None
        approve(play)
        before, began = play.calls.count(READ), play.time.now
        play.play(lambda: play.time.now > began + timedelta(minutes=15))
        assert play.grant().extension_owed
        assert play.calls.count(READ) - before <= 4
        ended = play.play_to("removing")
        assert ended.ends_at <= play.time.now < ended.ends_at + timedelta(seconds=5)


def test_with_too_little_left_after_a_refusal_it_ends(play: Stage) -> None:
    play.world.switches.update_reaches_running = False
    approve(play)
    first = play.play_to("active")
    approve(play, timedelta(minutes=5))
    play.play(lambda: play.time.now > first.ends_at + timedelta(minutes=2))
    assert play.grant().end_reason == "window_over"
    assert play.play_out().status == "ended"
    assert play.assignments_made() == 1


FAULTS = ("lose_request", "throttle", "error", "error_after")


@pytest.mark.parametrize(
    "fault", ["lose_answer", *(pytest.param(each, marks=pytest.mark.proof) for each in FAULTS)]
)
def test_a_lost_or_late_answer_is_a_question_that_reading_answers(play: Stage, fault: str) -> None:
    approve(play)
    play.play_to("active")
    play.world.faults.add(POST, fault)
    approve(play)
    grant = play.grant()
    play.play(lambda: not play.grant().extension_owed, at_most=timedelta(minutes=30))
    assert pim_end(play) == grant.ends_at
    assert play.assignments_made() == 1


def test_approved_before_anything_was_sent_it_is_one_assignment(play: Stage) -> None:
    approve(play)
    first = play.grant()
    approve(play)
    grant = play.grant()
    assert (grant.pk, grant.revision, grant.ends_at) == (first.pk, 2, first.ends_at + HOUR)
    play.play_to("active")
    assert pim_end(play) == grant.ends_at
    assert events(play, "outside.extension") == []


EARLIER = ("activating.looked", "write.intent_recorded")


@pytest.mark.parametrize(
    "point", ["write.answered", *(pytest.param(each, marks=pytest.mark.proof) for each in EARLIER)]
)
def test_approved_while_the_first_assignment_is_on_its_way(play: Stage, point: str) -> None:
    approve(play)
    first = play.grant()
    approved: list[str] = []

    def another(reached: str) -> None:
        if reached == point and not approved and play.grant().status == "activating":
            approved.append(reached)
            approve(play)

    crash.install(another)
    play.play_to("active")
    crash.install(None)
    assert approved
    play.play(lambda: not play.grant().extension_owed, at_most=timedelta(minutes=5))
    assert pim_end(play) == first.ends_at + HOUR
    assert play.grant().status == "active"
    assert play.assignments_made() == 1


@pytest.mark.parametrize("reaches", [False, pytest.param(True, marks=pytest.mark.proof)])
def test_approved_on_the_way_in(as_role: AsRole, reaches: bool) -> None:
    with stage(as_role, on_demand=False) as play:
        play.world.switches.update_reaches_running = reaches
        approve(play, timedelta(minutes=30))
        first = play.play_to("provisioning")
        approve(play)
        play.world.happen("quarantine")
        end = first.ends_at + HOUR
        play.play(lambda: play.time.now > first.ends_at + timedelta(minutes=3))
        assert play.grant().status == "provisioning"
        assert pim_end(play) == end
        assert events(play, "grant.continued") == ([] if reaches else ["grant.continued_on_the_way"])
        play.world.happen("quarantine_lifted")
        play.world.provisioning.run_cycle()
        play.play_to("active")


def test_a_worker_that_was_away_over_the_old_end_assigns_the_rest(play: Stage) -> None:
    approve(play)
    first = play.play_to("active")
    approve(play)
    play.step(first.ends_at - play.time.now + timedelta(minutes=10))
    assert not play.in_entra(), "PIM ended it by itself"
    play.play(play.in_entra, at_most=timedelta(minutes=2))
    assert pim_end(play) == first.ends_at + HOUR


def test_approved_when_the_window_has_just_passed_it_goes_on(play: Stage) -> None:
    approve(play)
    first = play.play_to("active")
    play.step(first.ends_at - play.time.now + timedelta(seconds=30))
    approve(play)
    grant = play.grant()
    assert grant.pk == first.pk
    assert grant.ends_at == play.time.now + HOUR, "from now, for the access had ended"
    play.play(play.in_entra, at_most=timedelta(minutes=2))


def test_what_is_being_removed_is_not_lengthened_and_the_next_waits_its_turn(play: Stage) -> None:
    approve(play)
    older = play.play_to("deprovisioning")
    approve(play, timedelta(hours=4))
    newer = play.grant()
    assert newer.pk != older.pk
    play.work()
    newer.refresh_from_db()
    assert (newer.status, newer.problem) == ("scheduled", WAITS_FOR_THE_EARLIER)
    assert play.assignments_made() == 1
    play.play(lambda: play.grant().status == "active")
    older.refresh_from_db()
    assert older.out_of_aws_at is not None
    assigned = play.grant().assigned_at
    assert assigned is not None
    assert older.out_of_aws_at <= assigned
    assert play.grant().problem == ""


def test_the_end_of_the_eligibility_bounds_it(as_role: AsRole) -> None:
    with stage(as_role, eligible_for=timedelta(minutes=100)) as play:
        approve(play)
        first = play.play_to("active")
        approve(play)
        assert first.ends_at < play.grant().ends_at < first.ends_at + timedelta(minutes=41)


def test_an_eligibility_that_ends_with_it_adds_nothing(as_role: AsRole) -> None:
    with stage(as_role, eligible_for=timedelta(minutes=63)) as play:
        approve(play)
        play.play_to("active")
        item = play.ask()
        check_decision(decision_id=play.decide(item))
        decision = Decision.objects.get(item=item)
        assert decision.status == "refused"
        assert "or the eligibility ends with it" in decision.reason
        assert play.grant().revision == 1


def test_all_together_keep_to_pims_longest_assignment(play: Stage) -> None:
    play.world.policies.policy(play.world_group.id).assignment_maximum = "PT2H30M"
    approve(play)
    play.play_to("active")
    approve(play)
    item = play.ask()
    check_decision(decision_id=play.decide(item))
    assert "last 2 h 30 min in all" in Decision.objects.get(item=item).reason
    assert play.grant().revision == 2


def ask_in_the_browser(
    play: Stage, duration: timedelta = HOUR, *, wanted_start: datetime | None = None
) -> RequestItem:
    with play.as_role("portal_web"):
        request_id = submit_request(
            requester_id=play.asker.pk,
            group_object_id=play.group.object_id,
            duration=duration,
            justification="Not finished yet, one more hour",
            reference="",
            wanted_start=wanted_start,
            actor=make.actor(play.asker),
        )
    return RequestItem.objects.get(request_id=request_id)


def test_one_who_has_it_asks_for_more_but_not_twice(play: Stage) -> None:
    approve(play)
    play.play_to("active")
    item = ask_in_the_browser(play)
    with pytest.raises(Conflict):
        ask_in_the_browser(play)
    check_decision(decision_id=play.decide(item))
    assert play.grant().revision == 2
    ask_in_the_browser(play)


def test_what_is_there_is_lengthened_by_as_little_as_pim_takes(play: Stage) -> None:
    approve(play)
    play.play_to("active")
    item = ask_in_the_browser(play, timedelta(minutes=20))
    with play.as_role("portal_web"):
        decision_id = submit_decision(
            item_id=item.pk,
            approver_id=play.boss.pk,
            verdict="approve",
            comment="",
            shown=make.shown(item),
            duration=settings.PIM_MINIMUM,
            actor=make.actor(play.boss),
        )
    check_decision(decision_id=decision_id)
    assert play.grant().revision == 2
    five = ask_in_the_browser(play, settings.PIM_MINIMUM)
    play.play_out()
    decision_id = play.decide(five)
    assert check_decision(decision_id=decision_id) == ()
    assert "there is nothing that it would lengthen" in Decision.objects.get(pk=decision_id).reason
    with pytest.raises(Invalid, match="at least 10 min"):
        ask_in_the_browser(play, settings.PIM_MINIMUM)


def test_more_than_pim_assigns_in_all_is_refused_on_the_form(play: Stage) -> None:
    type(play.group).objects.filter(pk=play.group.pk).update(assignment_maximum=timedelta(minutes=90))
    approve(play)
    play.play_to("active")
    with pytest.raises(Invalid, match="1 h 30 min in all") as refused:
        ask_in_the_browser(play)
    assert refused.value.field == "duration"
    ask_in_the_browser(play, timedelta(minutes=30))


def test_ended_early_everything_ends(play: Stage) -> None:
    approve(play)
    play.play_to("active")
    approve(play)
    play.step(timedelta(minutes=6))
    play.finish_early(play.grant())
    assert play.play_out().status == "ended"
    assert play.time.now < play.grant().ends_at + HOUR
    assert play.assignments_made() == 1


def test_a_later_start_beyond_the_window_is_a_grant_of_its_own_and_inside_it_lengthens(play: Stage) -> None:
    approve(play)
    first = play.play_to("active")
    for wanted, grants, hours in ((timedelta(hours=5), 2, 1), (timedelta(minutes=30), 2, 1.5)):
        item = ask_in_the_browser(play, wanted_start=play.time.now + wanted)
        check_decision(decision_id=play.decide(item))
        assert Grant.objects.count() == grants
        grant = Grant.objects.get(pk=first.pk)
        assert grant.ends_at - grant.starts_at == timedelta(hours=hours)
    overlapping = ask_in_the_browser(play, timedelta(hours=6))
    check_decision(decision_id=play.decide(overlapping))
    assert "for a part of that time already" in Decision.objects.get(item=overlapping).reason
