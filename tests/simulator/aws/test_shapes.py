"""Every call that is served, the portal's own among them, over HTTP with boto3, held to botocore's output shapes.

The bytes that were sent are looked at, besides what boto3 makes of them: it overlooks what it doesn't know.
"""

import ast
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.model import MapShape, Shape, ShapeResolver, StringShape

from clients.aws.trail_sql import select
from simulator.aws.iam import managed_policy
from simulator.aws.patterns import compiled
from simulator.aws.protocol import OPERATIONS
from simulator.aws.roles import QUERY
from simulator.aws.shapes import problems
from simulator.aws.trail_queries import STORE_ID
from simulator.sample import load_sample
from simulator.world.clock import WorldClock
from simulator.world.world import World
from tests.simulator.aws.running import Aws, serving
from tests.simulator.world.factory import START

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
DENIAL = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}'


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
        ("iam", "get_policy", {"PolicyArn": READ_ONLY}),
        (
            "iam",
            "get_policy_version",
            {"PolicyArn": READ_ONLY, "VersionId": managed_policy(READ_ONLY)["DefaultVersionId"]},
        ),
        ("sts", "get_caller_identity", {}),
        (
            "sts",
            "assume_role",
            {
                "RoleArn": f"arn:aws:iam::{names.account}:role/AccessPortalActivity",
                "RoleSessionName": "probe",
            },
        ),
        ("cloudtrail", "lookup_events", {}),
    ]


SSO = {"ServicePrincipal": "sso.amazonaws.com"}


