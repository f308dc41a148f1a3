"""What the AWS front does besides answering: refusals, limits, faults, Regions, accounts, asynchronous work."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from simulator.aws.app import create_app
from simulator.aws.roles import ADMINISTRATOR, Role
from simulator.aws.throttles import Throttles
from simulator.listener import Listener
from tests.simulator.aws.running import ACCESS_KEY, Aws, serving
from tests.simulator.world.factory import Small, small_world

NOBODY = "00000000-0000-4000-8000-000000000000"
MEMBER_KEY = "AKIA1111111111111111"


def code_of(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


@pytest.fixture
def store_id(small: Small) -> str:
    return small.world.state.identity_center.identity_store_id


@pytest.fixture
def instance(small: Small) -> str:
    return small.world.state.identity_center.instance_arn


def test_membership_is_read_back(small: Small, aws: Aws, store_id: str) -> None:
    client = aws.client("identitystore")
    ada, group = small.user_id_in_store(small.ada), small.builder.store_group(small.group).id

    def present() -> bool:
        (row,) = client.is_member_in_groups(
            IdentityStoreId=store_id, MemberId={"UserId": ada}, GroupIds=[group]
        )["Results"]
        return bool(row["MembershipExists"])

    assert not present()
    small.assign(small.ada, duration="PT1H")
    small.world.clock.step(timedelta(minutes=41))
    assert present()  # the front lets happen what is due
    found = client.get_group_membership_id(IdentityStoreId=store_id, GroupId=group, MemberId={"UserId": ada})
    row = client.describe_group_membership(IdentityStoreId=store_id, MembershipId=found["MembershipId"])
    assert row["CreatedAt"] == small.world.state.identity_center.groups[group].members[ada].created_at
    client.delete_group_membership(IdentityStoreId=store_id, MembershipId=found["MembershipId"])
    assert not present()
    assert (
        code_of(
            client.get_group_membership_id, IdentityStoreId=store_id, GroupId=group, MemberId={"UserId": ada}
        )
        == "ResourceNotFoundException"
    )


@pytest.mark.parametrize("stamped", [True, False])
def test_the_stamp_of_a_membership_is_a_switch(small: Small, aws: Aws, store_id: str, stamped: bool) -> None:
    small.world.switches.membership_created_at = stamped
    group = small.builder.store_group(small.baseline).id
    rows = aws.client("identitystore").list_group_memberships(IdentityStoreId=store_id, GroupId=group)
    assert all(("CreatedAt" in row) == stamped for row in rows["GroupMemberships"])


def test_unknown_ids(small: Small, aws: Aws, store_id: str, instance: str) -> None:
    store, sso, organizations = (
        aws.client("identitystore"),
        aws.client("sso-admin"),
        aws.client("organizations"),
    )
    missing = "ResourceNotFoundException"
    assert code_of(store.describe_user, IdentityStoreId=store_id, UserId=NOBODY) == missing
    assert code_of(store.describe_group, IdentityStoreId=store_id, GroupId=NOBODY) == missing
    assert code_of(store.list_users, IdentityStoreId="d-0000000000") == missing
    with pytest.raises(ClientError) as caught:
        store.describe_group(IdentityStoreId=store_id, GroupId=NOBODY)
    assert caught.value.response["ResourceType"] == "GROUP"
    other = instance[:-16] + "0" * 16
    assert code_of(sso.list_permission_sets, InstanceArn=other) == missing
    arn = small.permission_set.arn[:-16] + "0" * 16
    assert code_of(sso.describe_permission_set, InstanceArn=instance, PermissionSetArn=arn) == missing
    assert (
        code_of(
            sso.get_permissions_boundary_for_permission_set,
            InstanceArn=instance,
            PermissionSetArn=small.permission_set.arn,
        )
        == missing
    )
    assert code_of(organizations.list_parents, ChildId="999999999999") == "ChildNotFoundException"
    assert code_of(organizations.list_accounts_for_parent, ParentId="r-zzzz") == "ParentNotFoundException"
    assert (
        code_of(organizations.list_tags_for_resource, ResourceId="999999999999") == "TargetNotFoundException"
    )


def test_page_sizes_and_tokens(aws: Aws, instance: str, store_id: str) -> None:
    sso = aws.client("sso-admin")
    assert (
        code_of(sso.list_permission_sets, InstanceArn=instance, NextToken="nonsense") == "ValidationException"
    )
    store = aws.client("identitystore")
    first = store.list_users(IdentityStoreId=store_id, MaxResults=1)
    assert len(first["Users"]) == 1
    second = store.list_users(IdentityStoreId=store_id, MaxResults=1, NextToken=first["NextToken"])
    assert "NextToken" not in second
    assert (
        code_of(store.list_groups, IdentityStoreId=store_id, NextToken=first["NextToken"])
        == "ValidationException"
    )


def test_stores_are_named_by_arn_too(small: Small, aws: Aws, store_id: str) -> None:
    store = aws.client("identitystore")
    owner = small.world.state.organization.management_account_id
    arn = f"arn:aws:identitystore::{owner}:identitystore/{store_id}"
    user = store.list_users(IdentityStoreId=arn)["Users"][0]
    assert store.describe_user(IdentityStoreId=store_id, UserId=user["UserArn"])["UserId"] == user["UserId"]


@pytest.mark.parametrize("folds", [True, False])
def test_the_case_of_user_names_is_a_switch(small: Small, aws: Aws, store_id: str, folds: bool) -> None:
    small.world.switches.case_insensitive_user_name = folds
    store = aws.client("identitystore")
    unique = {"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": "ADA@acme.example"}}
    if folds:
        found = store.get_user_id(IdentityStoreId=store_id, AlternateIdentifier=unique)
        assert found["UserId"] == small.user_id_in_store(small.ada)
    else:
        assert (
            code_of(store.get_user_id, IdentityStoreId=store_id, AlternateIdentifier=unique)
            == "ResourceNotFoundException"
        )


def test_alternate_identifiers(small: Small, aws: Aws, store_id: str) -> None:
    store = aws.client("identitystore")
    issuer = small.world.state.identity_center.external_id_issuer
    mail = {"UniqueAttribute": {"AttributePath": "emails.value", "AttributeValue": "ada@acme.example"}}
    found = store.get_user_id(IdentityStoreId=store_id, AlternateIdentifier=mail)
    assert found["UserId"] == small.user_id_in_store(small.ada)
    external = {"ExternalId": {"Issuer": issuer, "Id": small.group.id}}
    found = store.get_group_id(IdentityStoreId=store_id, AlternateIdentifier=external)
    assert found["GroupId"] == small.builder.store_group(small.group).id
    foreign = {"ExternalId": {"Issuer": "https://elsewhere.example", "Id": small.group.id}}
    assert (
        code_of(store.get_group_id, IdentityStoreId=store_id, AlternateIdentifier=foreign)
        == "ResourceNotFoundException"
    )
    other = {"UniqueAttribute": {"AttributePath": "title", "AttributeValue": "x"}}
    assert (
        code_of(store.get_user_id, IdentityStoreId=store_id, AlternateIdentifier=other)
        == "ValidationException"
    )


def test_another_region_sees_no_instance(aws: Aws) -> None:
    client = aws.client("sso-admin", region="us-east-2")
    assert client.list_instances()["Instances"] == []
    assert len(client.list_instances(RegionScope="ALL_REGIONS")["Instances"]) == 1


@pytest.fixture
def member(small: Small) -> Iterator[Aws]:
    roles = {MEMBER_KEY: Role("Reader", account=small.account.id), ACCESS_KEY: ADMINISTRATOR}
    with serving(small.world, roles=roles) as running:
        yield running


def test_a_member_account_reads_the_identity_store_alone(
    small: Small, member: Aws, store_id: str, instance: str
) -> None:
    def client(service: str) -> Any:
        return member.client(service, access_key=MEMBER_KEY)

    assert client("sts").get_caller_identity()["Account"] == small.account.id
    assert client("identitystore").list_users(IdentityStoreId=store_id)["Users"]
    assert client("sso-admin").list_instances()["Instances"] == []
    assert code_of(client("sso-admin").list_permission_sets, InstanceArn=instance) == "AccessDeniedException"
    assert code_of(client("organizations").list_accounts) == "AccessDeniedException"
    management = small.world.state.organization.management_account_id
    assert member.client("sts", access_key=ACCESS_KEY).get_caller_identity()["Account"] == management


def test_the_management_account_lets_one_member_administer_identity_center(
    small: Small, aws: Aws, member: Aws, instance: str
) -> None:
    management, sso = aws.client("organizations"), member.client("sso-admin", access_key=MEMBER_KEY)
    asked = {"AccountId": small.account.id, "ServicePrincipal": "sso.amazonaws.com"}
    own = {**asked, "AccountId": small.world.state.organization.management_account_id}
    theirs = member.client("organizations", access_key=MEMBER_KEY)
    assert code_of(theirs.register_delegated_administrator, **asked) == "AccessDeniedException"
    assert code_of(management.register_delegated_administrator, **own) == "ConstraintViolationException"
    other = {**asked, "ServicePrincipal": "guardduty.amazonaws.com"}
    assert code_of(management.register_delegated_administrator, **other) == "InvalidInputException"
    assert code_of(management.deregister_delegated_administrator, **asked) == "AccountNotRegisteredException"
    management.register_delegated_administrator(**asked)
    assert (
        code_of(management.register_delegated_administrator, **asked) == "AccountAlreadyRegisteredException"
    )
    (row,) = management.list_delegated_administrators()["DelegatedAdministrators"]
    assert row["Id"] == small.account.id
    assert sso.list_permission_sets(InstanceArn=instance)["PermissionSets"]
    management.deregister_delegated_administrator(**asked)
    assert code_of(sso.list_permission_sets, InstanceArn=instance) == "AccessDeniedException"


@pytest.mark.parametrize("may", [True, False])
def test_assignments_per_principal_for_a_delegated_administrator_are_a_switch(
    small: Small, member: Aws, instance: str, may: bool
) -> None:
    small.world.state.organization.delegated_administrators.append(small.account.id)
    small.world.switches.delegated_administrator_may_list_for_principal = may
    sso = member.client("sso-admin", access_key=MEMBER_KEY)
    assert sso.list_permission_sets(InstanceArn=instance)["PermissionSets"]
    arguments = {
        "InstanceArn": instance,
        "PrincipalId": small.builder.store_group(small.group).id,
        "PrincipalType": "GROUP",
    }
    if may:
        assert len(sso.list_account_assignments_for_principal(**arguments)["AccountAssignments"]) == 1
    else:
        assert code_of(sso.list_account_assignments_for_principal, **arguments) == "AccessDeniedException"


@pytest.mark.parametrize("inherited", [True, False])
def test_rows_that_a_user_has_through_groups_are_a_switch(
    small: Small, aws: Aws, instance: str, inherited: bool
) -> None:
    small.world.switches.user_assignments_include_inherited = inherited
    small.assign(small.ada)
    small.world.provisioning.run_cycle()
    rows = aws.client("sso-admin").list_account_assignments_for_principal(
        InstanceArn=instance, PrincipalId=small.user_id_in_store(small.ada), PrincipalType="USER"
    )["AccountAssignments"]
    assert len(rows) == (1 if inherited else 0)


def test_a_policy_reaches_accounts_only_when_provisioned(small: Small, aws: Aws, instance: str) -> None:
    sso = aws.client("sso-admin")
    one = {"InstanceArn": instance, "PermissionSetArn": small.permission_set.arn}
    assert (
        code_of(sso.put_inline_policy_to_permission_set, **one, InlinePolicy="{no json")
        == "ValidationException"
    )
    sso.put_inline_policy_to_permission_set(**one, InlinePolicy='{"Version": "2012-10-17", "Statement": []}')
    outdated = {"ProvisioningStatus": "LATEST_PERMISSION_SET_NOT_PROVISIONED"}
    list_accounts = sso.list_accounts_for_provisioned_permission_set
    assert list_accounts(**one, **outdated)["AccountIds"] == [small.account.id]
    started = sso.provision_permission_set(**one, TargetType="ALL_PROVISIONED_ACCOUNTS")
    request = started["PermissionSetProvisioningStatus"]
    assert request["Status"] == "IN_PROGRESS"
    small.step(seconds=10)
    status = sso.describe_permission_set_provisioning_status(
        InstanceArn=instance, ProvisionPermissionSetRequestId=request["RequestId"]
    )["PermissionSetProvisioningStatus"]
    assert status["Status"] == "SUCCEEDED"
    assert list_accounts(**one, **outdated)["AccountIds"] == []
    listed = sso.list_permission_set_provisioning_status(InstanceArn=instance, Filter={"Status": "SUCCEEDED"})
    assert [row["RequestId"] for row in listed["PermissionSetsProvisioningStatus"]] == [request["RequestId"]]


# ---------------------------------------------------------------- limits and faults


class Ticking:
    """A clock for the buckets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_sso_admin_counts_all_calls_together() -> None:
    ticking, small = Ticking(), small_world()
    instance = small.world.state.identity_center.instance_arn
    with serving(small.world, throttles=Throttles(clock=ticking)) as aws:
        sso = aws.client("sso-admin")
        for number in range(20):
            _ = sso.list_instances() if number % 2 else sso.list_permission_sets(InstanceArn=instance)
        assert code_of(sso.list_instances) == "ThrottlingException"
        ticking.now += 0.05
        assert sso.list_instances()["Instances"]


