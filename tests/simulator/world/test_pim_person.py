"""Activation by the person: eligibility, rules for end users, approval, nested groups."""

from dataclasses import replace
from datetime import timedelta

import pytest

from simulator.world.errors import WorldError
from simulator.world.pim import Ask, Caller
from simulator.world.state import Expiration, User
from tests.simulator.world.factory import APPLICATION, START, Small, person, small_world


def activate(small: Small, user: User, caller: Caller | None = None, **changes: object) -> object:
    ask = replace(small.ask("selfActivate", user), **changes)  # type: ignore[arg-type]  # fields by name
    return small.world.pim.request_assignment(ask, caller or person(user))


def refusal(small: Small, user: User, caller: Caller | None = None, **changes: object) -> WorldError:
    with pytest.raises(WorldError) as caught:
        activate(small, user, caller, **changes)
    return caught.value


def test_an_eligible_person_activates() -> None:
    small = small_world()
    activate(small, small.ada)
    (instance,) = small.world.pim.assignment_instances(group_id=small.group.id)
    assert instance.assignment_type == "activated"
    (eligibility,) = small.world.pim.eligibility_instances(group_id=small.group.id)
    assert instance.activated_using == eligibility.schedule_id


def test_without_eligibility_there_is_no_activation() -> None:
    small = small_world()
    assert "EligibilityRule" in refusal(small, small.bob).message


def test_nobody_activates_for_somebody_else_and_no_application_does() -> None:
    small = small_world()
    assert refusal(small, small.ada, person(small.bob)).status == 403
    assert refusal(small, small.ada, APPLICATION).status == 403


def test_the_rules_for_end_users() -> None:
    small = small_world()
    small.world.policies.change(
        small.group.id,
        activation_maximum="PT1H",
        activation_rules=["MultiFactorAuthentication", "Justification", "Ticketing"],
    )
    message = refusal(small, small.ada, justification=None).message
    assert message.endswith('["ExpirationRule","JustificationRule","TicketingRule","MfaRule"]')
    good = {"expiration": Expiration("afterDuration", "PT1H"), "ticket_number": "1", "ticket_system": "x"}
    activate(small, small.ada, person(small.ada, mfa=True), **good)
    assert small.world.directory.is_member(small.group.id, small.ada.id)


def test_an_authentication_context_asks_for_its_claim() -> None:
    small = small_world()
    small.world.policies.change(small.group.id, authentication_context="c1")
    error = refusal(small, small.ada)
    assert error.code == "RoleAssignmentRequestAcrsValidationFailed"
    assert error.message.startswith("&claims=%7B%22access_token%22")
    activate(small, small.ada, person(small.ada, acrs=frozenset({"c1"})))


def test_deactivation_waits_five_minutes() -> None:
    small = small_world()
    activate(small, small.ada)
    ask = Ask("selfDeactivate", small.group.id, small.ada.id)
    with pytest.raises(WorldError, match="ActiveDurationTooShort"):
        small.world.pim.request_assignment(ask, person(small.ada))
    small.step(minutes=5)
    assert small.world.pim.request_assignment(ask, person(small.ada)).status == "Revoked"


def test_an_assignment_by_an_administrator_is_no_activation_to_end() -> None:
    small = small_world()
    small.assign(small.ada)
    small.step(minutes=6)
    ask = Ask("selfDeactivate", small.group.id, small.ada.id)
    with pytest.raises(WorldError, match="RoleAssignmentDoesNotExist"):
        small.world.pim.request_assignment(ask, person(small.ada))


def test_an_eligibility_ends_by_itself() -> None:
    small = small_world()
    small.builder.eligible(small.group, small.bob, ends_in=timedelta(hours=1))
    assert len(small.world.pim.eligibility_instances(principal_id=small.bob.id)) == 1
    small.step(hours=1)
    assert small.world.pim.eligibility_instances(principal_id=small.bob.id) == []
    assert "EligibilityRule" in refusal(small, small.bob).message


def test_an_expired_eligibility_is_history() -> None:
    small = small_world()
    small.builder.eligible(small.group, small.bob, ends_in=timedelta(days=-2))
    assert small.world.pim.eligibility_instances(principal_id=small.bob.id) == []
    assert small.world.pim.eligibility_requests(principal_id=small.bob.id)[0].action == "adminAssign"