def writes(names: Names, policy_id: str, request_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """What changes something, in an order in which each works; made after the reads."""
    one = {"InstanceArn": names.instance, "PermissionSetArn": names.permission_set}
    attached = {"PolicyId": policy_id, "TargetId": names.unit}
    kind = {"Filter": "SERVICE_CONTROL_POLICY"}
    membership = names.baseline.members[names.user.id].id
    return [
        ("sso-admin", "put_inline_policy_to_permission_set", {**one, "InlinePolicy": DENIAL}),
        ("sso-admin", "provision_permission_set", {**one, "TargetType": "ALL_PROVISIONED_ACCOUNTS"}),
        (
            "sso-admin",
            "provision_permission_set",
            {**one, "TargetType": "AWS_ACCOUNT", "TargetId": names.account},
        ),
        (
            "sso-admin",
            "describe_permission_set_provisioning_status",
            {"InstanceArn": names.instance, "ProvisionPermissionSetRequestId": request_id},
        ),
        ("sso-admin", "list_permission_set_provisioning_status", {"InstanceArn": names.instance}),
        ("sso-admin", "delete_inline_policy_from_permission_set", one),
        ("organizations", "update_policy", {"PolicyId": policy_id, "Description": "changed"}),
        ("organizations", "attach_policy", attached),
        ("organizations", "describe_policy", {"PolicyId": policy_id}),
        ("organizations", "list_policies", kind),
        ("organizations", "list_policies_for_target", {**kind, "TargetId": names.unit}),
        ("organizations", "list_targets_for_policy", {"PolicyId": policy_id}),
        ("organizations", "detach_policy", attached),
        ("organizations", "delete_policy", {"PolicyId": policy_id}),
        ("organizations", "register_delegated_administrator", {"AccountId": names.account, **SSO}),
        ("organizations", "list_delegated_administrators", {}),
        ("organizations", "deregister_delegated_administrator", {"AccountId": names.account, **SSO}),
        (
            "identitystore",
            "delete_group_membership",
            {"IdentityStoreId": names.store, "MembershipId": membership},
        ),
    ]


class Probe:
    """Makes calls, and keeps what is wrong with the answers."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._sent = b""
        self._watched: set[str] = set()
        self.wrong: list[str] = []
        self.made: set[tuple[str, str]] = set()

    def _client(self, service: str) -> Any:
        client = self._aws.client(service)
        if service not in self._watched:
            self._watched.add(service)
            client.meta.events.register("after-call", self._note)
        return client

    def _note(self, http_response: Any, **_: Any) -> None:
        self._sent = http_response.content

    def call(self, service: str, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        client = self._client(service)
        answer: dict[str, Any] = getattr(client, method)(**arguments)
        name = client.meta.method_to_api_mapping[method]
        self.made.add((service, name))
        shape = client.meta.service_model.operation_model(name).output_shape
        if (
            name != "GetPolicyVersion"
        ):  # whose document boto3 gives parsed; the simulator holds its text to the model
            self.wrong += [f"{service}.{method}{each}" for each in problems(shape, answer)]
        if service not in QUERY and shape is not None:
            raw = json.loads(self._sent or b"{}")
            self.wrong += [f"{service}.{method}{each} (as sent)" for each in problems(shape, raw)]
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_every_answer_has_the_models_shape(sample: Aws, names: Names, world: World) -> None:
    world.switches.trail_delay_seconds = 0.0
    person = world.directory.find_user_by_name("amara.okafor@acme.example")
    assert person is not None
    world.access_portal.sign_in(person.id)
    probe = Probe(sample)
    empty = []
    for service, method, arguments in calls(names):
        content = probe.call(service, method, arguments)
        if not content or any(value == [] for value in content.values()):
            empty.append((service, method))
    assert empty == [
        ("sso-admin", "get_inline_policy_for_permission_set"),  # asked again for a set that has none
        ("organizations", "list_delegated_administrators"),
    ]
    policy = {"Name": "Probe", "Description": "", "Type": "SERVICE_CONTROL_POLICY", "Content": DENIAL}
    policy_id = probe.call("organizations", "create_policy", policy)["Policy"]["PolicySummary"]["Id"]
    request_id = world.identity_center.provision(names.permission_set).id
    for service, method, arguments in writes(names, policy_id, request_id):
        probe.call(service, method, arguments)
    center = world.state.identity_center
    held = (f"recipientaccountid = '{center.owner_account_id}'", f"awsregion = '{center.region}'")
    statement = select(("eventtime", "eventid", "eventjson"), STORE_ID, held, most=10)
    query_id = probe.call("cloudtrail", "start_query", {"QueryStatement": statement})["QueryId"]
    looks = [probe.call("cloudtrail", "get_query_results", {"QueryId": query_id}) for _ in range(2)]
    assert [each["QueryStatus"] for each in looks] == ["RUNNING", "FINISHED"]
    assert looks[1]["QueryResultRows"]
    assert probe.wrong == []
    assert probe.made == {(service, name) for service in OPERATIONS for name in OPERATIONS[service]}


def test_every_call_of_the_product_is_served(sample: Aws) -> None:
    """Any text in the AWS adapters that boto3 knows as a method is a call."""
    texts = {
        node.value
        for path in (Path(__file__).parents[3] / "clients" / "aws").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    methods = {
        (service, method): name
        for service in OPERATIONS
        for method, name in sample.client(service).meta.method_to_api_mapping.items()
    }
    called = {(service, name) for (service, method), name in methods.items() if method in texts}
    # The same name in two services is one call of one of them.
    unserved = {name for _, name in called} - {name for service in OPERATIONS for name in OPERATIONS[service]}
    assert len(called) > 20
    assert unserved == set()


def test_the_shape_check_can_fail(sample: Aws, names: Names) -> None:
    client = sample.client("sso-admin")
    shape = client.meta.service_model.operation_model("DescribePermissionSet").output_shape
    broken = {"PermissionSet": {"PermissionSetArn": "arn:aws:sso:::instance/x/y", "Mood": "good", "Name": 7}}
    assert len(problems(shape, broken)) >= 3
    store = sample.client("identitystore")
    shape = store.meta.service_model.operation_model("DescribeGroup").output_shape
    group = store.describe_group(IdentityStoreId=names.store, GroupId=names.group.id)
    assert problems(shape, group) == []
    assert problems(shape, {**group, "ExternalIds": []}) == [".ExternalIds: 0 entries"]


def patterns(shape: Shape | None, seen: set[str]) -> Iterator[str]:
    """Every pattern below a shape of a model."""
    if shape is None or shape.name in seen:
        return
    seen.add(shape.name)
    if "pattern" in shape.metadata:
        yield shape.metadata["pattern"]
    for inner in (
        *getattr(shape, "members", {}).values(),
        *(getattr(shape, name, None) for name in ("member", "key", "value")),
    ):
        yield from patterns(inner, seen)


def test_no_pattern_of_a_call_goes_unchecked(sample: Aws) -> None:
    met: set[str] = set()
    for service, operations in OPERATIONS.items():
        for name in operations:
            model = sample.client(service).meta.service_model.operation_model(name)
            for shape in (model.input_shape, model.output_shape, *model.error_shapes):
                met |= set(patterns(shape, set()))
    assert len([each for each in met if r"\p{" in each]) > 5, "the models use Java's names"
    unchecked = []
    for each in met:
        try:
            compiled(each)
        except re.error:
            unchecked.append(each)
    assert unchecked == []


@pytest.mark.parametrize("kind", "LMZSNP")
def test_a_kind_of_characters_is_unicodes(kind: str) -> None:
    of_it = "".join(each for each in map(chr, range(0x110000)) if unicodedata.category(each)[0] == kind)
    others = "".join(each for each in map(chr, range(0x110000)) if unicodedata.category(each)[0] != kind)
    assert compiled(rf"\p{{{kind}}}+").fullmatch(of_it)
    assert compiled(rf"[_:\p{{{kind}}}]+").fullmatch(of_it + "_:")
    assert not compiled(rf"\p{{{kind}}}").search(others)


def test_a_pattern_is_checked_and_one_that_cant_be_read_is_a_problem(sample: Aws) -> None:
    model = sample.client("identitystore").meta.service_model.operation_model("DescribeGroup")
    shape = model.output_shape.members["DisplayName"]
    assert problems(shape, "Zoë + 1 €") == []
    (unmatched,) = problems(shape, "bell\a")
    assert "doesn't match" in unmatched
    (unread,) = problems(StringShape("Odd", {"type": "string", "pattern": r"\p{Greek}"}), "a")
    assert "can't be read" in unread
    counts = MapShape(
        "Counts",
        {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Count"}},
        ShapeResolver({"Name": {"type": "string", "pattern": "[a-z]+"}, "Count": {"type": "integer"}}),
    )
    assert problems(counts, {"a": 1}) == []
    assert len(problems(counts, {"B": True})) == 2


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
