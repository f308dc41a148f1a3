"""PIM policies: seventeen rules, and ids that change once."""

import pytest

from simulator.world.errors import WorldError
from tests.simulator.world.factory import APPLICATION, small_world


def test_there_are_seventeen_rules_with_fixed_ids() -> None:
    small = small_world()
    ids = [rule["id"] for rule in small.world.policies.rules(small.group.id)]
    assert len(ids) == len(set(ids)) == 17
    assert {
        "Expiration_EndUser_Assignment",
        "Enablement_EndUser_Assignment",
        "Approval_EndUser_Assignment",
        "AuthenticationContext_EndUser_Assignment",
        "Expiration_Admin_Assignment",
        "Enablement_Admin_Assignment",
        "Expiration_Admin_Eligibility",
        "Enablement_Admin_Eligibility",
        "Notification_Requestor_EndUser_Assignment",
    } <= set(ids)


def test_the_defaults() -> None:
    small = small_world()
    rules = {rule["id"]: rule for rule in small.world.policies.rules(small.group.id)}
    assert rules["Expiration_EndUser_Assignment"]["maximumDuration"] == "PT8H"
    assert rules["Enablement_EndUser_Assignment"]["enabledRules"] == ["Justification"]
    assert rules["Expiration_Admin_Assignment"]["maximumDuration"] == "P180D"
    assert rules["Approval_EndUser_Assignment"]["setting"]["isApprovalRequired"] is False
    assert rules["AuthenticationContext_EndUser_Assignment"]["isEnabled"] is False


def test_settings_show_in_the_rules() -> None:
    small = small_world()
    small.world.policies.change(
        small.group.id,
        activation_maximum="PT30M",
        activation_rules=["MultiFactorAuthentication"],
        authentication_context="c1",
        approval_required=True,
        approver_users=[small.bob.id],
        approver_groups=[small.baseline.id],
    )
    rules = {rule["id"]: rule for rule in small.world.policies.rules(small.group.id)}
    assert rules["Expiration_EndUser_Assignment"]["maximumDuration"] == "PT30M"
    assert rules["AuthenticationContext_EndUser_Assignment"]["claimValue"] == "c1"
    (stage,) = rules["Approval_EndUser_Assignment"]["setting"]["approvalStages"]
    assert [each["@odata.type"] for each in stage["primaryApprovers"]] == [
        "#microsoft.graph.groupMembers",
        "#microsoft.graph.singleUser",
    ]


def test_ids_change_when_the_group_is_onboarded_and_stay_then() -> None:
    small = small_world()
    group = small.builder.group("New group")
    before = small.world.policies.assignment_id(group.id)
    assert before == f"{small.world.policies.policy_id(group.id)}_member"
    small.world.pim.request_assignment(small.ask("adminAssign", small.ada, group=group), APPLICATION)
    after = small.world.policies.assignment_id(group.id)
    assert after != before
    small.world.policies.change(group.id, activation_maximum="PT2H")
    assert small.world.policies.assignment_id(group.id) == after


def test_member_and_owner_have_policies_of_their_own() -> None:
    small = small_world()
    small.world.policies.change(small.group.id, activation_maximum="PT1H")
    assert small.world.policies.policy(small.group.id, "owner").activation_maximum == "PT8H"
    assert small.world.policies.policy_id(small.group.id) != small.world.policies.policy_id(
        small.group.id, "owner"
    )


def test_unknown_groups_accesses_and_settings() -> None:
    small = small_world()
    with pytest.raises(WorldError):
        small.world.policies.policy("99999999-0000-4000-8000-000000000009")
    with pytest.raises(WorldError):
        small.world.policies.policy(small.group.id, "guest")
    with pytest.raises(ValueError, match="no setting"):
        small.world.policies.change(small.group.id, mood="good")
