"""Moments in which a simpler life cycle would lie: each was once a way to call something what it isn't."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import transaction
from django.db.utils import ProgrammingError

from audit.ledger.models import Event
from base import crash
from catalog.models import PimGroup
from clients.registry import clients
from clients.types import AssignmentOrder, PimRequest, PimRequestStatus, Reading, Receipt
from identity.models import Person
from requests_app.actions.steps.removing import UNSEEN_FOR
from requests_app.models import Attempt, Grant
from tests.requests_app.conftest import AsRole
from tests.support.stage import Died, Stage, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


@pytest.mark.parametrize("point", ["advancing.claimed", "activating.looked"])
def test_done_between_the_look_and_the_assignment_assigns_nothing(play: Stage, point: str) -> None:
    play.decide(play.ask())
    done: list[str] = []

    def holder_is_done(reached: str) -> None:
        if reached == point and not done and play.grant().status == "activating":
            done.append(reached)
            play.finish_early(play.grant())

    crash.install(holder_is_done)
    grant = play.play_out()
    assert done
    assert play.assignments_made() == 0
    assert grant.status == "never_arrived"


def test_an_assignment_that_pim_keeps_pending_is_never_called_not_granted(play: Stage) -> None:
    order_sent: list[AssignmentOrder] = []

    def pending(order: AssignmentOrder, *, client_request_id: str) -> Reading[PimRequest]:
        order_sent.append(order)
        answer = PimRequest(
            request_id="3e7f1c5e-0000-4000-8000-000000000001",
            group_id=order.group_id,
            principal_id=order.principal_id,
            action="adminAssign",
            status=PimRequestStatus.PENDING,
            vendor_status="PendingProvisioning",
            tag=order.tag,
            schedule_id="",
            created_at=play.time.now,
            starts_at=order.starts_at,
            ends_at=order.ends_at,
        )
        return Reading(answer, Receipt(client_request_id, "graph"))

    play.decide(play.ask())
    with patch.object(clients().pim, "assign", pending):
        play.play(lambda: bool(order_sent))
        play.play(lambda: play.time.now > play.grant().ends_at)
    assert len(order_sent) == 1, "a pending request is waited for, not sent again"
    assert play.grant().status not in {"not_granted", "activating"}
    assert play.play_out().status == "never_arrived"


def test_without_the_groups_id_in_aws_nothing_is_proven(as_role: AsRole) -> None:
    with stage(as_role, on_demand=False) as play:
        play.decide(play.ask(duration=timedelta(minutes=30)))
        play.play_to("provisioning")
        PimGroup.objects.filter(pk=play.group.pk).update(store_group_id="")
        play.play_to("deprovisioning")
        play.step(timedelta(hours=3))
        play.work()
        assert play.grant().status == "deprovisioning"
        PimGroup.objects.filter(pk=play.group.pk).update(store_group_id=play.group.store_group_id)
        grant = play.play_out()
        assert grant.status in {"never_arrived", "ended"}
        assert Attempt.objects.filter(grant=grant, kind="read_aws", outcome="done").exists()


def test_a_stale_id_of_the_person_is_looked_up_again(play: Stage) -> None:
    real = play.asker.store_user_id
    Person.objects.filter(pk=play.asker.pk).update(store_user_id="00000000-0000-4000-8000-000000000000")
    play.decide(play.ask())
    play.play_to("active")
    assert Person.objects.get(pk=play.asker.pk).store_user_id == real


def test_a_membership_that_others_hold_is_told_apart(play: Stage) -> None:
    play.decide(play.ask())
    grant = play.play_to("deprovisioning")
    play.world.happen("foreign_member", group=play.world_group.id, person=play.world_asker.id)
    play.play(lambda: "didn't make" in play.grant().problem, at_most=timedelta(hours=4))
    assert play.grant().status == "deprovisioning"
    play.world.happen("member_removed", group=play.world_group.id, person=play.world_asker.id)
    assert play.play_out().pk == grant.pk


def test_a_membership_that_others_took_away_ends_the_grant(play: Stage) -> None:
    play.decide(play.ask())
    grant = play.play_to("active")
    play.world.happen("member_removed", group=play.world_group.id, person=play.world_asker.id)
    play.play_to("removing", "deprovisioning", "draining")
    assert play.time.now < grant.ends_at
    assert play.grant().end_reason == "removed_elsewhere"
    assert play.play_out().status == "ended"


def look(play: Stage) -> Grant:
    """A look that happens to be due now."""
    Grant.objects.update(next_action_at=play.time.now, retry_at=None)
    play.work()
    return play.grant()


def test_a_single_answer_that_lacks_it_ends_nothing(play: Stage) -> None:
    play.decide(play.ask())
    play.play_to("active")
    play.step(timedelta(minutes=20))
    play.world.faults.add("pim.read", "stale", seconds=7200)
    grant = look(play)
    assert (grant.status, grant.unseen_since) == ("active", play.time.now)
    play.world.faults.clear()
    play.step(UNSEEN_FOR)
    grant = look(play)
    assert (grant.status, grant.unseen_since) == ("active", None)
    assert play.play_out().end_reason == "window_over"


def test_what_others_take_away_on_its_way_is_not_waited_for_until_the_window_is_over(as_role: AsRole) -> None:
    with stage(as_role, on_demand=False) as play:
        play.decide(play.ask(duration=timedelta(hours=4)))
        play.play_to("provisioning")
        play.world.happen("quarantine")
        play.step(timedelta(minutes=11))
        unread = play.world.faults.add("graph.GET assignmentScheduleInstances", "error", count=None)
        assert (look(play).status, play.grant().unseen_since) == ("provisioning", None), "it can't be read"
        play.world.faults.remove(unread.id)
        play.step(timedelta(minutes=11))
        behind = play.world.faults.add("pim.read", "stale", seconds=7200)
        grant = look(play)
        assert (grant.status, grant.unseen_since) == ("provisioning", play.time.now)
        play.world.faults.remove(behind.id)
        play.step(UNSEEN_FOR)
        grant = look(play)
        assert (grant.status, grant.unseen_since) == ("provisioning", None)
        play.world.happen("member_removed", group=play.world_group.id, person=play.world_asker.id)
        began = play.time.now
        assert play.play_to("removing", "deprovisioning").end_reason == "removed_elsewhere"
        assert play.time.now - began < timedelta(minutes=25)
        play.world.happen("quarantine_lifted")
        assert play.play_out().problem == "It was taken out of Entra before AWS showed it."


def test_what_entra_lacked_on_the_way_is_looked_for_at_once_when_aws_shows_it(as_role: AsRole) -> None:
    with stage(as_role, on_demand=False) as play:
        play.decide(play.ask(duration=timedelta(hours=4)))
        play.play_to("provisioning")
        behind = play.world.faults.add("pim.read", "stale", seconds=7200)
        Grant.objects.update(holder_checked_at=play.time.now - timedelta(minutes=11))
        assert look(play).unseen_since is None, (
            "what was seen a moment ago is on one replica and not on another"
        )
        play.step(timedelta(minutes=45))
        grant = look(play)
        assert (grant.status, grant.unseen_since) == ("active", play.time.now)
        assert grant.next_action_at is not None
        assert grant.next_action_at <= play.time.now + UNSEEN_FOR
        play.world.faults.remove(behind.id)
        play.step(UNSEEN_FOR)
        grant = look(play)
        assert (grant.status, grant.unseen_since) == ("active", None)


def ended_early_unseen(play: Stage) -> Grant:
    """The holder is done with it, and the first look at it afterwards is a replica's that is behind."""
    play.decide(play.ask(duration=timedelta(hours=4)))
    grant = play.play_to("active")
    play.step(timedelta(minutes=20))
    play.world.faults.add("pim.read", "stale", seconds=7200)
    play.finish_early(grant)
    return look(play)


