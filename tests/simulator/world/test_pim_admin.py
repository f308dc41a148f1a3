"""Time-bound assignments by the application: adminAssign, adminUpdate, adminRemove."""

from dataclasses import replace
from datetime import timedelta

import pytest

from simulator.world.errors import WorldError
from simulator.world.pim import Ask
from simulator.world.state import Expiration
from tests.simulator.world.factory import APPLICATION, START, Small, person, small_world


def refused(small: Small, ask: Ask) -> WorldError:
    with pytest.raises(WorldError) as caught:
        small.world.pim.request_assignment(ask, APPLICATION)
    return caught.value


def test_an_assignment_puts_the_person_into_the_group_until_its_end() -> None:
    small = small_world()
    request = small.assign(small.ada, duration="PT2H")
    assert request.status == "Provisioned"
    assert request.target_schedule_id == f"{small.group.id}_member_{request.id}"
    (instance,) = small.world.pim.assignment_instances(group_id=small.group.id)
    assert instance.id.startswith(f"{small.group.id}_member_")
    assert (instance.start, instance.end) == (START, START + timedelta(hours=2))
    assert (instance.assignment_type, instance.member_type) == ("assigned", "direct")
    small.step(hours=1, minutes=59)
    assert small.world.directory.is_member(small.group.id, small.ada.id)
    small.step(minutes=1)
    assert not small.world.directory.is_member(small.group.id, small.ada.id)
    assert small.world.pim.assignment_instances(group_id=small.group.id) == []
    assert small.world.pim.assignment_schedules(group_id=small.group.id) == []


def test_an_application_needs_no_eligibility_for_the_person() -> None:
    small = small_world()
    assert small.assign(small.bob).status == "Provisioned"


def test_the_end_may_be_an_instant() -> None:
    small = small_world()
    end = START + timedelta(hours=3)
    ask = replace(small.ask("adminAssign", small.ada), expiration=Expiration("afterDateTime", None, end))
    small.world.pim.request_assignment(ask, APPLICATION)
    assert small.world.pim.assignment_instances(group_id=small.group.id)[0].end == end


def test_a_start_in_the_past_counts_from_now() -> None:
    small = small_world()
    ask = replace(small.ask("adminAssign", small.ada), start=START - timedelta(minutes=3))
    small.world.pim.request_assignment(ask, APPLICATION)
    assert small.world.pim.assignment_instances(group_id=small.group.id)[0].start == START


def test_a_future_start_is_granted_and_begins_by_itself() -> None:
    small = small_world()
    ask = replace(small.ask("adminAssign", small.ada), start=START + timedelta(hours=1))
    request = small.world.pim.request_assignment(ask, APPLICATION)
    assert request.status == "Granted"
    assert small.world.pim.assignment_instances(group_id=small.group.id) == []
    assert len(small.world.pim.assignment_schedules(group_id=small.group.id)) == 1
    small.step(hours=1)
    assert request.status == "Provisioned"
    assert small.world.directory.is_member(small.group.id, small.ada.id)
    small.step(hours=2)
    assert not small.world.directory.is_member(small.group.id, small.ada.id)


def test_a_second_assignment_exists_already() -> None:
    small = small_world()
    small.assign(small.ada)
    error = refused(small, small.ask("adminAssign", small.ada))
    assert (error.status, error.code) == (400, "RoleAssignmentExists")


def test_a_member_by_other_means_exists_already_and_shows_as_permanent() -> None:
    small = small_world()
    small.world.directory.add_member(small.group.id, small.bob.id)
    (instance,) = small.world.pim.assignment_instances(group_id=small.group.id)
    assert (instance.start, instance.end) == (None, None)
    assert refused(small, small.ask("adminAssign", small.bob)).code == "RoleAssignmentExists"


@pytest.mark.parametrize("duration", ["PT4M59S", "PT1S"])
def test_five_minutes_are_the_least(duration: str) -> None:
    small = small_world()
    error = refused(small, small.ask("adminAssign", small.ada, duration=duration))
    assert error.code == "ActiveDurationTooShort"
    assert "Miniumum Required is 5 minutes" in error.message


def test_five_minutes_are_enough() -> None:
    small = small_world()
    assert small.assign(small.ada, duration="PT5M").status == "Provisioned"


def test_removal_within_five_minutes_is_refused_and_works_afterwards() -> None:
    small = small_world()
    small.assign(small.ada)
    small.step(minutes=4, seconds=59)
    with pytest.raises(WorldError) as caught:
        small.remove(small.ada)
    assert caught.value.code == "ActiveDurationTooShort"
    small.step(seconds=1)
    assert small.remove(small.ada).status == "Revoked"
    assert not small.world.directory.is_member(small.group.id, small.ada.id)


