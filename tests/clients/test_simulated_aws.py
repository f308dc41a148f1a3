"""The AWS adapters over real HTTP, through boto3, against the simulated AWS."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from clients.aws.caller import AwsCaller
from clients.aws.config import AwsConfig
from clients.aws.identity_center import Boto3IdentityCenter
from clients.aws.organization import Boto3Organization
from clients.errors import NotFound, NotPermitted, Throttled, Unreachable
from clients.limits import LocalLimiter, Rate
from clients.types import GroupAssignment, StoreGroup
from simulator.aws.app import create_app
from simulator.aws.throttles import NEVER
from simulator.listener import Listener
from tests.simulator.world.factory import Small, small_world
from tests.support.aws_models import aws_caller

FAST = {name: Rate(10_000, burst=10_000) for name in ("sso-admin", "identitystore", "organizations", "iam")}
NOBODY = "00000000-0000-4000-8000-00000000dead"


@dataclass
class Cloud:
    """A small world behind AWS's API, and the adapters in front of it."""

    small: Small
    center: Boto3IdentityCenter
    organization: Boto3Organization

    def group(self) -> StoreGroup:
        name = self.small.group.display_name
        return next(each for each in self.center.groups().value if each.display_name == name)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    small = small_world()
    listener = Listener(create_app(small.world, threading.RLock(), throttles=NEVER))
    listener.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{listener.address}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    region = small.world.state.identity_center.region
    caller = aws_caller(region, LocalLimiter(FAST), attempts=3)
    try:
        yield Cloud(small, Boto3IdentityCenter(caller), Boto3Organization(caller))
    finally:
        listener.stop()


def test_the_instance_is_found_in_its_region_alone(cloud: Cloud) -> None:
    state = cloud.small.world.state.identity_center
    reading = cloud.center.instance()

    assert reading.value.instance_arn == state.instance_arn
    assert reading.value.identity_store_id == state.identity_store_id
    assert reading.receipt.vendor_request_id

    elsewhere = AwsCaller(AwsConfig("us-west-2"), LocalLimiter(FAST), attempts=1)
    with pytest.raises(NotFound, match="AWS_REGION"):
        Boto3IdentityCenter(elsewhere).instance()


def test_the_catalogue_is_read(cloud: Cloud) -> None:
    (arn,) = cloud.center.permission_set_arns().value
    found = cloud.center.permission_set(arn).value

    assert found.name == "EC2AdminAccess"
    assert found.managed_policies == (("AmazonEC2FullAccess", "arn:aws:iam::aws:policy/AmazonEC2FullAccess"),)
    assert timedelta(hours=1) <= found.session_duration <= timedelta(hours=12)
    assert (found.inline_policy, found.permissions_boundary) == ("", "")
    assert cloud.center.group_assignments(cloud.group().group_id).value == (
        GroupAssignment("222233334444", arn),
    )
    assert cloud.center.group_assignments(NOBODY).value == ()


def test_a_delegated_administrator_reads_the_pairs_instead(cloud: Cloud) -> None:
    cloud.small.world.faults.add(
        "aws.sso-admin.ListAccountAssignmentsForPrincipal",
        "error",
        status=400,
        code="AccessDeniedException",
        message="no",
    )
    (arn,) = cloud.center.permission_set_arns().value

    assert cloud.center.group_assignments(cloud.group().group_id).value == (
        GroupAssignment("222233334444", arn),
    )


def test_people_are_joined_by_their_object_id(cloud: Cloud) -> None:
    ada = cloud.small.ada
    found = cloud.center.find_user(ada.user_principal_name).value

    assert found is not None
    assert ada.id in found.external_ids
    assert found.enabled
    assert found in cloud.center.users().value
    assert cloud.center.find_user("nobody@acme.example").value is None
    assert cloud.small.group.id in cloud.group().external_ids


def test_membership_is_read_back_as_it_comes_and_goes(cloud: Cloud) -> None:
    small, group_id = cloud.small, cloud.group().group_id
    user_id = small.user_id_in_store(small.ada)
    assert cloud.center.memberships(user_id, [group_id]).value == {group_id: False}
    assert cloud.center.membership(user_id, group_id).value is None

    small.assign(small.ada)
    small.step(minutes=45)

    assert cloud.center.memberships(user_id, [group_id]).value == {group_id: True}
    held = cloud.center.membership(user_id, group_id).value
    assert held is not None
    assert held.created_at is not None
    assert held in cloud.center.group_memberships(group_id).value

    small.step(hours=3)
    assert cloud.center.memberships(user_id, [group_id]).value == {group_id: False}


def test_somebody_unknown_is_not_called_no_member(cloud: Cloud) -> None:
    group_id = cloud.group().group_id

    with pytest.raises(NotFound):
        cloud.center.memberships(NOBODY, [group_id])


def test_an_unknown_group_is_not_held(cloud: Cloud) -> None:
    user_id = cloud.small.user_id_in_store(cloud.small.ada)
    group_id = cloud.group().group_id

    assert cloud.center.memberships(user_id, [NOBODY, group_id]).value == {NOBODY: False, group_id: False}
    with pytest.raises(NotFound):
        cloud.center.group_memberships(NOBODY)


def test_accounts_hang_in_the_tree(cloud: Cloud) -> None:
    units = {unit.unit_id: unit for unit in cloud.organization.units().value}
    accounts = {account.account_id: account for account in cloud.organization.accounts().value}

    account = accounts["222233334444"]
    assert (account.name, account.state) == ("Web Production", "ACTIVE")
    assert account.unit_id in units
    assert [unit.parent_id for unit in units.values()].count("") == 1
    assert cloud.organization.account_tags("222233334444").value is not None


def test_pages_of_a_large_organization_are_all_read(cloud: Cloud) -> None:
    for number in range(45):
        cloud.small.builder.account(f"Team {number}", account_id=f"3000000000{number:02d}")

    assert len(cloud.organization.accounts().value) >= 46


def test_short_trouble_is_retried_and_long_trouble_is_named(cloud: Cloud) -> None:
    faults = cloud.small.world.faults
    faults.add("aws.identitystore.ListGroups", "error", status=500, code="InternalServerException")
    faults.add("aws.identitystore.ListGroups", "throttle")
    assert cloud.center.groups().value

    faults.add("aws.identitystore.ListUsers", "throttle", count=10)
    with pytest.raises(Throttled):
        cloud.center.users()
    faults.add("aws.sso-admin.ListPermissionSets", "lose_request", count=10)
    with pytest.raises(Unreachable):
        cloud.center.permission_set_arns()
    faults.add(
        "aws.organizations.ListAccounts", "error", status=400, code="AccessDeniedException", message="no"
    )
    with pytest.raises(NotPermitted):
        cloud.organization.accounts()