def test_eligibility_through_a_group_activates_that_person_alone() -> None:
    small = small_world()
    team = small.builder.group("Team")
    small.builder.member(team, small.bob)
    small.builder.eligible(small.group, team)
    (own,) = small.world.pim.instances_of(small.bob.id, "eligibility")
    assert (own.member_type, own.principal_id) == ("group", small.bob.id)
    activate(small, small.bob)
    (instance,) = small.world.pim.assignment_instances(group_id=small.group.id)
    assert (instance.principal_id, instance.member_type) == (small.bob.id, "group")


@pytest.mark.parametrize("inherited", [True, False])
def test_rows_for_people_behind_a_group_are_a_switch(inherited: bool) -> None:
    small = small_world()
    small.world.switches.eligibility_lists_inherited = inherited
    team = small.builder.group("Team")
    small.builder.member(team, small.bob)
    small.builder.eligible(small.group, team)
    principals = [row.principal_id for row in small.world.pim.eligibility_instances(group_id=small.group.id)]
    assert (small.bob.id in principals) == inherited
    assert team.id in principals


def approval(small: Small) -> str:
    small.bob.directory_roles.clear()
    small.world.policies.change(
        small.group.id, approval_required=True, approver_users=[small.bob.id, small.ada.id]
    )
    request = small.world.pim.request_assignment(small.ask("selfActivate", small.ada), person(small.ada))
    assert request.status == "PendingApproval"
    assert not small.world.directory.is_member(small.group.id, small.ada.id)
    return request.id


def test_an_approver_lets_the_activation_begin() -> None:
    small = small_world()
    request_id = approval(small)
    small.step(hours=1)
    small.world.pim.decide(request_id, request_id, person(small.bob), "Approve", "fine")
    assert small.world.pim.request(request_id).status == "Provisioned"
    (instance,) = small.world.pim.assignment_instances(group_id=small.group.id)
    assert instance.start == START + timedelta(hours=1)
    with pytest.raises(WorldError) as caught:
        small.world.pim.decide(request_id, request_id, person(small.bob), "Deny", "changed my mind")
    assert caught.value.status == 409


def test_the_requester_and_applications_decide_nothing() -> None:
    small = small_world()
    request_id = approval(small)
    for caller in (person(small.ada), APPLICATION):
        with pytest.raises(WorldError) as caught:
            small.world.pim.decide(request_id, request_id, caller, "Approve", "me")
        assert caught.value.status == 403
    assert [row.id for row in small.world.pim.requests_to_decide(small.bob.id)] == [request_id]
    assert small.world.pim.requests_to_decide(small.ada.id) == []


def test_a_denied_activation_stays_away() -> None:
    small = small_world()
    request_id = approval(small)
    small.world.pim.decide(request_id, request_id, person(small.bob), "Deny", "not today")
    assert small.world.pim.request(request_id).status == "Denied"
    assert not small.world.directory.is_member(small.group.id, small.ada.id)


def test_a_second_request_while_one_waits_is_refused() -> None:
    small = small_world()
    approval(small)
    assert refusal(small, small.ada).code == "PendingRoleAssignmentRequest"


def test_a_request_that_nobody_decides_lapses_after_a_day() -> None:
    small = small_world()
    request_id = approval(small)
    small.step(days=1)
    assert small.world.pim.request(request_id).status == "Failed"
    with pytest.raises(WorldError) as caught:
        small.world.pim.decide(request_id, request_id, person(small.bob), "Approve", "late")
    assert caught.value.status == 409


def test_a_pending_request_can_be_canceled_by_its_person() -> None:
    small = small_world()
    request_id = approval(small)
    small.world.pim.cancel(request_id, person(small.ada))
    assert small.world.pim.request(request_id).status == "Canceled"


def test_eligibility_requests_follow_their_own_rules() -> None:
    small = small_world()
    ask = replace(small.ask("adminAssign", small.bob), expiration=Expiration("noExpiration"))
    with pytest.raises(WorldError, match="ExpirationRule"):
        small.world.pim.request_eligibility(ask, APPLICATION)
    ask = replace(ask, expiration=Expiration("afterDuration", "P90D"))
    assert small.world.pim.request_eligibility(ask, APPLICATION).status == "Provisioned"
    with pytest.raises(WorldError, match="RoleAssignmentExists"):
        small.world.pim.request_eligibility(ask, APPLICATION)
    gone = small.world.pim.request_eligibility(replace(ask, action="adminRemove"), APPLICATION)
    assert gone.status == "Revoked"
    assert small.world.pim.eligibility_instances(principal_id=small.bob.id) == []
