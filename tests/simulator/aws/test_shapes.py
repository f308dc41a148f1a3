"""Every read call that the portal makes, over HTTP with boto3, held to botocore's output shapes."""

from collections.abc import Iterator
from typing import Any

import pytest

from simulator.aws.shapes import problems
from simulator.sample import load_sample
from simulator.world.clock import WorldClock
from simulator.world.world import World
from tests.simulator.aws.running import Aws, serving
from tests.simulator.world.factory import START


@pytest.fixture(scope="module")
def world() -> World:
    return load_sample(WorldClock.stepping(START))


@pytest.fixture(scope="module")
def sample(world: World) -> Iterator[Aws]:
    with serving(world) as running:
        yield running


class Names:
    """Ids of the sample to call with."""

    def __init__(self, world: World) -> None:
        center = world.identity_center
        found = center.find_permission_set("LambdaDeveloper")
        eks = center.find_permission_set("EKSAdmin")
        operator = center.find_permission_set("EC2Operator")
        group = world.identity_store.find_group_by_name("AWS - Storefront Developer")
        baseline = world.identity_store.find_group_by_name("AWS - All employees")
        user = world.identity_store.find_user_by_name("amara.okafor@acme.example")
        assert found is not None
        assert eks is not None
        assert operator is not None
        assert group is not None
        assert baseline is not None
        assert user is not None
        organization = world.state.organization
        self.instance = center.state.instance_arn
        self.store = center.state.identity_store_id
        self.issuer = center.state.external_id_issuer
        self.permission_set, self.eks, self.operator = found.arn, eks.arn, operator.arn
        self.group, self.baseline, self.user = group, baseline, user
        self.account = "104200000202"
        self.root = organization.root_id
        self.unit = organization.accounts[self.account].parent_id


@pytest.fixture(scope="module")
def names(world: World) -> Names:
    return Names(world)


def calls(names: Names) -> list[tuple[str, str, dict[str, Any]]]:
    instance = {"InstanceArn": names.instance}
    one = {**instance, "PermissionSetArn": names.permission_set}
    store = {"IdentityStoreId": names.store}
    member = {**store, "MemberId": {"UserId": names.user.id}}
    in_baseline = {**member, "GroupId": names.baseline.id}
    membership = {**store, "MembershipId": names.baseline.members[names.user.id].id}
    external = {"ExternalId": {"Issuer": names.issuer, "Id": names.user.external_id}}
    by_name = {
        "UniqueAttribute": {"AttributePath": "displayName", "AttributeValue": names.group.display_name}
    }
    principal = {**instance, "PrincipalId": names.group.id, "PrincipalType": "GROUP"}
    return [
        ("sso-admin", "list_instances", {}),
        ("sso-admin", "describe_instance", instance),
        ("sso-admin", "list_permission_sets", instance),
        ("sso-admin", "describe_permission_set", one),
        ("sso-admin", "list_managed_policies_in_permission_set", one),
        ("sso-admin", "get_inline_policy_for_permission_set", {**one, "PermissionSetArn": names.operator}),
        ("sso-admin", "get_inline_policy_for_permission_set", one),
        (
            "sso-admin",
            "list_customer_managed_policy_references_in_permission_set",
            {**one, "PermissionSetArn": names.eks},
        ),
        ("sso-admin", "get_permissions_boundary_for_permission_set", one),
        ("sso-admin", "list_tags_for_resource", {**instance, "ResourceArn": names.permission_set}),
        ("sso-admin", "list_account_assignments", {**one, "AccountId": names.account}),
        ("sso-admin", "list_account_assignments_for_principal", principal),
        ("sso-admin", "list_accounts_for_provisioned_permission_set", one),
        (
            "sso-admin",
            "list_permission_sets_provisioned_to_account",
            {**instance, "AccountId": names.account},
        ),
        ("identitystore", "list_users", store),
        ("identitystore", "list_groups", store),
        ("identitystore", "describe_user", {**store, "UserId": names.user.id}),
        ("identitystore", "describe_group", {**store, "GroupId": names.group.id}),
        ("identitystore", "get_user_id", {**store, "AlternateIdentifier": external}),
        ("identitystore", "get_group_id", {**store, "AlternateIdentifier": by_name}),
        ("identitystore", "list_group_memberships", {**store, "GroupId": names.baseline.id}),
        ("identitystore", "list_group_memberships_for_member", member),
        ("identitystore", "is_member_in_groups", {**member, "GroupIds": [names.group.id, names.baseline.id]}),
        ("identitystore", "get_group_membership_id", in_baseline),
        ("identitystore", "describe_group_membership", membership),
        ("organizations", "describe_organization", {}),
        ("organizations", "list_roots", {}),
        ("organizations", "list_organizational_units_for_parent", {"ParentId": names.root}),
        ("organizations", "describe_organizational_unit", {"OrganizationalUnitId": names.unit}),
        ("organizations", "list_accounts", {}),
        ("organizations", "list_accounts_for_parent", {"ParentId": names.unit}),
        ("organizations", "describe_account", {"AccountId": names.account}),
        ("organizations", "list_parents", {"ChildId": names.account}),
        ("organizations", "list_children", {"ParentId": names.unit, "ChildType": "ACCOUNT"}),
        ("organizations", "list_tags_for_resource", {"ResourceId": names.account}),
        ("organizations", "list_delegated_administrators", {}),
        ("sts", "get_caller_identity", {}),
    ]


