"""Cases of EntraDirectory."""

from __future__ import annotations

import pytest

from clients import errors
from simulator.world.happenings import happen
from tests.clients.ports.cloud import NOBODY, Cloud, case


@case("EntraDirectory.read_user")
def a_person_is_read(cloud: Cloud) -> None:
    ada = cloud.small.ada
    found = cloud.clients.directory.read_user(ada.id)
    assert found.receipt.vendor_request_id
    assert found.value is not None
    assert (found.value.object_id, found.value.user_principal_name) == (ada.id, ada.user_principal_name)
    assert (found.value.given_name, found.value.surname, found.value.mail) == ("Ada", "Moore", ada.mail)
    assert (found.value.enabled, found.value.guest, found.value.employee_id) == (True, False, "")
    happen(cloud.small.world, "person_disabled", {"person": ada.id})
    disabled = cloud.clients.directory.read_user(ada.id).value
    assert disabled is not None
    assert not disabled.enabled
    assert cloud.clients.directory.read_user(NOBODY).value is None


@case("EntraDirectory.read_manager")
def a_manager_is_read(cloud: Cloud) -> None:
    small, directory = cloud.small, cloud.clients.directory
    assert directory.read_manager(small.ada.id).value == ""
    small.ada.manager_id = small.bob.id
    assert directory.read_manager(small.ada.id).value == small.bob.id
    assert directory.read_manager(NOBODY).value == ""


@case("EntraDirectory.read_groups")
def groups_that_exist_are_read(cloud: Cloud) -> None:
    group = cloud.small.group
    group.is_assignable_to_role = True
    found = cloud.clients.directory.read_groups([group.id, NOBODY]).value
    assert [(each.object_id, each.display_name) for each in found] == [(group.id, group.display_name)]
    assert (found[0].security_enabled, found[0].role_assignable, found[0].dynamic) == (True, True, False)
    assert cloud.clients.directory.read_groups([NOBODY]).value == ()


@case("EntraDirectory.read_members")
def members_are_read_directly_and_through_groups(cloud: Cloud) -> None:
    small = cloud.small
    team = small.builder.group("Team")
    small.builder.member(team, small.bob)
    small.builder.member(small.group, team)
    direct = cloud.clients.directory.read_members(small.group.id).value
    assert (direct.users, direct.group_ids) == ((), (team.id,))
    flat = cloud.clients.directory.read_members(small.group.id, transitive=True).value
    assert [each.object_id for each in flat.users] == [small.bob.id]
    with pytest.raises(errors.NotFound):
        cloud.clients.directory.read_members(NOBODY)


@case("EntraDirectory.read_owners")
def owners_are_read(cloud: Cloud) -> None:
    small, directory = cloud.small, cloud.clients.directory
    assert directory.read_owners(small.group.id).value == ()
    for owner in (small.bob.id, small.ada.id, small.world.directory.application.id):
        small.world.directory.add_owner(small.group.id, owner)
    assert directory.read_owners(small.group.id).value == (small.bob.id, small.ada.id)
    small.world.directory.remove_owner(small.group.id, small.bob.id)
    assert directory.read_owners(small.group.id).value == (small.ada.id,)
    small.group.on_premises_sync_enabled = True
    assert directory.read_owners(small.group.id).value == ()
    with pytest.raises(errors.NotFound):
        directory.read_owners(NOBODY)


@case("EntraDirectory.application_groups")
def groups_of_the_application_are_read(cloud: Cloud) -> None:
    small = cloud.small
    assert cloud.clients.directory.application_groups().value == {small.group.id, small.baseline.id}
    happen(small.world, "group_unassigned", {"group": small.group.id})
    assert cloud.clients.directory.application_groups().value == {small.baseline.id}
