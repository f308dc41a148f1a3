"""The calls that cut sessions: service control policies, inline policies, asynchronous provisioning, their limits."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.simulator.aws.running import Aws
from tests.simulator.aws.test_behaviour import code_of
from tests.simulator.world.factory import Small

SCP = "SERVICE_CONTROL_POLICY"


@pytest.fixture
def instance(small: Small) -> str:
    return small.world.state.identity_center.instance_arn


def deny(*user_ids: str, before: str = "") -> str:
    condition: dict[str, Any] = {"StringEquals": {"identitystore:userId": list(user_ids)}}
    if before:
        condition["DateLessThan"] = {"aws:TokenIssueTime": before}
    statement = {"Sid": "Cut", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def session_of_ada(small: Small) -> str:
    small.permission_set.session_duration = "PT12H"
    small.assign(small.ada, duration="PT8H")
    small.step(minutes=41)
    portal = small.world.access_portal
    return portal.open_session(small.ada.id, small.account.id, small.permission_set.name).id


def test_a_service_control_policy_from_its_making_to_its_end(small: Small, aws: Aws) -> None:
    organizations, root = aws.client("organizations"), small.world.state.organization.root_id
    session = session_of_ada(small)

    def acts() -> bool:
        small.step(seconds=120)
        return small.world.access_portal.may_act(session).allowed

    made = organizations.create_policy(
        Name="AccessPortalCut", Description="Cuts sessions", Type=SCP, Content=deny("nobody")
    )["Policy"]
    assert made["Content"] == deny("nobody")
    summary = made["PolicySummary"]
    assert (summary["Name"], summary["Type"], summary["AwsManaged"]) == ("AccessPortalCut", SCP, False)
    policy_id = summary["Id"]
    assert organizations.list_targets_for_policy(PolicyId=policy_id)["Targets"] == []
    organizations.attach_policy(PolicyId=policy_id, TargetId=root)
    assert code_of(organizations.attach_policy, PolicyId=policy_id, TargetId=root) == (
        "DuplicatePolicyAttachmentException"
    )
    (target,) = organizations.list_targets_for_policy(PolicyId=policy_id)["Targets"]
    assert (target["TargetId"], target["Type"]) == (root, "ROOT")
    names = [each["Name"] for each in organizations.list_policies(Filter=SCP)["Policies"]]
    assert names == ["FullAWSAccess", "AccessPortalCut"]
    assert organizations.list_policies(Filter="TAG_POLICY")["Policies"] == []
    attached = organizations.list_policies_for_target(TargetId=root, Filter=SCP)["Policies"]
    assert [each["Name"] for each in attached] == names
    below = organizations.list_policies_for_target(TargetId=small.account.id, Filter=SCP)["Policies"]
    assert [each["Name"] for each in below] == ["FullAWSAccess"], "attached directly, not inherited"
    assert acts()
    organizations.update_policy(PolicyId=policy_id, Content=deny(small.user_id_in_store(small.ada)))
    assert small.world.access_portal.may_act(session).allowed, "not yet"
    assert not acts()
    described = organizations.describe_policy(PolicyId=policy_id)["Policy"]
    assert described["Content"] == deny(small.user_id_in_store(small.ada))
    assert described["PolicySummary"]["Description"] == "Cuts sessions"
    assert code_of(organizations.delete_policy, PolicyId=policy_id) == "PolicyInUseException"
    organizations.detach_policy(PolicyId=policy_id, TargetId=root)
    assert acts()
    assert code_of(organizations.detach_policy, PolicyId=policy_id, TargetId=root) == (
        "PolicyNotAttachedException"
    )
    organizations.delete_policy(PolicyId=policy_id)
    assert code_of(organizations.describe_policy, PolicyId=policy_id) == "PolicyNotFoundException"


@pytest.mark.parametrize("most", [5120, 10_240])
def test_refusals_of_service_control_policies(small: Small, aws: Aws, most: int) -> None:
    small.world.switches.control_policy_characters = most
    organizations, root = aws.client("organizations"), small.world.state.organization.root_id
    arguments = {"Description": "", "Type": SCP}

    def create(name: str, content: str) -> Any:
        return organizations.create_policy(Name=name, Content=content, **arguments)

    padded = deny("x" * (most - len(deny(""))))
    assert len(padded) == most
    policy_id = create("Full", padded)["Policy"]["PolicySummary"]["Id"]
    with pytest.raises(ClientError) as caught:
        organizations.update_policy(PolicyId=policy_id, Content=padded + " ")
    assert caught.value.response["Error"]["Code"] == "ConstraintViolationException"
    assert caught.value.response["Reason"] == "POLICY_CONTENT_LIMIT_EXCEEDED"
    assert code_of(create, name="Full", content=deny("a")) == "DuplicatePolicyException"
    assert code_of(create, name="Bad", content="{}") == "MalformedPolicyDocumentException"
    attach, detach = organizations.attach_policy, organizations.detach_policy
    assert code_of(attach, PolicyId=policy_id, TargetId="999999999999") == "TargetNotFoundException"
    for number in range(4):
        made = create(f"Policy {number}", deny("a"))
        attach(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=root)
    assert code_of(attach, PolicyId=policy_id, TargetId=root) == "ConstraintViolationException"
    assert code_of(detach, PolicyId="p-FullAWSAccess", TargetId=root) == "ConstraintViolationException"
    update = organizations.update_policy
    assert code_of(update, PolicyId="p-FullAWSAccess", Name="Mine") == "AccessDeniedException"


def test_an_inline_policy_cuts_once_it_is_provisioned(small: Small, aws: Aws, instance: str) -> None:
    sso = aws.client("sso-admin")
    session = session_of_ada(small)
    one = {"InstanceArn": instance, "PermissionSetArn": small.permission_set.arn}
    policy = deny(small.user_id_in_store(small.ada), before="2026-03-03T00:00:00Z")
    sso.put_inline_policy_to_permission_set(**one, InlinePolicy=policy)
    assert sso.get_inline_policy_for_permission_set(**one)["InlinePolicy"] == policy
    small.step(minutes=10)
    assert small.world.access_portal.may_act(session).allowed
    started = sso.provision_permission_set(**one, TargetType="AWS_ACCOUNT", TargetId=small.account.id)
    status = started["PermissionSetProvisioningStatus"]
    assert (status["Status"], status["AccountId"]) == ("IN_PROGRESS", small.account.id)
    small.step(seconds=5)
    done = sso.describe_permission_set_provisioning_status(
        InstanceArn=instance, ProvisionPermissionSetRequestId=status["RequestId"]
    )["PermissionSetProvisioningStatus"]
    assert done["Status"] == "SUCCEEDED"
    assert small.world.access_portal.may_act(session).allowed, "IAM takes a while"
    small.step(seconds=120)
    assert not small.world.access_portal.may_act(session).allowed
    sso.delete_inline_policy_from_permission_set(**one)
    delete = sso.delete_inline_policy_from_permission_set
    assert code_of(delete, **one) == "ResourceNotFoundException"


def test_sizes_of_inline_policies(small: Small, aws: Aws, instance: str) -> None:
    sso = aws.client("sso-admin")
    one = {"InstanceArn": instance, "PermissionSetArn": small.permission_set.arn}
    put = sso.put_inline_policy_to_permission_set
    bare = "".join(deny("").split())
    full = bare.replace('[""]', '["' + "x" * (10_240 - len(bare)) + '"]')
    assert len(full) == 10_240
    put(**one, InlinePolicy=full + " " * 20_000)
    assert small.permission_set.inline_policy.strip() == full
    too_many = full.replace('["', '["x')
    assert code_of(put, **one, InlinePolicy=too_many) == "ServiceQuotaExceededException"
    assert code_of(put, **one, InlinePolicy=bare + " " * 32_768) == "ValidationException"
    assert code_of(put, **one, InlinePolicy='{"Statement": [{"Effect": "Deny"}]}') == "ValidationException"


@pytest.mark.parametrize("code", ["ConflictException", "ThrottlingException"])
def test_three_provisionings_at_a_time(small: Small, aws: Aws, instance: str, code: str) -> None:
    small.world.switches.provision_busy_code = code
    provision = aws.client("sso-admin").provision_permission_set
    arguments = {
        "InstanceArn": instance,
        "PermissionSetArn": small.permission_set.arn,
        "TargetType": "ALL_PROVISIONED_ACCOUNTS",
    }
    for _ in range(3):
        provision(**arguments)
    assert code_of(provision, **arguments) == code
    small.step(seconds=5)
    provision(**arguments)


def test_an_answer_or_refusal_that_the_model_does_not_know_is_never_given(
    small: Small, aws: Aws, monkeypatch: pytest.MonkeyPatch, instance: str
) -> None:
    sso = aws.client("sso-admin")
    one = {"InstanceArn": instance, "PermissionSetArn": small.permission_set.arn}
    monkeypatch.setattr(small.permission_set, "name", "a name, longer than thirty-two characters are")
    assert code_of(sso.describe_permission_set, **one) == "SimulatorDefect"
    monkeypatch.setattr(small.world.switches, "provision_busy_code", "TooBusy")
    for _ in range(3):
        sso.provision_permission_set(**one, TargetType="ALL_PROVISIONED_ACCOUNTS")
    provision = sso.provision_permission_set
    assert code_of(provision, **one, TargetType="ALL_PROVISIONED_ACCOUNTS") == "SimulatorDefect"