def test_removing_twice_finds_nothing() -> None:
    small = small_world()
    small.assign(small.ada)
    small.step(minutes=6)
    small.remove(small.ada)
    with pytest.raises(WorldError) as caught:
        small.remove(small.ada)
    assert caught.value.code == "RoleAssignmentDoesNotExist"


def test_a_plain_member_can_be_removed_through_pim() -> None:
    small = small_world()
    small.world.directory.add_member(small.group.id, small.bob.id)
    small.step(minutes=6)
    assert small.remove(small.bob).status == "Revoked"
    assert not small.world.directory.is_member(small.group.id, small.bob.id)


@pytest.mark.parametrize("reaches", [True, False])
def test_removing_what_lies_in_the_future_is_a_switch(reaches: bool) -> None:
    small = small_world()
    small.world.switches.admin_remove_reaches_future = reaches
    ask = replace(small.ask("adminAssign", small.ada), start=START + timedelta(hours=1))
    request = small.world.pim.request_assignment(ask, APPLICATION)
    if reaches:
        assert small.remove(small.ada).status == "Revoked"
    else:
        with pytest.raises(WorldError, match="RoleAssignmentDoesNotExist"):
            small.remove(small.ada)
        small.world.pim.cancel(request.id, APPLICATION)
        assert request.status == "Canceled"
    small.step(hours=2)
    assert not small.world.directory.is_member(small.group.id, small.ada.id)


def test_what_has_begun_can_not_be_canceled() -> None:
    small = small_world()
    request = small.assign(small.ada)
    with pytest.raises(WorldError) as caught:
        small.world.pim.cancel(request.id, APPLICATION)
    assert caught.value.status == 400
    assert small.world.directory.is_member(small.group.id, small.ada.id)


def test_an_update_moves_the_end() -> None:
    small = small_world()
    first = small.assign(small.ada, duration="PT1H")
    end = START + timedelta(hours=3)
    ask = replace(small.ask("adminUpdate", small.ada), expiration=Expiration("afterDateTime", None, end))
    request = small.world.pim.request_assignment(ask, APPLICATION)
    assert request.target_schedule_id == first.target_schedule_id
    small.step(hours=1, minutes=1)
    assert small.world.directory.is_member(small.group.id, small.ada.id)
    small.step(hours=2)
    assert not small.world.directory.is_member(small.group.id, small.ada.id)


def test_an_update_may_bring_the_end_nearer() -> None:
    small = small_world()
    small.assign(small.ada, duration="PT5H")
    small.step(minutes=10)
    end = START + timedelta(minutes=30)
    ask = replace(small.ask("adminUpdate", small.ada), expiration=Expiration("afterDateTime", None, end))
    small.world.pim.request_assignment(ask, APPLICATION)
    small.step(minutes=20)
    assert not small.world.directory.is_member(small.group.id, small.ada.id)


@pytest.mark.parametrize("action", ["adminUpdate", "adminExtend"])
@pytest.mark.parametrize("reaches", [True, False])
def test_changing_the_end_of_what_runs_is_a_switch(reaches: bool, action: str) -> None:
    small = small_world()
    small.world.switches.update_reaches_running = reaches
    small.assign(small.ada, duration="PT1H")
    end = START + timedelta(hours=3)
    ask = replace(small.ask(action, small.ada), expiration=Expiration("afterDateTime", None, end))
    if reaches:
        small.world.pim.request_assignment(ask, APPLICATION)
    else:
        assert refused(small, ask).code == "InvalidRoleAssignmentRequest"
    small.step(hours=2)
    assert small.world.directory.is_member(small.group.id, small.ada.id) is reaches


@pytest.mark.parametrize("keeps", [True, False])
def test_whether_an_update_keeps_the_schedule_is_a_switch(keeps: bool) -> None:
    small = small_world()
    small.world.switches.update_keeps_schedule = keeps
    first = small.assign(small.ada, duration="PT1H")
    small.step(minutes=30)
    end = START + timedelta(hours=3)
    ask = replace(small.ask("adminUpdate", small.ada), expiration=Expiration("afterDateTime", None, end))
    second = small.world.pim.request_assignment(ask, APPLICATION)
    (instance,) = small.world.pim.assignment_instances(group_id=small.group.id)
    assert (instance.schedule_id == first.target_schedule_id) is keeps
    assert instance.schedule_id == second.target_schedule_id
    assert (instance.start, instance.end) == (START, end)
    small.step(hours=1)
    assert small.world.directory.is_member(small.group.id, small.ada.id), "the first end counts no more"
    assert small.remove(small.ada).status == "Revoked"
    assert not small.world.directory.is_member(small.group.id, small.ada.id)