def test_a_single_answer_that_lacks_it_proves_no_removal_that_nobody_asked_for(play: Stage) -> None:
    grant = ended_early_unseen(play)
    assert (grant.status, grant.unseen_since) == ("removing", play.time.now)
    assert play.in_entra()
    play.world.faults.clear()
    grant = play.play_to("deprovisioning", "draining")
    assert not play.in_entra()
    assert grant.unseen_since is None
    assert grant.attempts.filter(kind="remove").count() == 1
    assert play.play_out().status == "ended"


def test_a_removal_that_somebody_else_was_faster_with_is_believed_when_two_answers_say_so(
    play: Stage,
) -> None:
    play.decide(play.ask())
    grant = play.play_to("active")
    play.step(timedelta(minutes=20))
    play.world.happen("member_removed", group=play.world_group.id, person=play.world_asker.id)
    play.finish_early(grant)
    began = play.time.now
    grant = play.play_to("deprovisioning", "draining")
    assert UNSEEN_FOR <= play.time.now - began < 2 * UNSEEN_FOR
    assert not grant.attempts.filter(kind="remove").exists()


def test_what_two_answers_were_wrong_about_is_found_when_a_cycle_leaves_aws_as_it_is(play: Stage) -> None:
    ended_early_unseen(play)
    play.step(UNSEEN_FOR)
    look(play)
    assert play.grant().status == "deprovisioning"
    assert play.in_entra()
    play.world.faults.clear()
    play.play(lambda: play.grant().status == "removing", at_most=timedelta(hours=2))
    assert play.play_out().status == "ended"
    assert not play.in_entra()
    told = Event.objects.filter(type="grant.assigned_again")
    assert told.exists()