def test_identitystore_counts_each_operation_and_organizations_says_too_many_requests() -> None:
    ticking, small = Ticking(), small_world()
    store_id = small.world.state.identity_center.identity_store_id
    with serving(small.world, throttles=Throttles(clock=ticking)) as aws:
        store, organizations = aws.client("identitystore"), aws.client("organizations")
        for _ in range(20):
            store.list_users(IdentityStoreId=store_id)
        with pytest.raises(ClientError) as caught:
            store.list_users(IdentityStoreId=store_id)
        assert caught.value.response["Error"]["Code"] == "ThrottlingException"
        assert caught.value.response["RetryAfterSeconds"] == 1
        assert store.list_groups(IdentityStoreId=store_id)["Groups"]
        organizations.list_roots()
        organizations.list_roots()
        assert code_of(organizations.list_roots) == "TooManyRequestsException"
        assert organizations.list_accounts()["Accounts"]


def test_faults(small: Small, aws: Aws, store_id: str) -> None:
    faults, store = small.world.faults, aws.client("identitystore")
    faults.add("aws.identitystore.*", "throttle")
    assert code_of(store.list_users, IdentityStoreId=store_id) == "ThrottlingException"
    faults.add("aws.identitystore.ListUsers", "error", status=500, code="InternalServerException")
    assert code_of(store.list_users, IdentityStoreId=store_id) == "InternalServerException"
    assert store.list_users(IdentityStoreId=store_id)["Users"]
    faults.add("aws.identitystore.ListUsers", "lose_request")
    with pytest.raises(ConnectionClosedError):
        store.list_users(IdentityStoreId=store_id)


