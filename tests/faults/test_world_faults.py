"""Clouds that fail, lie about the past, or are changed by others: the grant still ends right.

Each play runs the real actions against a fresh world and lets it misbehave at one operation, or makes
something happen behind the portal's back.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.test import override_settings

from audit.ledger.models import Event
from requests_app.actions.deciding import check_decision
from requests_app.actions.sweeping import sweep
from requests_app.models import Grant
from simulator.sample.builder import ADMINISTRATION
from simulator.world.pim import Ask
from simulator.world.state import Expiration
from tests.requests_app.conftest import AsRole
from tests.support.seldom import seldom
from tests.support.stage import Stage, check_invariants, stage

pytestmark = pytest.mark.usefixtures("committed_db")

POST = "graph.POST assignmentScheduleRequests"
ON_DEMAND = "graph.POST provisionOnDemand"
ACTIVATION_READS = (
    "graph.GET users",
    "graph.GET eligibilityScheduleInstances",
    "graph.GET roleManagementPolicyAssignments",
    "graph.GET jobs",
    "graph.GET groups",
    "graph.GET assignmentScheduleInstances",
    "graph.GET assignmentScheduleRequests",
    "aws.identitystore.IsMemberInGroups",
)
REMOVAL_OPERATIONS = (
    "graph.GET groups",
    "graph.GET assignmentScheduleInstances",
    "graph.GET assignmentScheduleRequests",
    "graph.GET jobs",
    "aws.identitystore.IsMemberInGroups",
    POST,
)
KINDS = ("throttle", "error", "lose_request", "lose_answer", "error_after")
MOMENTS = {"activating": (*ACTIVATION_READS, POST, ON_DEMAND), "giving back": REMOVAL_OPERATIONS}


# What fails in every test run; every operation in every way is in the proof tier.
OFTEN = {
    (POST, "lose_answer"),
    (ON_DEMAND, "error"),
    ("graph.GET groups", "throttle"),
    ("aws.identitystore.IsMemberInGroups", "lose_request"),
}
CASES = [
    pytest.param(moment, operation, kind, marks=() if (operation, kind) in OFTEN else pytest.mark.proof)
    for moment, operations in MOMENTS.items()
    for operation in operations
    for kind in KINDS
]


@pytest.mark.parametrize(("moment", "operation", "kind"), CASES)
def test_an_operation_fails_twice(as_role: AsRole, moment: str, operation: str, kind: str) -> None:
    with stage(as_role) as play:
        item = play.ask()
        play.decide(item)
        if moment == "giving back":
            play.finish_early(play.play_to("active"))
        fault = play.world.faults.add(operation, kind, count=2)
        play.play_out()
        assert fault.taken, f"{operation} was not called"
        check_invariants(play, item)


@pytest.mark.parametrize(
    ("seconds", "post_fault"),
    seldom(
        [
            (20.0, ""),
            (30.0, "lose_answer"),
            (20.0, "lose_answer"),
            (30.0, ""),
            (30.0, "error_after"),
            (20.0, "throttle"),
        ],
        unless=(30.0, "lose_answer").__eq__,
    ),
)
def test_reads_show_the_past(as_role: AsRole, seconds: float, post_fault: str) -> None:
    with stage(as_role) as play:
        play.world.switches.replication_seconds = seconds
        if post_fault:
            play.world.faults.add(POST, post_fault)
        item = play.ask()
        play.decide(item)
        play.play_out()
        check_invariants(play, item)


def test_a_single_stale_read_after_the_assignment(as_role: AsRole) -> None:
    with stage(as_role) as play:
        stale = play.world.faults.add("pim.read", "stale", seconds=30, count=None)
        item = play.ask()
        play.decide(item)
        play.work()
        play.step(timedelta(seconds=1))
        play.work()
        assert play.grant().status == "activating", "what can't be read back is not assigned"
        play.world.faults.remove(stale.id)
        play.play_out()
        check_invariants(play, item)


def test_a_tenant_that_forgets_ticket_information(as_role: AsRole) -> None:
    with stage(as_role) as play:
        play.world.switches.echo_ticket_info = False
        play.world.faults.add(POST, "lose_answer")
        item = play.ask()
        play.decide(item)
        play.play_out()
        check_invariants(play, item)


@pytest.mark.parametrize("how", seldom(["outside PIM", "through PIM"], unless="outside PIM".__eq__))
def test_a_foreign_membership_is_neither_adopted_nor_touched(as_role: AsRole, how: str) -> None:
    with stage(as_role) as play:
        play.decide(play.ask())
        if how == "outside PIM":
            play.world.happen("foreign_member", group=play.world_group.id, person=play.world_asker.id)
        else:
            ask = Ask(
                "adminAssign",
                play.world_group.id,
                play.world_asker.id,
                start=play.time.now,
                expiration=Expiration("afterDuration", duration="P30D"),
                justification="Somebody else's reason",
            )
            play.world.pim.request_assignment(ask, ADMINISTRATION)
        before = play.assignments_made()
        grant = play.play_out()
        assert grant.status == "not_granted"
        assert grant.problem_code == "foreign_assignment"
        assert "that the portal didn't make, so nothing was granted" in grant.problem
        for _ in range(4):
            play.step(timedelta(hours=2))
            play.work()
        assert play.in_entra()
        assert play.assignments_made() == before
        assert play.calls.count(POST) == 0


def test_others_remove_the_membership_before_the_end(as_role: AsRole) -> None:
    with stage(as_role) as play:
        item = play.ask()
        play.decide(item)
        play.play_to("active")
        play.world.happen("member_removed", group=play.world_group.id, person=play.world_asker.id)
        play.play_out()
        check_invariants(play, item)


def test_the_group_is_deleted_meanwhile(as_role: AsRole) -> None:
    with stage(as_role) as play:
        play.decide(play.ask())
        play.play_to("active")
        play.world.happen("group_deleted", group=play.world_group.id)
        grant = play.play_out()
        assert grant.status == "ended"
        assert not play.in_aws()


def test_the_group_is_deleted_before_anything_was_sent(as_role: AsRole) -> None:
    with stage(as_role) as play:
        play.decide(play.ask())
        _count_only(play)
        play.world.happen("group_deleted", group=play.world_group.id)
        grant = play.play_out()
        assert grant.status == "not_granted", play.describe()
        assert play.assignments_made() == 0


def test_the_person_is_disabled_meanwhile(as_role: AsRole) -> None:
    with stage(as_role) as play:
        item = play.ask()
        play.decide(item)
        play.play_to("active")
        play.world.happen("person_disabled", person=play.world_asker.id)
        play.play_out()
        check_invariants(play, item)


def _count_only(play: Stage) -> Grant:
    """The decision counts and the grant is scheduled, but no worker has taken it up."""
    for decision_id in _owed_decisions():
        assert check_decision(decision_id=decision_id)
    grant = play.grant()
    assert grant.status == "scheduled"
    return grant


def _owed_decisions() -> tuple[UUID, ...]:
    return sweep().decisions


@pytest.mark.parametrize(
    "kind", seldom(["role-assignable", "out of the allow-list", "dynamic"], unless="role-assignable".__eq__)
)
def test_nothing_is_sent_for_a_group_that_the_portal_must_not_change(
    as_role: AsRole, kind: str, tmp_path: Path
) -> None:
    nothing = tmp_path / "none.txt"
    nothing.write_text("# none\n")
    with stage(as_role) as play:
        play.decide(play.ask())
        _count_only(play)
        if kind == "role-assignable":
            play.world_group.is_assignable_to_role = True
        elif kind == "dynamic":
            play.world_group.group_types.append("DynamicMembership")
        if kind == "out of the allow-list":
            with override_settings(PORTAL_MANAGED_GROUPS_FILE=str(nothing)):
                grant = play.play_out()
        else:
            grant = play.play_out()
        assert grant.status == "not_granted"
        assert grant.problem
        assert play.calls.count(POST) == 0
        assert not Event.objects.filter(type="outside.assignment_sent").exists()


def test_the_eligibility_ends_between_approval_and_start(as_role: AsRole) -> None:
    with stage(as_role) as play:
        play.decide(play.ask())
        _count_only(play)
        play.world.happen("eligibility_ended", group=play.world_group.id, person=play.world_asker.id)
        grant = play.play_out()
        assert grant.status == "not_granted"
        assert grant.problem_code == "not_started"
        assert "no longer eligible" in grant.problem
        assert play.assignments_made() == 0


def test_the_window_passes_while_graph_is_down(as_role: AsRole) -> None:
    with stage(as_role) as play:
        play.decide(play.ask())
        _count_only(play)
        play.world.faults.add("graph.*", "error", status=503, count=None)
        play.work()
        waiting = play.grant()
        assert waiting.problem_code == "waiting"
        assert waiting.problem
        for _ in range(10):
            play.step(timedelta(minutes=10))
            play.work()
        play.world.faults.clear()
        grant = play.play_out()
        assert grant.status == "not_granted"
        assert "The window was over before the activation could begin" in grant.problem
        assert play.assignments_made() == 0


def test_the_window_passes_while_assignments_get_no_answer(as_role: AsRole) -> None:
    with stage(as_role) as play:
        play.decide(play.ask())
        play.world.faults.add(POST, "lose_request", count=None)
        for _ in range(10):
            play.work()
            play.step(timedelta(minutes=10))
        play.world.faults.clear()
        grant = play.play_out()
        assert grant.status == "never_arrived", (
            "an outcome that is unknown is removed and proven, not assumed"
        )
        assert play.assignments_made() == 0
        assert not play.in_aws()


def test_what_arrives_late_is_reopened_and_removed(as_role: AsRole) -> None:
    with stage(as_role, on_demand=False) as play:
        play.decide(play.ask(duration=timedelta(minutes=20)))
        play.work()
        play.world.happen("quarantine")
        play.play_to("deprovisioning")
        play.world.happen("quarantine_lifted")
        play.world.provisioning.run_cycle()
        assert play.play_out().status == "never_arrived"
        play.world.happen("foreign_store_member", group=play.world_group.id, person=play.world_asker.id)
        play.play_to("deprovisioning")
        assert Event.objects.filter(type="grant.arrived_late").count() == 1
        for _ in range(6):
            play.step(timedelta(minutes=15))
            play.work()
        waiting = play.grant()
        assert waiting.status == "deprovisioning", "still there, so it isn't called ended"
        assert "operator" in waiting.problem
        play.world.happen("store_member_removed", group=play.world_group.id, person=play.world_asker.id)
        grant = play.play_out()
        assert grant.status == "ended"
        assert not play.in_aws()


def test_quarantine_while_removing_is_said_and_ends_after_its_release(as_role: AsRole) -> None:
    with stage(as_role) as play:
        item = play.ask()
        play.decide(item)
        play.play_to("active")
        play.world.happen("quarantine")
        play.play_to("deprovisioning")
        play.step(timedelta(hours=2))
        play.work()
        waiting = play.grant()
        assert waiting.status == "deprovisioning"
        assert "quarantine" in waiting.problem
        assert play.in_aws()
        play.world.happen("quarantine_lifted")
        play.play_out()
        check_invariants(play, item)


def test_a_removal_that_provisioning_lost_is_never_called_done(as_role: AsRole) -> None:
    with stage(as_role) as play:
        item = play.ask()
        play.decide(item)
        play.play_to("active")
        play.world.happen("removal_lost", group=play.world_group.id, person=play.world_asker.id)
        play.play_to("deprovisioning")
        for _ in range(8):
            play.step(timedelta(hours=1))
            play.work()
        waiting = play.grant()
        assert waiting.status == "deprovisioning"
        assert "operator" in waiting.problem
        play.world.happen("store_member_removed", group=play.world_group.id, person=play.world_asker.id)
        play.play_out()
        check_invariants(play, item)