def test_a_look_that_comes_sooner_is_no_second_one(play: Stage) -> None:
    play.decide(play.ask())
    play.play_to("active")
    play.step(timedelta(minutes=20))
    play.world.happen("member_removed", group=play.world_group.id, person=play.world_asker.id)
    first = look(play).unseen_since
    play.step(UNSEEN_FOR - timedelta(seconds=1))
    grant = look(play)
    assert (grant.status, grant.unseen_since) == ("active", first)
    play.step(timedelta(seconds=1))
    assert look(play).end_reason == "removed_elsewhere"


def test_what_somebody_else_holds_instead_is_believed_at_once(play: Stage) -> None:
    play.decide(play.ask())
    play.play_to("active")
    play.step(timedelta(minutes=20))
    play.world.happen("member_removed", group=play.world_group.id, person=play.world_asker.id)
    play.world.happen("foreign_member", group=play.world_group.id, person=play.world_asker.id)
    assert look(play).end_reason == "removed_elsewhere"


def test_a_newer_grant_does_not_keep_the_older_one_open(play: Stage) -> None:
    play.decide(play.ask())
    older = play.play_to("draining")
    assert older.last_possible_use_at is not None
    last_use = older.last_possible_use_at
    play.decide(play.ask(duration=timedelta(hours=8)))
    play.play(lambda: play.time.now > last_use + timedelta(minutes=30))
    assert Grant.objects.get(pk=older.pk).status == "ended"
    assert play.grant().status == "active"


def test_what_reappears_while_sessions_run_out_is_removed_again(play: Stage) -> None:
    play.decide(play.ask())
    older = play.play_to("draining")
    play.world.happen("foreign_store_member", group=play.world_group.id, person=play.world_asker.id)
    play.play_to("removing", "deprovisioning")
    assert older.last_possible_use_at is not None
    assert play.time.now < older.last_possible_use_at, "it is looked for before the end, not only at the end"


def test_the_web_process_can_not_stop_the_work_on_a_grant(play: Stage, as_role: AsRole) -> None:
    play.decide(play.ask())
    grant = play.play_to("active")
    with (
        as_role("portal_web"),
        pytest.raises(ProgrammingError, match="only by moving it"),
        transaction.atomic(),
    ):
        Grant.objects.filter(pk=grant.pk).update(next_action_at=None)


@pytest.mark.parametrize("poll", [timedelta(seconds=5), timedelta(minutes=20)])
def test_asks_for_provisioning_that_were_lost_are_made_again_before_a_short_window_is_over(
    as_role: AsRole, poll: timedelta
) -> None:
    """Each may never have reached Entra, whose cycle comes after forty minutes; so it is where a worker died over one."""
    with stage(as_role, polls=((timedelta(days=1), poll),)) as play:
        play.world.faults.add("graph.POST provisionOnDemand", "lose_request", count=2)
        play.decide(play.ask(duration=timedelta(minutes=10)))
        grant = play.play_to("active", "removing")
        assert grant.arrived_at is not None
        assert grant.assigned_at is not None
        assert grant.arrived_at - grant.assigned_at < timedelta(minutes=3)
        assert grant.attempts.filter(kind="on_demand").count() == 3


def test_a_worker_that_dies_over_an_ask_for_provisioning_costs_a_minute_or_two(play: Stage) -> None:
    def die_over_the_ask(reached: str) -> None:
        if reached == "write.intent_recorded" and play.grant().status == "provisioning":
            crash.install(None)
            raise Died(reached)

    play.decide(play.ask(duration=timedelta(minutes=10)))
    crash.install(die_over_the_ask)
    with pytest.raises(Died):
        play.play_to("active")
    began = play.time.now
    play.play_to("active", "removing")
    assert play.time.now - began < timedelta(minutes=3)
