"""The AWS adapters against answers that botocore checks with its own service models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.stub import Stubber

from clients.aws.caller import AwsCaller
from clients.aws.config import AwsConfig
from clients.aws.failures import from_botocore
from clients.aws.identity_center import Boto3IdentityCenter, session_duration
from clients.aws.organization import Boto3Organization, unit_of
from clients.errors import ClientError, NotFound, NotPermitted, Refused, Throttled, Unreachable
from clients.limits import LocalLimiter, Rate
from clients.types import GroupAssignment, OrganizationUnit
from tests.clients.scripted import Reply, scripted

REGION = "eu-west-1"
INSTANCE = "arn:aws:sso:::instance/ssoins-0123456789abcdef"
STORE = "d-0123456789"
SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"
OTHER_SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-fedcba9876543210"
GROUP, OTHER_GROUP, USER = (
    "11111111-1111-4111-8111-111111111111",
    "22222222-2222-4222-8222-222222222222",
    "33333333-3333-4333-8333-333333333333",
)
FAST = {name: Rate(10_000, burst=10_000) for name in ("sso-admin", "identitystore", "organizations", "iam")}


class Recording(LocalLimiter):
    """Remembers which buckets were held."""

    def __init__(self) -> None:
        super().__init__(FAST)
        self.held: list[tuple[str, timedelta]] = []

    def hold(self, bucket: str, span: timedelta) -> None:
        self.held.append((bucket, span))


class Cloud:
    """An AwsCaller whose boto3 clients answer from stubs."""

    def __init__(self, instance_arn: str = "") -> None:
        self.limiter = Recording()
        self.caller = AwsCaller(AwsConfig(REGION, instance_arn), self.limiter)
        self.stubs = {}
        for service in FAST:
            client = boto3.client(
                service, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
            )
            self.stubs[service] = Stubber(client)
            self.stubs[service].activate()
        self.caller._client = lambda service: self.stubs[service].client  # type: ignore[method-assign]
        self.center = Boto3IdentityCenter(self.caller)
        self.organization = Boto3Organization(self.caller)

    def sso(self, method: str, answer: dict[str, Any], **arguments: Any) -> None:
        self.stubs["sso-admin"].add_response(method, answer, arguments or None)

    def store(self, method: str, answer: dict[str, Any], **arguments: Any) -> None:
        self.stubs["identitystore"].add_response(method, answer, arguments or None)

    def org(self, method: str, answer: dict[str, Any], **arguments: Any) -> None:
        self.stubs["organizations"].add_response(method, answer, arguments or None)

    def refuse(self, service: str, method: str, code: str, status: int = 400, **more: Any) -> None:
        self.stubs[service].add_client_error(
            method, service_error_code=code, http_status_code=status, modeled_fields=more or None
        )

    def has_instance(self) -> None:
        self.sso("list_instances", {"Instances": [{"InstanceArn": INSTANCE, "IdentityStoreId": STORE}]})

    def all_asked(self) -> None:
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    made = Cloud()
    made.has_instance()
    yield made
    made.all_asked()


# --- errors


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, Throttled),
        ("TooManyRequestsException", 400, Throttled),
        ("Whatever", 429, Throttled),
        ("ConflictException", 400, Throttled),
        ("ConcurrentModificationException", 400, Throttled),
        ("PolicyChangesInProgressException", 400, Throttled),
        ("AccessDeniedException", 400, NotPermitted),
        ("ExpiredTokenException", 400, NotPermitted),
        ("UnrecognizedClientException", 400, NotPermitted),
        ("ResourceNotFoundException", 400, NotFound),
        ("ValidationException", 400, Refused),
        ("InternalServerException", 500, Unreachable),
        ("ServiceUnavailable", 503, Unreachable),
    ],
)
def test_an_error_of_aws_becomes_one_of_the_ports(code: str, status: int, kind: type[ClientError]) -> None:
    cloud = Cloud()
    cloud.refuse("sso-admin", "list_instances", code, status)

    with pytest.raises(ClientError) as caught:
        cloud.center.instance()

    assert type(caught.value) is kind
    assert caught.value.sentence.endswith(".")
    assert caught.value.receipt is not None
    assert caught.value.receipt.client_request_id
    assert [bucket for bucket, _ in cloud.limiter.held] == (["sso-admin"] if kind is Throttled else [])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EndpointConnectionError(endpoint_url="https://x"), Unreachable),
        (ConnectTimeoutError(endpoint_url="https://x"), Unreachable),
        (ReadTimeoutError(endpoint_url="https://x"), Unreachable),
        (NoCredentialsError(), NotPermitted),
        (ParamValidationError(report="x"), Refused),
    ],
)
def test_a_call_without_an_answer_becomes_one_of_the_ports(error: Any, kind: type[ClientError]) -> None:
    mapped = from_botocore(error, operation="op", client_request_id="ours")

    assert type(mapped) is kind
    assert mapped.code == type(error).__name__


def test_an_identity_store_throttle_holds_one_operation_for_the_time_it_names(cloud: Cloud) -> None:
    cloud.refuse("identitystore", "list_groups", "ThrottlingException", RetryAfterSeconds=9)

    with pytest.raises(Throttled) as caught:
        cloud.center.groups()

    assert caught.value.retry_after == timedelta(seconds=9)
    assert cloud.limiter.held == [("identitystore:ListGroups", timedelta(seconds=9))]


# --- instance


def test_the_instance_is_asked_for_once(cloud: Cloud) -> None:
    first, second = cloud.center.instance(), cloud.center.instance()

    assert first == second
    assert (first.value.instance_arn, first.value.identity_store_id, first.value.region) == (
        INSTANCE,
        STORE,
        REGION,
    )


@pytest.mark.parametrize("arns", [[], [INSTANCE, INSTANCE[:-1] + "0"]])
def test_an_unclear_instance_says_what_to_set(arns: list[str]) -> None:
    cloud = Cloud()
    rows = [{"InstanceArn": arn, "IdentityStoreId": STORE} for arn in arns]
    cloud.sso("list_instances", {"Instances": rows})

    with pytest.raises(NotFound, match="AWS_IDENTITY_CENTER_INSTANCE_ARN"):
        cloud.center.instance()


def test_the_configured_instance_is_chosen() -> None:
    cloud = Cloud(instance_arn=INSTANCE)
    others = [{"InstanceArn": arn, "IdentityStoreId": STORE} for arn in (INSTANCE[:-1] + "0", INSTANCE)]
    cloud.sso("list_instances", {"Instances": others})

    assert cloud.center.instance().value.instance_arn == INSTANCE


# --- permission sets


def test_a_list_is_followed_across_empty_pages(cloud: Cloud) -> None:
    common = {"InstanceArn": INSTANCE, "MaxResults": 100}
    cloud.sso("list_permission_sets", {"PermissionSets": [], "NextToken": "1"}, **common)
    cloud.sso("list_permission_sets", {"PermissionSets": [SET], "NextToken": "2"}, NextToken="1", **common)
    cloud.sso("list_permission_sets", {"PermissionSets": [OTHER_SET]}, NextToken="2", **common)

    assert cloud.center.permission_set_arns().value == (SET, OTHER_SET)


def test_a_page_that_repeats_for_ever_is_left(cloud: Cloud) -> None:
    for _ in range(2):
        cloud.sso("list_permission_sets", {"PermissionSets": [SET], "NextToken": "same"})

    with pytest.raises(Unreachable) as caught:
        cloud.center.permission_set_arns()

    assert caught.value.code == "EndlessPages"


def one_set(cloud: Cloud, head: dict[str, Any], **parts: dict[str, Any]) -> None:
    both = {"InstanceArn": INSTANCE, "PermissionSetArn": SET}
    listed = {**both, "MaxResults": 100}
    cloud.sso("describe_permission_set", {"PermissionSet": head}, **both)
    cloud.sso("list_managed_policies_in_permission_set", parts.get("managed", {}), **listed)
    cloud.sso(
        "list_customer_managed_policy_references_in_permission_set", parts.get("customer", {}), **listed
    )
    cloud.sso("list_tags_for_resource", parts.get("tags", {}), InstanceArn=INSTANCE, ResourceArn=SET)
    if "inline" in parts:
        cloud.sso("get_inline_policy_for_permission_set", parts["inline"], **both)
    else:
        cloud.refuse("sso-admin", "get_inline_policy_for_permission_set", "ResourceNotFoundException")
    if "boundary" in parts:
        cloud.sso("get_permissions_boundary_for_permission_set", parts["boundary"], **both)
    else:
        cloud.refuse("sso-admin", "get_permissions_boundary_for_permission_set", "ResourceNotFoundException")


def test_a_full_permission_set_is_read(cloud: Cloud) -> None:
    one_set(
        cloud,
        {
            "Name": "Admin",
            "Description": "all",
            "SessionDuration": "PT4H",
            "RelayState": "https://example.com",
        },
        managed={
            "AttachedManagedPolicies": [{"Name": "AdministratorAccess", "Arn": "arn:aws:iam::aws:policy/A"}]
        },
        customer={"CustomerManagedPolicyReferences": [{"Name": "Deny", "Path": "/team/"}]},
        inline={"InlinePolicy": '{"Version":"2012-10-17"}'},
        boundary={"PermissionsBoundary": {"CustomerManagedPolicyReference": {"Name": "Edge", "Path": "/b/"}}},
        tags={"Tags": [{"Key": "risk", "Value": "high"}]},
    )

    found = cloud.center.permission_set(SET).value

    assert found.name == "Admin"
    assert found.session_duration == timedelta(hours=4)
    assert found.managed_policies == (("AdministratorAccess", "arn:aws:iam::aws:policy/A"),)
    assert found.customer_managed_policies == (("/team/", "Deny"),)
    assert found.inline_policy == '{"Version":"2012-10-17"}'
    assert found.permissions_boundary == "/b/Edge"
    assert found.tags == {"risk": "high"}


@pytest.mark.parametrize("present", [True, False])
def test_a_bare_permission_set_is_read(cloud: Cloud, present: bool) -> None:
    """What is missing comes as an error or as an empty object."""
    one_set(cloud, {"Name": "Bare"}, **({"inline": {}, "boundary": {}} if present else {}))

    found = cloud.center.permission_set(SET).value

    assert (found.description, found.relay_state, found.inline_policy, found.permissions_boundary) == (
        "",
    ) * 4
    assert found.session_duration == timedelta(hours=1)
    assert found.tags == {}


@pytest.mark.parametrize(
    ("text", "length"),
    [
        (None, timedelta(hours=1)),
        ("PT4H", timedelta(hours=4)),
        ("PT90M", timedelta(minutes=90)),
        ("PT1H30M", timedelta(minutes=90)),
        ("PT0S", timedelta(hours=12)),
        ("four hours", timedelta(hours=12)),
    ],
)
def test_an_unreadable_session_length_counts_as_the_longest(text: str | None, length: timedelta) -> None:
    assert session_duration(text) == length


# --- account assignments


def assignment(account: str, arn: str, principal: str = GROUP, kind: str = "GROUP") -> dict[str, str]:
    return {
        "AccountId": account,
        "PermissionSetArn": arn,
        "PrincipalId": principal,
        "PrincipalType": kind,
    }


def test_a_groups_assignments_come_in_one_list(cloud: Cloud) -> None:
    cloud.sso(
        "list_account_assignments_for_principal",
        {"AccountAssignments": [assignment("111122223333", SET), assignment("444455556666", OTHER_SET)]},
        InstanceArn=INSTANCE,
        PrincipalId=GROUP,
        PrincipalType="GROUP",
        MaxResults=100,
    )

    assert cloud.center.group_assignments(GROUP).value == (
        GroupAssignment("111122223333", SET),
        GroupAssignment("444455556666", OTHER_SET),
    )


def test_where_that_list_is_denied_the_provisioned_pairs_are_read_once_for_all_groups(cloud: Cloud) -> None:
    cloud.refuse("sso-admin", "list_account_assignments_for_principal", "AccessDeniedException")
    cloud.sso("list_permission_sets", {"PermissionSets": [SET]})
    cloud.sso("list_accounts_for_provisioned_permission_set", {"AccountIds": ["111122223333"]})
    rows = [
        assignment("111122223333", SET),
        assignment("111122223333", SET, principal=OTHER_GROUP),
        assignment("111122223333", SET, principal=USER, kind="USER"),
    ]
    cloud.sso("list_account_assignments", {"AccountAssignments": rows})
    cloud.refuse("sso-admin", "list_account_assignments_for_principal", "AccessDeniedException")

    assert cloud.center.group_assignments(GROUP).value == (GroupAssignment("111122223333", SET),)
    assert cloud.center.group_assignments(OTHER_GROUP).value == (GroupAssignment("111122223333", SET),)


# --- identity store


def membership(group: str, *, exists: bool) -> dict[str, Any]:
    return {"GroupId": group, "MemberId": {"UserId": USER}, "MembershipExists": exists}


def test_memberships_are_read_a_hundred_groups_a_call(cloud: Cloud) -> None:
    groups = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(101)]
    for some in (groups[:100], groups[100:]):
        cloud.store(
            "is_member_in_groups",
            {"Results": [membership(group, exists=group == groups[7]) for group in some]},
            IdentityStoreId=STORE,
            MemberId={"UserId": USER},
            GroupIds=some,
        )

    held = cloud.center.memberships(USER, groups).value

    assert [group for group, member in held.items() if member] == [groups[7]]
    assert len(held) == 101


def test_an_unknown_person_is_not_called_no_member(cloud: Cloud) -> None:
    cloud.refuse("identitystore", "is_member_in_groups", "ResourceNotFoundException", ResourceType="USER")

    with pytest.raises(NotFound):
        cloud.center.memberships(USER, [GROUP, OTHER_GROUP])


def test_an_unknown_group_is_found_out_singly(cloud: Cloud) -> None:
    cloud.refuse("identitystore", "is_member_in_groups", "ResourceNotFoundException", ResourceType="GROUP")
    cloud.refuse("identitystore", "is_member_in_groups", "ResourceNotFoundException", ResourceType="GROUP")
    cloud.store("is_member_in_groups", {"Results": [membership(OTHER_GROUP, exists=True)]})

    assert cloud.center.memberships(USER, [GROUP, OTHER_GROUP]).value == {GROUP: False, OTHER_GROUP: True}


@pytest.mark.parametrize("more", [{"ResourceType": "IDENTITY_STORE"}, {}])
def test_absence_is_not_concluded_from_a_missing_store(cloud: Cloud, more: dict[str, Any]) -> None:
    cloud.refuse("identitystore", "is_member_in_groups", "ResourceNotFoundException", **more)

    with pytest.raises(NotFound):
        cloud.center.memberships(USER, [GROUP])


def test_absence_is_not_concluded_from_a_missing_row(cloud: Cloud) -> None:
    cloud.store("is_member_in_groups", {"Results": [membership(GROUP, exists=True)]})

    with pytest.raises(Unreachable) as caught:
        cloud.center.memberships(USER, [GROUP, OTHER_GROUP])

    assert caught.value.code == "IncompleteAnswer"


def test_one_membership_carries_its_creation(cloud: Cloud) -> None:
    created = datetime(2026, 11, 23, 10, tzinfo=UTC)
    stamp = {"CreatedAt": created, "MembershipId": GROUP, "IdentityStoreId": STORE}
    row = {"GroupId": GROUP, "MemberId": {"UserId": USER}, **stamp}
    arn = {"MembershipArn": f"arn:aws:identitystore:::membership/{GROUP}"}
    for _ in range(2):
        cloud.store("list_group_memberships_for_member", {"GroupMemberships": [{**row, **arn}]})

    found = cloud.center.membership(USER, GROUP).value
    absent = cloud.center.membership(USER, OTHER_GROUP).value

    assert found is not None
    assert found.created_at == created
    assert absent is None


def user_row(**more: Any) -> dict[str, Any]:
    required = {"UserArn": f"arn:aws:identitystore:::user/{USER}", "Revision": "1"}
    return {"UserId": USER, "IdentityStoreId": STORE, "UserName": "ada", **required, **more}


def test_a_user_is_found_by_name(cloud: Cloud) -> None:
    by_name = {"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": "ada"}}
    cloud.store(
        "get_user_id",
        {"UserId": USER, "IdentityStoreId": STORE, "UserArn": f"arn:aws:identitystore:::user/{USER}"},
        IdentityStoreId=STORE,
        AlternateIdentifier=by_name,
    )
    external = [{"Issuer": "https://scim.aws.com/x", "Id": "entra-id"}]
    cloud.store("describe_user", user_row(UserStatus="DISABLED", ExternalIds=external))

    found = cloud.center.find_user("ada").value

    assert found is not None
    assert (found.user_name, found.external_ids, found.enabled) == ("ada", ("entra-id",), False)


def test_nobody_of_that_name_is_none(cloud: Cloud) -> None:
    cloud.refuse("identitystore", "get_user_id", "ResourceNotFoundException", ResourceType="USER")

    assert cloud.center.find_user("nobody").value is None


def test_a_missing_store_is_not_nobody(cloud: Cloud) -> None:
    cloud.refuse("identitystore", "get_user_id", "ResourceNotFoundException", ResourceType="IDENTITY_STORE")

    with pytest.raises(NotFound):
        cloud.center.find_user("ada")


# --- organization


def test_the_tree_is_walked_from_the_roots() -> None:
    cloud = Cloud()
    cloud.org("list_roots", {"Roots": [{"Id": "r-abcd", "Name": "Root"}]}, MaxResults=20)
    list_units = "list_organizational_units_for_parent"
    unit, leaf = "ou-abcd-11111111", "ou-abcd-22222222"
    cloud.org(
        list_units,
        {"OrganizationalUnits": [{"Id": unit, "Name": "Prod"}]},
        ParentId="r-abcd",
        MaxResults=20,
    )
    cloud.org(list_units, {"OrganizationalUnits": [{"Id": leaf, "Name": "EU"}]}, ParentId=unit, MaxResults=20)
    cloud.org(list_units, {"OrganizationalUnits": []}, ParentId=leaf, MaxResults=20)

    assert cloud.organization.units().value == (
        OrganizationUnit("r-abcd", "Root", ""),
        OrganizationUnit(unit, "Prod", "r-abcd"),
        OrganizationUnit(leaf, "EU", unit),
    )
    cloud.all_asked()


def test_accounts_are_placed_by_their_paths() -> None:
    cloud = Cloud()
    row = {
        "Id": "111122223333",
        "Name": "prod",
        "Email": "aws@example.com",
        "State": "ACTIVE",
        "Paths": ["o-exampleorg/r-abcd/ou-abcd-11111111/111122223333/"],
    }
    cloud.org("list_accounts", {"Accounts": [row]}, MaxResults=20)

    account = cloud.organization.accounts().value[0]

    assert (account.account_id, account.unit_id, account.state) == (
        "111122223333",
        "ou-abcd-11111111",
        "ACTIVE",
    )
    cloud.all_asked()


def test_without_paths_each_unit_is_asked() -> None:
    cloud = Cloud()
    cloud.org("list_accounts", {"Accounts": [{"Id": "111122223333", "Status": "SUSPENDED"}]})
    cloud.org("list_roots", {"Roots": [{"Id": "r-abcd", "Name": "Root"}]})
    cloud.org("list_organizational_units_for_parent", {"OrganizationalUnits": []})
    cloud.org("list_accounts_for_parent", {"Accounts": [{"Id": "111122223333"}]})

    account = cloud.organization.accounts().value[0]

    assert (account.unit_id, account.state) == ("r-abcd", "SUSPENDED")


@pytest.mark.parametrize(
    ("paths", "unit"),
    [
        (["o-x/r-y/ou-z/1/"], "ou-z"),
        (["o-x/r-y/1/"], "r-y"),
        (["1/"], ""),
        (["o-x/r-y/2/"], ""),
        (None, ""),
    ],
)
def test_the_unit_is_what_stands_before_the_account(paths: list[str] | None, unit: str) -> None:
    assert unit_of({"Id": "1", "Paths": paths}) == unit


# --- pacing, over the wire


def test_every_attempt_passes_the_limiter_retries_too(monkeypatch: pytest.MonkeyPatch) -> None:
    acquired: list[str] = []

    class Counting:
        def acquire(self, bucket: str, cost: int = 1) -> None:
            acquired.append(bucket)

        def hold(self, bucket: str, span: timedelta) -> None: ...

    amz_json = "application/x-amz-json-1.1"
    busy = Reply(400, {"__type": "ThrottlingException", "message": "slow down"}, content_type=amz_json)
    with scripted() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.origin)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
        server.reply(busy, busy, Reply(200, {"Instances": []}, content_type=amz_json))

        AwsCaller(AwsConfig(REGION), Counting()).pages("sso-admin", "list_instances", "Instances")

    assert acquired == ["sso-admin"] * 3


def test_a_limiter_that_refuses_is_heard_as_throttling(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = LocalLimiter({"sso-admin": Rate(0.01)})
    limiter.acquire("sso-admin")
    with scripted() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.origin)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")

        with pytest.raises(Throttled) as caught:
            AwsCaller(AwsConfig(REGION), limiter).pages("sso-admin", "list_instances", "Instances")

        assert caught.value.code == "LocalRateLimit"
        assert server.asked == []
