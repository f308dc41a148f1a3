"""The access portal, faults, happenings, saving, and being the same for the same seed."""

from datetime import timedelta
from pathlib import Path

import pytest

from simulator.world.clock import WorldClock
from simulator.world.errors import WorldError
from simulator.world.happenings import NAMES
from simulator.world.provisioning import Subject
from simulator.world.world import World
from tests.simulator.world.factory import START, Small, small_world


def arrived() -> Small:
    small = small_world()
    small.assign(small.ada, duration="PT1H")
    small.world.provisioning.on_demand([Subject(small.group.id, "Group", (small.ada.id,))])
    return small


# ---------------------------------------------------------------- access portal


def test_the_portal_shows_what_the_memberships_open() -> None:
    small = arrived()
    (entry,) = small.world.access_portal.visible(small.ada.id)
    assert (entry.account.name, entry.permission_set.name) == ("Web Production", "EC2AdminAccess")
    assert small.world.access_portal.visible(small.bob.id) == []


def test_a_session_outlives_the_membership() -> None:
    small = arrived()
    small.step(minutes=59)
    session = small.world.access_portal.open_session(small.ada.id, small.account.id, "EC2AdminAccess")
    assert session.ends_at == START + timedelta(hours=1, minutes=59)
    small.step(minutes=30)
    assert not small.in_aws(small.ada)
    assert small.world.access_portal.sessions(small.ada.id) == [session]
    small.step(minutes=30)
    assert small.world.access_portal.sessions(small.ada.id) == []


@pytest.mark.parametrize("seconds", [0, 3600])
def test_new_sessions_after_removal_are_a_switch(seconds: float) -> None:
    small = arrived()
    small.world.switches.membership_cache_seconds = seconds
    small.step(minutes=81)
    assert not small.in_aws(small.ada)
    if seconds:
        small.world.access_portal.open_session(small.ada.id, small.account.id, "EC2AdminAccess")
        small.step(minutes=60)
    with pytest.raises(WorldError) as caught:
        small.world.access_portal.open_session(small.ada.id, small.account.id, "EC2AdminAccess")
    assert caught.value.status == 403


def test_a_disabled_person_and_a_suspended_account_open_nothing() -> None:
    small = arrived()
    small.world.organization.set_state(small.account.id, "SUSPENDED")
    assert small.world.access_portal.visible(small.ada.id) == []
    small.world.organization.set_state(small.account.id, "ACTIVE")
    small.world.happen("person_disabled", person=small.ada.id)
    small.step(minutes=40)
    assert small.world.access_portal.visible(small.ada.id) == []


# ---------------------------------------------------------------- faults


def test_faults_are_taken_in_order_and_used_up() -> None:
    faults = small_world().world.faults
    first = faults.add("graph.POST *", "lose_answer")
    faults.add("graph.*", "error", count=None, status=503)
    taken = faults.take("graph.POST assignmentScheduleRequests")
    assert taken is first
    for _ in range(3):
        other = faults.take("graph.POST assignmentScheduleRequests")
        assert other is not None
        assert (other.kind, other.status) == ("error", 503)
    assert faults.take("aws.sso-admin.ListInstances") is None
    faults.clear()
    assert faults.take("graph.GET groups") is None


def test_a_fault_with_a_rate_meets_that_share_of_the_calls() -> None:
    def met(seed: int) -> list[bool]:
        faults = small_world().world.faults
        faults.add("graph.*", "error", count=None, rate=0.1, seed=seed)
        return [faults.take("graph.GET groups") is not None for _ in range(2000)]

    assert 150 < sum(met(1)) < 250
    assert met(1) == met(1) != met(2)
    counted = small_world().world.faults
    counted.add("graph.*", "error", count=2, rate=0.5)
    assert sum(counted.take("graph.GET groups") is not None for _ in range(100)) == 2
    assert counted.list() == []


def test_stale_faults_are_not_taken_but_asked_for() -> None:
    world = small_world().world
    fault = world.faults.add("pim.read", "stale", seconds=30, count=None)
    assert world.faults.take("pim.read") is None
    assert world.faults.staleness("pim.read") == timedelta(seconds=30)
    world.switches.replication_seconds = 45
    assert world.faults.staleness("pim.read") == timedelta(seconds=45)
    assert world.faults.remove(fault.id)
    assert not world.faults.remove(fault.id)