def test_every_answer_has_the_models_shape(sample: Aws, names: Names) -> None:
    wrong = []
    empty = []
    for service, method, arguments in calls(names):
        client = sample.client(service)
        answer = getattr(client, method)(**arguments)
        operation = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
        wrong += [f"{service}.{method}{each}" for each in problems(operation.output_shape, answer)]
        content = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
        if not content or any(value == [] for value in content.values()):
            empty.append((service, method))
    assert wrong == []
    assert empty == [
        ("sso-admin", "get_inline_policy_for_permission_set"),  # asked again for a set that has none
        ("organizations", "list_delegated_administrators"),
    ]


def test_the_shape_check_can_fail(sample: Aws, names: Names) -> None:
    client = sample.client("sso-admin")
    shape = client.meta.service_model.operation_model("DescribePermissionSet").output_shape
    broken = {"PermissionSet": {"PermissionSetArn": "arn:aws:sso:::instance/x/y", "Mood": "good", "Name": 7}}
    assert len(problems(shape, broken)) >= 3


def test_lists_page_to_the_end(sample: Aws, names: Names, world: World) -> None:
    center = world.identity_center
    sso, store = sample.client("sso-admin"), sample.client("identitystore")
    organizations = sample.client("organizations")
    arns = [
        arn
        for page in sso.get_paginator("list_permission_sets").paginate(
            InstanceArn=names.instance, PaginationConfig={"PageSize": 7}
        )
        for arn in page["PermissionSets"]
    ]
    assert arns == list(center.state.permission_sets)
    users = [
        user["UserId"]
        for page in store.get_paginator("list_users").paginate(
            IdentityStoreId=names.store, PaginationConfig={"PageSize": 9}
        )
        for user in page["Users"]
    ]
    assert users == [user.id for user in world.identity_store.users()]
    pages = list(organizations.get_paginator("list_accounts").paginate())
    assert [len(page["Accounts"]) for page in pages] == [20, 20]
    assert {a["Id"] for page in pages for a in page["Accounts"]} == set(world.state.organization.accounts)


def test_the_content_is_the_worlds(sample: Aws, names: Names, world: World) -> None:
    sso, store = sample.client("sso-admin"), sample.client("identitystore")
    answer = sso.describe_permission_set(InstanceArn=names.instance, PermissionSetArn=names.permission_set)
    assert answer["PermissionSet"]["Name"] == "LambdaDeveloper"
    assert answer["PermissionSet"]["SessionDuration"] == "PT8H"
    user = store.describe_user(IdentityStoreId=names.store, UserId=names.user.id)
    assert user["ExternalIds"] == [{"Issuer": names.issuer, "Id": names.user.external_id}]
    assert user["UserStatus"] == "ENABLED"
    account = sample.client("organizations").describe_account(AccountId=names.account)["Account"]
    assert account["State"] == "ACTIVE"
    organization = world.state.organization
    path = account["Paths"][0].split("/")
    assert path[:2] == [organization.id, organization.root_id]
    assert [organization.units[each].name for each in path[2:-2]] == ["Workloads", "Non-production"]
    tags = sample.client("organizations").list_tags_for_resource(ResourceId=names.account)["Tags"]
    assert {tag["Key"] for tag in tags} == {"owner", "environment", "data-class"}