def test_a_lost_answer_had_its_effect(small: Small, aws: Aws, store_id: str) -> None:
    group, ada = small.builder.store_group(small.baseline), small.user_id_in_store(small.ada)
    small.world.faults.add("aws.identitystore.DeleteGroupMembership", "lose_answer")
    with pytest.raises(ConnectionClosedError):
        aws.client("identitystore").delete_group_membership(
            IdentityStoreId=store_id, MembershipId=group.members[ada].id
        )
    assert ada not in group.members


def test_what_is_not_simulated_is_refused(aws: Aws, instance: str) -> None:
    sso = aws.client("sso-admin")
    assert code_of(sso.list_regions, InstanceArn=instance) == "UnknownOperationException"
    assert code_of(aws.client("sqs").list_queues) in ("403", "MissingAuthenticationTokenException")


def test_delays_are_real_time_and_asked_for(small: Small) -> None:
    waited: list[float] = []
    listener = Listener(create_app(small.world, threading.RLock(), hold=waited.append))
    listener.start()
    try:
        small.world.faults.add("aws.sts.GetCallerIdentity", "delay", seconds=2.5)
        Aws(f"http://{listener.address}", "eu-west-1").client("sts").get_caller_identity()
    finally:
        listener.stop()
    assert waited == [2.5]