def test_unknown_faults_are_refused() -> None:
    faults = small_world().world.faults
    with pytest.raises(ValueError, match="unknown kind"):
        faults.add("*", "explode")
    with pytest.raises(ValueError, match="at least once"):
        faults.add("*", "error", count=0)
    for rate in (0.0, 1.5):
        with pytest.raises(ValueError, match="at most 1"):
            faults.add("*", "error", rate=rate)


# ---------------------------------------------------------------- happenings


def test_everything_that_can_happen_says_so() -> None:
    assert all(NAMES.values())
    small = small_world()
    with pytest.raises(ValueError, match="can happen"):
        small.world.happen("earthquake")
    with pytest.raises(ValueError, match="person_disabled"):
        small.world.happen("person_disabled", who="x")
    with pytest.raises(WorldError):
        small.world.happen("person_disabled", person="nobody@acme.example")


def test_foreign_changes() -> None:
    small = arrived()
    happen = small.world.happen
    happen("foreign_member", group=small.group.display_name, person="bob@acme.example")
    assert small.world.directory.is_member(small.group.id, small.bob.id)
    happen("member_removed", group=small.group.id, person=small.bob.id)
    assert not small.world.directory.is_member(small.group.id, small.bob.id)
    happen("foreign_store_member", group=small.group.id, person=small.bob.id)
    assert small.in_aws(small.bob)
    happen("store_member_removed", group=small.group.id, person=small.bob.id)
    assert not small.in_aws(small.bob)
    other = small.builder.account("Other")
    happen("foreign_assignment", account=other.id, permission_set="EC2AdminAccess", group=small.group.id)
    assert len(small.world.access_portal.visible(small.ada.id)) == 2
    happen("eligibility_ended", group=small.group.id, person=small.ada.id)
    assert small.world.pim.eligibility_instances(group_id=small.group.id) == []
    with pytest.raises(WorldError):
        happen("foreign_assignment", account=other.id, permission_set="Nope", group=small.group.id)


def test_pim_may_end_an_assignment_late() -> None:
    small = arrived()
    schedule = next(row for row in small.world.state.schedules.values() if row.kind == "assignment")
    assert schedule.end is not None
    small.world.happen("expiry_late", group=small.group.id, person=small.ada.id, minutes="20")
    small.world.step(schedule.end - small.world.now() + timedelta(minutes=19))
    assert small.world.directory.is_member(small.group.id, small.ada.id)
    small.world.step(timedelta(minutes=1))
    assert not small.world.directory.is_member(small.group.id, small.ada.id)
    with pytest.raises(WorldError):
        small.world.happen("expiry_late", group=small.group.id, person=small.ada.id)


# ---------------------------------------------------------------- keeping


def test_a_saved_world_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    small = arrived()
    small.step(minutes=10)
    path = tmp_path / "world.json"
    small.world.save(path)
    again = World.load(path, WorldClock.stepping(small.world.now()))
    assert again.state == small.world.state
    small.world.step(timedelta(hours=3))
    again.step(timedelta(hours=3))
    assert again.state == small.world.state
    assert again.access_portal.visible(small.ada.id) == small.world.access_portal.visible(small.ada.id)
    assert again.dice.guid() == small.world.dice.guid()


def test_a_file_that_is_no_world_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    path.write_text("[]")
    with pytest.raises(ValueError, match="object"):
        World.load(path, WorldClock())


def test_the_same_seed_and_steps_give_the_same_world() -> None:
    assert arrived().world.state == arrived().world.state


def test_due_events_happen_in_time_order_at_their_own_time() -> None:
    small = small_world()
    small.assign(small.ada, duration="PT1H")
    small.step(days=3)
    moments = [entry.at for entry in small.world.state.journal]
    assert moments == sorted(moments)
    (ended,) = [entry for entry in small.world.state.journal if entry.kind == "PIM assignment ended"]
    assert ended.at == START + timedelta(hours=1)


def test_the_journal_keeps_the_last_entries() -> None:
    world = small_world().world
    for number in range(600):
        world.journal("test", str(number))
    assert len(world.state.journal) == 500
    assert world.state.journal[-1].sentence == "599"
