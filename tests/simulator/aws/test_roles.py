"""Access keys of different roles: each may do what docs/permissions.md asks for, and nothing else."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from simulator.aws.roles import ADMINISTRATOR, REMOVER, SEVERER, WORKER, Role
from tests.simulator.aws.running import Aws, serving
from tests.simulator.aws.test_behaviour import code_of
from tests.simulator.world.factory import Small

KEYS = {name: f"AKIA{name.upper():0<16}" for name in ("worker", "remover", "severer", "administrator")}
ROLES: dict[str, Role] = dict(zip(KEYS.values(), (WORKER, REMOVER, SEVERER, ADMINISTRATOR), strict=True))
DENIED = "AccessDeniedException"


@pytest.fixture
def keyed(small: Small) -> Iterator[Aws]:
    with serving(small.world, roles=ROLES) as running:
        yield running


def test_the_worker_reads_and_changes_nothing(small: Small, keyed: Aws) -> None:
    center = small.world.state.identity_center
    store = keyed.client("identitystore", access_key=KEYS["worker"])
    (group, *_) = store.list_groups(IdentityStoreId=center.identity_store_id)["Groups"]
    membership = next(iter(center.groups[group["GroupId"]].members.values()))
    arguments = {"IdentityStoreId": center.identity_store_id, "MembershipId": membership.id}
    with pytest.raises(ClientError) as caught:
        store.delete_group_membership(**arguments)
    management = small.world.state.organization.management_account_id
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert caught.value.response["Error"] == {
        "Code": DENIED,
        "Message": f"User: arn:aws:sts::{management}:assumed-role/AccessPortalWorker/AccessPortalWorker is not"
        " authorized to perform: identitystore:DeleteGroupMembership because no identity-based policy allows the"
        " identitystore:DeleteGroupMembership action",
    }
    iam = keyed.client("iam", access_key=KEYS["worker"])
    policy = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    assert iam.get_policy(PolicyArn=policy)["Policy"]["PolicyName"] == "ReadOnlyAccess"
    refused = keyed.client("iam", access_key=KEYS["remover"]).get_policy
    assert code_of(refused, PolicyArn=policy) == "AccessDenied"
    sso = keyed.client("sso-admin", access_key=KEYS["worker"])
    one = {"InstanceArn": center.instance_arn, "PermissionSetArn": small.permission_set.arn}
    assert code_of(sso.put_inline_policy_to_permission_set, **one, InlinePolicy="{}") == DENIED
    provision = sso.provision_permission_set
    assert code_of(provision, **one, TargetType="ALL_PROVISIONED_ACCOUNTS") == DENIED
    assert small.permission_set.inline_policy == ""
    assert center.provisioning_requests == {}


def test_the_remover_takes_memberships_away_and_sees_the_identity_store_alone(
    small: Small, keyed: Aws
) -> None:
    center = small.world.state.identity_center
    store = keyed.client("identitystore", access_key=KEYS["remover"])
    ada, baseline = small.user_id_in_store(small.ada), small.builder.store_group(small.baseline)
    rows = store.list_group_memberships_for_member(
        IdentityStoreId=center.identity_store_id, MemberId={"UserId": ada}
    )["GroupMemberships"]
    found = next(row for row in rows if row["GroupId"] == baseline.id)
    store.delete_group_membership(
        IdentityStoreId=center.identity_store_id, MembershipId=found["MembershipId"]
    )
    assert not small.in_aws(small.ada, small.baseline)
    sso = keyed.client("sso-admin", access_key=KEYS["remover"])
    organizations = keyed.client("organizations", access_key=KEYS["remover"])
    one = {"InstanceArn": center.instance_arn}
    assert code_of(sso.list_permission_sets, **one) == DENIED
    assert code_of(store.list_users, IdentityStoreId=center.identity_store_id) == DENIED
    assert code_of(organizations.list_accounts) == DENIED
    identity = keyed.client("sts", access_key=KEYS["remover"]).get_caller_identity()
    assert identity["Arn"].endswith(":assumed-role/AccessPortalRemover/AccessPortalRemover")


def test_the_severer_removes_no_membership(small: Small, keyed: Aws) -> None:
    center = small.world.state.identity_center
    store = keyed.client("identitystore", access_key=KEYS["severer"])
    group = small.builder.store_group(small.baseline)
    membership = group.members[small.user_id_in_store(small.ada)]
    arguments = {"IdentityStoreId": center.identity_store_id, "MembershipId": membership.id}
    assert code_of(store.delete_group_membership, **arguments) == DENIED
    assert small.in_aws(small.ada, small.baseline)


def test_a_key_that_nobody_has(keyed: Aws) -> None:
    stranger = "AKIASTRANGER00000000"
    assert code_of(keyed.client("sso-admin", access_key=stranger).list_instances) == (
        "UnrecognizedClientException"
    )
    with pytest.raises(ClientError) as caught:
        keyed.client("sts", access_key=stranger).get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_the_workers_actions_are_those_of_the_documented_policy() -> None:
    text = (Path(__file__).parents[3] / "docs" / "permissions.md").read_text()
    policies = [json.loads(each) for each in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    of_worker = [
        each for each in policies if _names(each) & {"IdentityCenterRead", "ReadActivity", "PutTheTrail"}
    ]
    asked = {
        action for policy in of_worker for statement in policy["Statement"] for action in statement["Action"]
    }
    assert asked == set(WORKER.actions)


def _names(policy: dict[str, Any]) -> set[str]:
    return {statement["Sid"] for statement in policy["Statement"]}