@pytest.mark.parametrize(("from_start", "hours"), [(True, 2), (False, 3)])
def test_where_an_updates_duration_counts_from_is_a_switch(from_start: bool, hours: int) -> None:
    small = small_world()
    small.world.switches.update_counts_from_start = from_start
    small.assign(small.ada, duration="PT90M")
    small.step(hours=1)
    small.world.pim.request_assignment(small.ask("adminUpdate", small.ada, duration="PT2H"), APPLICATION)
    (instance,) = small.world.pim.assignment_instances(group_id=small.group.id)
    assert instance.end == START + timedelta(hours=hours)


def test_an_update_of_what_lies_in_the_future_keeps_its_start() -> None:
    small = small_world()
    start = START + timedelta(hours=5)
    small.world.pim.request_assignment(replace(small.ask("adminAssign", small.ada), start=start), APPLICATION)
    small.world.pim.request_assignment(small.ask("adminUpdate", small.ada, duration="PT3H"), APPLICATION)
    (schedule,) = small.world.pim.assignment_schedules(group_id=small.group.id)
    assert (schedule.start, schedule.end) == (start, start + timedelta(hours=3))


def test_an_update_is_measured_from_the_start_against_the_longest() -> None:
    small = small_world()
    small.world.policies.change(small.group.id, assignment_maximum="PT4H")
    small.assign(small.ada, duration="PT4H")
    small.step(hours=3)
    end = START + timedelta(hours=5)
    ask = replace(small.ask("adminUpdate", small.ada), expiration=Expiration("afterDateTime", None, end))
    assert "ExpirationRule" in refused(small, ask).message


def test_an_update_without_an_assignment_finds_nothing() -> None:
    small = small_world()
    assert refused(small, small.ask("adminUpdate", small.ada)).code == "RoleAssignmentDoesNotExist"


def test_the_admin_rules_are_checked_and_named() -> None:
    small = small_world()
    ask = replace(
        small.ask("adminAssign", small.ada), justification=" ", expiration=Expiration("noExpiration")
    )
    error = refused(small, ask)
    assert error.code == "RoleAssignmentRequestPolicyValidationFailed"
    assert error.message.endswith('["ExpirationRule","JustificationRule"]')


def test_the_admin_maximum_is_not_the_activation_maximum() -> None:
    small = small_world()
    small.world.policies.change(small.group.id, activation_maximum="PT1H", assignment_maximum="PT4H")
    assert "ExpirationRule" in refused(small, small.ask("adminAssign", small.ada, duration="PT5H")).message
    assert small.assign(small.ada, duration="PT4H").status == "Provisioned"


def test_the_activation_rules_do_not_bind_an_application() -> None:
    small = small_world()
    small.world.policies.change(
        small.group.id,
        activation_rules=["MultiFactorAuthentication", "Justification", "Ticketing"],
        authentication_context="c1",
        approval_required=True,
    )
    assert small.assign(small.ada).status == "Provisioned"


@pytest.mark.parametrize("blocks", [True, False])
def test_mfa_for_admins_against_an_application_is_a_switch(blocks: bool) -> None:
    small = small_world()
    small.world.switches.admin_mfa_rule_blocks_app = blocks
    small.world.policies.change(
        small.group.id, assignment_rules=["MultiFactorAuthentication", "Justification"]
    )
    if blocks:
        assert "MfaRule" in refused(small, small.ask("adminAssign", small.ada)).message
    else:
        assert small.assign(small.ada).status == "Provisioned"


@pytest.mark.parametrize("may", [True, False])
def test_role_assignable_groups_for_an_application_are_a_switch(may: bool) -> None:
    small = small_world()
    small.world.switches.app_may_assign_role_assignable = may
    small.group.is_assignable_to_role = True
    if may:
        assert small.assign(small.ada).status == "Provisioned"
    else:
        assert refused(small, small.ask("adminAssign", small.ada)).status == 403


def test_durations_that_are_none_are_refused() -> None:
    small = small_world()
    for duration in ("2:00:00", "P6M", ""):
        error = refused(small, small.ask("adminAssign", small.ada, duration=duration or "x"))
        assert error.code == "InvalidRoleAssignmentRequest"


def test_an_end_before_the_start_is_refused() -> None:
    small = small_world()
    past = Expiration("afterDateTime", None, START - timedelta(minutes=1))
    error = refused(small, replace(small.ask("adminAssign", small.ada), expiration=past))
    assert error.code == "InvalidRoleAssignmentRequestSchedule"


