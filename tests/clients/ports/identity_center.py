"""Cases of IdentityCenter."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from clients import errors
from clients.types import GroupAssignment
from tests.clients.ports.cloud import NOBODY, Cloud, case


@case("IdentityCenter.instance", "IdentityCenter.permission_set_arns", "IdentityCenter.permission_set")
def instance_and_permission_sets_are_read(cloud: Cloud) -> None:
    center, state = cloud.clients.identity_center, cloud.small.world.state.identity_center
    instance = center.instance().value
    assert (instance.instance_arn, instance.identity_store_id) == (
        state.instance_arn,
        state.identity_store_id,
    )
    (arn,) = center.permission_set_arns().value
    found = center.permission_set(arn)
    assert found.receipt.vendor_request_id
    assert (found.value.name, found.value.session_duration) == ("EC2AdminAccess", timedelta(hours=1))
    assert found.value.managed_policies == (
        ("AmazonEC2FullAccess", "arn:aws:iam::aws:policy/AmazonEC2FullAccess"),
    )
    assert (found.value.inline_policy, found.value.permissions_boundary, found.value.tags) == ("", "", {})
    with pytest.raises(errors.NotFound):
        center.permission_set(arn[:-4] + "dead")


@case("IdentityCenter.permission_set")
def everything_in_a_permission_set_is_read(cloud: Cloud) -> None:
    made = cloud.small.permission_set
    made.description, made.relay_state, made.session_duration = "All of EC2", "https://example.org/", "PT4H"
    made.tags = {"owner": "team"}
    made.customer_managed_policies = [{"Path": "/x/", "Name": "Own"}]
    made.inline_policy = '{"Version":"2012-10-17","Statement":[]}'
    made.boundary = {"ManagedPolicyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}
    found = cloud.clients.identity_center.permission_set(made.arn).value
    assert (found.description, found.relay_state, found.session_duration) == (
        "All of EC2",
        "https://example.org/",
        timedelta(hours=4),
    )
    assert (found.tags, found.customer_managed_policies) == ({"owner": "team"}, (("/x/", "Own"),))
    assert found.inline_policy == made.inline_policy
    assert found.permissions_boundary == "arn:aws:iam::aws:policy/PowerUserAccess"


@case("IdentityCenter.managed_policy_version", "IdentityCenter.managed_policy_document")
def what_an_aws_managed_policy_says_is_read(cloud: Cloud) -> None:
    center, arn = cloud.clients.identity_center, "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"
    version = center.managed_policy_version(arn)
    assert version.value.startswith("v")
    assert version.receipt.vendor_request_id
    statements = json.loads(center.managed_policy_document(arn, version.value).value)["Statement"]
    assert "acm:ListCertificates" in statements[0]["Action"]
    for unknown in ("arn:aws:iam::aws:policy/ViewOnlyAccess", "arn:aws:iam::aws:policy/Nothing"):
        with pytest.raises(errors.NotFound):
            center.managed_policy_version(unknown)
    with pytest.raises(errors.NotFound):
        center.managed_policy_document(arn, "v0")


@case("IdentityCenter.group_assignments")
def what_a_group_opens_is_read(cloud: Cloud) -> None:
    center = cloud.clients.identity_center
    arn = cloud.small.permission_set.arn
    assert center.group_assignments(cloud.store_group).value == (GroupAssignment("222233334444", arn),)
    assert center.group_assignments(NOBODY).value == ()


@case("IdentityCenter.groups", "IdentityCenter.users", "IdentityCenter.find_user")
def groups_and_people_of_the_store_are_read(cloud: Cloud) -> None:
    small, center = cloud.small, cloud.clients.identity_center
    groups = {each.display_name: each for each in center.groups().value}
    assert set(groups) == {small.group.display_name, small.baseline.display_name}
    assert small.group.id in groups[small.group.display_name].external_ids
    users = {each.user_name: each for each in center.users().value}
    assert set(users) == {small.ada.user_principal_name, small.bob.user_principal_name}
    ada = center.find_user(small.ada.user_principal_name).value
    assert ada == users[small.ada.user_principal_name]
    assert ada is not None
    assert (small.ada.id in ada.external_ids, ada.enabled) == (True, True)
    assert center.find_user("nobody@acme.example").value is None


@case("IdentityCenter.memberships", "IdentityCenter.membership", "IdentityCenter.group_memberships")
def memberships_are_read_back(cloud: Cloud) -> None:
    center, group, ada = cloud.clients.identity_center, cloud.store_group, cloud.store_ada
    assert center.memberships(ada, [group, NOBODY]).value == {group: False, NOBODY: False}
    assert center.membership(ada, group).value is None
    assert center.group_memberships(group).value == ()
    cloud.carried()
    assert center.memberships(ada, [group]).value == {group: True}
    held = center.membership(ada, group).value
    assert held is not None
    assert (held.group_id, held.user_id) == (group, ada)
    assert held.created_at is not None
    assert center.group_memberships(group).value == (held,)
    with pytest.raises(errors.NotFound):
        center.memberships(NOBODY, [group])
    with pytest.raises(errors.NotFound):
        center.group_memberships(NOBODY)


@case("IdentityCenter.groups", "IdentityCenter.users", "IdentityCenter.memberships")
def aws_that_throttles_for_long_is_throttled(cloud: Cloud) -> None:
    cloud.small.world.faults.add("aws.identitystore.*", "throttle", count=30)
    center, group, ada = cloud.clients.identity_center, cloud.store_group, cloud.store_ada
    for call in (center.groups, center.users, lambda: center.memberships(ada, [group])):
        with pytest.raises(errors.Throttled):
            call()
