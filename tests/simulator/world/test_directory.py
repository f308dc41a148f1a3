"""Users, groups and members by other means than PIM."""

import pytest

from simulator.world.errors import WorldError
from simulator.world.state import Group
from tests.simulator.world.factory import START, small_world


def test_members_direct_and_transitive() -> None:
    small = small_world()
    team = small.builder.group("Team")
    small.builder.member(team, small.bob)
    small.world.directory.add_member(small.group.id, team.id)
    small.world.directory.add_member(small.group.id, small.ada.id)
    assert {each.id for each in small.world.directory.members(small.group.id)} == {team.id, small.ada.id}
    everybody = {each.id for each in small.world.directory.transitive_members(small.group.id)}
    assert everybody == {team.id, small.ada.id, small.bob.id}
    assert small.world.directory.is_member(small.group.id, small.bob.id, transitive=True)
    assert not small.world.directory.is_member(small.group.id, small.bob.id)


def test_groups_in_a_circle_end() -> None:
    small = small_world()
    a, b = small.builder.group("A"), small.builder.group("B")
    small.world.directory.add_member(a.id, b.id)
    small.world.directory.add_member(b.id, a.id)
    assert [each.id for each in small.world.directory.transitive_members(a.id)] == [b.id]
    assert {group.id for group in small.world.directory.member_groups(a.id)} == {a.id, b.id}


def test_adding_twice_unknown_and_dynamic() -> None:
    small = small_world()
    small.world.directory.add_member(small.group.id, small.ada.id)
    with pytest.raises(WorldError, match="already exist"):
        small.world.directory.add_member(small.group.id, small.ada.id)
    with pytest.raises(WorldError) as caught:
        small.world.directory.add_member(small.group.id, "99999999-0000-4000-8000-000000000009")
    assert caught.value.status == 404
    dynamic = small.world.directory.create_group(
        Group("d" * 8, "Dynamic", group_types=["DynamicMembership"], created_at=START)
    )
    with pytest.raises(WorldError):
        small.world.directory.add_member(dynamic.id, small.ada.id)


def test_stale_reads_of_members() -> None:
    small = small_world()
    small.world.faults.add("directory.*", "stale", seconds=60, count=None)
    small.world.directory.add_member(small.group.id, small.ada.id)
    assert small.world.directory.members(small.group.id) == []
    small.step(minutes=1)
    assert small.world.directory.members(small.group.id) == [small.ada]
    small.world.directory.remove_member(small.group.id, small.ada.id)
    assert small.world.directory.members(small.group.id) == [small.ada]
    small.step(minutes=1, seconds=1)
    assert small.world.directory.members(small.group.id) == []


def test_assignment_to_the_application() -> None:
    small = small_world()
    rows = {row.principal_id: row for row in small.world.directory.app_role_assignments()}
    assert rows[small.group.id].principal_type == "Group"
    with pytest.raises(WorldError):
        small.world.directory.assign_to_application(small.group.id)
    small.world.directory.unassign_from_application(small.group.id)
    assert not small.world.directory.is_in_scope(small.group.id)


def test_mail_groups_are_out_of_scope() -> None:
    small = small_world()
    small.group.security_enabled = False
    assert not small.world.directory.is_in_scope(small.group.id)


def test_unknown_properties_are_refused() -> None:
    small = small_world()
    with pytest.raises(ValueError, match="no property"):
        small.world.directory.update_user(small.ada.id, mood="good")
    with pytest.raises(ValueError, match="no property"):
        small.world.directory.update_user(small.ada.id, id="x")


def test_a_deleted_group_leaves_nothing_behind() -> None:
    small = small_world()
    small.assign(small.ada)
    small.world.directory.delete_group(small.group.id)
    assert small.world.pim.assignment_instances(principal_id=small.ada.id) == []
    assert small.world.pim.eligibility_instances(principal_id=small.ada.id) == []
    assert all(r.principal_id != small.group.id for r in small.world.directory.app_role_assignments())
    with pytest.raises(WorldError):
        small.world.directory.group(small.group.id)


def test_stale_reads_of_assignments_to_the_application() -> None:
    small = small_world()
    directory = small.world.directory
    small.world.faults.add("directory.read", "stale", seconds=60, count=None)
    small.step(minutes=2)
    before = {row.principal_id for row in directory.app_role_assignments()}
    assert small.group.id in before
    directory.unassign_from_application(small.group.id)
    new = small.builder.group("New")
    directory.assign_to_application(new.id)
    assert {row.principal_id for row in directory.app_role_assignments()} == before
    small.step(minutes=1)
    assert {row.principal_id for row in directory.app_role_assignments()} == (before - {small.group.id}) | {
        new.id
    }
    small.world.faults.clear()
    directory.unassign_from_application(new.id)
    assert new.id not in {row.principal_id for row in directory.app_role_assignments()}