def test_unknown_group_person_and_action() -> None:
    small = small_world()
    ask = small.ask("adminAssign", small.ada)
    nobody = "99999999-0000-4000-8000-000000000009"
    assert refused(small, replace(ask, group_id=nobody)).code == "ResourceNotFound"
    assert refused(small, replace(ask, principal_id=nobody)).code == "SubjectNotFound"
    assert refused(small, replace(ask, action="adminDance")).code == "InvalidRoleAssignmentRequest"
    assert refused(small, replace(ask, access_id="guest")).code == "InvalidRoleAssignmentRequest"


@pytest.mark.parametrize(
    "change", [{"group_types": ["DynamicMembership"]}, {"on_premises_sync_enabled": True}]
)
def test_groups_that_pim_can_not_manage(change: dict[str, object]) -> None:
    small = small_world()
    for name, value in change.items():
        setattr(small.group, name, value)
    assert refused(small, small.ask("adminAssign", small.ada)).status == 400


def test_validation_only_changes_nothing_and_shows_what_exists() -> None:
    small = small_world()
    ask = replace(small.ask("adminAssign", small.ada), validation_only=True)
    request = small.world.pim.request_assignment(ask, APPLICATION)
    assert request.is_validation_only
    assert small.world.pim.assignment_requests(group_id=small.group.id) == []
    assert not small.world.directory.is_member(small.group.id, small.ada.id)
    unjustified = replace(ask, justification=" ")
    assert refused(small, unjustified).code == "RoleAssignmentRequestPolicyValidationFailed"
    small.assign(small.ada)
    assert refused(small, ask).code == "RoleAssignmentExists"


@pytest.mark.parametrize("echo", [True, False])
def test_ticket_info_comes_back_by_a_switch_and_the_justification_always(echo: bool) -> None:
    small = small_world()
    small.world.switches.echo_ticket_info = echo
    ask = replace(
        small.ask("adminAssign", small.ada), ticket_number="g1:1", ticket_system="portal", custom_data="x"
    )
    small.world.pim.request_assignment(ask, APPLICATION)
    (request,) = small.world.pim.assignment_requests(group_id=small.group.id, principal_id=small.ada.id)
    assert (request.ticket_number, request.ticket_system) == (("g1:1", "portal") if echo else (None, None))
    assert request.justification == "look at a fault"
    assert request.custom_data == "x"


def test_requests_are_kept_newest_first() -> None:
    small = small_world()
    small.assign(small.ada)
    small.step(minutes=10)
    small.remove(small.ada)
    small.assign(small.ada)
    actions = [row.action for row in small.world.pim.assignment_requests(group_id=small.group.id)]
    assert actions == ["adminAssign", "adminRemove", "adminAssign"]


def test_removal_by_other_means_overrides_pim() -> None:
    small = small_world()
    small.assign(small.ada)
    small.step(minutes=1)
    small.world.directory.remove_member(small.group.id, small.ada.id)
    assert small.world.pim.assignment_instances(group_id=small.group.id) == []
    with pytest.raises(WorldError, match="RoleAssignmentDoesNotExist"):
        small.remove(small.ada)


def test_a_person_without_administrative_rights_is_no_administrator() -> None:
    small = small_world()
    ask = small.ask("adminAssign", small.ada)
    with pytest.raises(WorldError) as caught:
        small.world.pim.request_assignment(ask, person(small.bob))
    assert caught.value.status == 403
    small.bob.directory_roles.append("Groups Administrator")
    assert small.world.pim.request_assignment(ask, person(small.bob)).status == "Provisioned"


def test_stale_reads_show_the_time_before_the_write() -> None:
    small = small_world()
    small.step(minutes=1)
    small.world.faults.add("pim.read", "stale", seconds=30, count=None)
    small.assign(small.ada)
    assert small.world.pim.assignment_instances(group_id=small.group.id) == []
    assert small.world.pim.assignment_requests(group_id=small.group.id) == []
    small.step(seconds=31)
    assert len(small.world.pim.assignment_instances(group_id=small.group.id)) == 1
    small.step(minutes=10)
    small.remove(small.ada)
    assert len(small.world.pim.assignment_instances(group_id=small.group.id)) == 1
    small.step(seconds=31)
    assert small.world.pim.assignment_instances(group_id=small.group.id) == []


def test_owners_are_held_apart_from_members() -> None:
    small = small_world()
    ask = replace(small.ask("adminAssign", small.ada), access_id="owner")
    small.world.pim.request_assignment(ask, APPLICATION)
    assert small.group.owners == [small.ada.id]
    assert not small.world.directory.is_member(small.group.id, small.ada.id)
    small.step(hours=2)
    assert small.group.owners == []
