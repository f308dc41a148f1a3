"""Service control policies of organizations, answered from the world."""

from typing import Any

from simulator.aws.calls import Call, Handler, access_denied, invalid, page
from simulator.world.aws_state import ControlPolicy
from simulator.world.control_policies import FULL_ACCESS_ID
from simulator.world.errors import WorldError

MOST = 20
INVALID = "InvalidInputException"
KIND = "SERVICE_CONTROL_POLICY"


def _check(call: Call) -> None:
    """Policies are the management account's: a delegated administrator needs a policy that isn't simulated."""
    if not call.is_management:
        raise access_denied(call)


def _of_kind(call: Call, policies: list[ControlPolicy]) -> list[dict[str, Any]]:
    """There are policies of one kind only."""
    return [_summary(call, each) for each in policies] if call.need("Filter") == KIND else []


def _page(call: Call, key: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return page(call, key, rows, default=MOST, most=MOST, code=INVALID)


def _summary(call: Call, policy: ControlPolicy) -> dict[str, Any]:
    organization = call.world.state.organization
    owned = f":{organization.management_account_id}:policy/{organization.id}/"
    where = ":aws:policy/" if policy.id == FULL_ACCESS_ID else owned
    return {
        "Id": policy.id,
        "Arn": f"arn:aws:organizations:{where}service_control_policy/{policy.id}",
        "Name": policy.name,
        "Description": policy.description,
        "Type": KIND,
        "AwsManaged": policy.id == FULL_ACCESS_ID,
    }


def _whole(call: Call, policy: ControlPolicy) -> dict[str, Any]:
    return {"Policy": {"PolicySummary": _summary(call, policy), "Content": policy.content}}


def create_policy(call: Call) -> dict[str, Any]:
    """A policy that is attached to nothing."""
    _check(call)
    if call.need("Type") != KIND:
        raise WorldError(
            400,
            "PolicyTypeNotAvailableForOrganizationException",
            "Only service control policies are simulated.",
        )
    tags = {each["Key"]: each["Value"] for each in call.params.get("Tags") or []}
    made = call.world.control_policies.create(
        call.need("Name"), str(call.params.get("Description") or ""), call.need("Content"), tags
    )
    return _whole(call, made)


def update_policy(call: Call) -> dict[str, Any]:
    """Change name, description or content."""
    _check(call)
    changed = call.world.control_policies.update(
        call.need("PolicyId"),
        name=call.params.get("Name"),
        description=call.params.get("Description"),
        content=call.params.get("Content"),
    )
    return _whole(call, changed)


def delete_policy(call: Call) -> dict[str, Any]:
    """Delete what is attached to nothing."""
    _check(call)
    call.world.control_policies.delete(call.need("PolicyId"))
    return {}


def describe_policy(call: Call) -> dict[str, Any]:
    """One policy with its content."""
    _check(call)
    return _whole(call, call.world.control_policies.policy(call.need("PolicyId")))


def attach_policy(call: Call) -> dict[str, Any]:
    """Attach to the root, an OU or an account."""
    _check(call)
    call.world.control_policies.attach(call.need("PolicyId"), call.need("TargetId"))
    return {}


def detach_policy(call: Call) -> dict[str, Any]:
    """Detach from a target."""
    _check(call)
    call.world.control_policies.detach(call.need("PolicyId"), call.need("TargetId"))
    return {}


def list_policies(call: Call) -> dict[str, Any]:
    """Every service control policy."""
    _check(call)
    return _page(call, "Policies", _of_kind(call, call.world.control_policies.all()))


def list_policies_for_target(call: Call) -> dict[str, Any]:
    """Policies attached to a target directly."""
    _check(call)
    rows = call.world.control_policies.of_target(call.need("TargetId"))
    return _page(call, "Policies", _of_kind(call, rows))


def list_targets_for_policy(call: Call) -> dict[str, Any]:
    """What a policy is attached to."""
    _check(call)
    targets = call.world.control_policies.policy(call.need("PolicyId")).targets
    return _page(call, "Targets", [_target(call, each) for each in targets])


def _target(call: Call, target_id: str) -> dict[str, Any]:
    organization = call.world.state.organization
    kind, short, name = "ROOT", "root", "Root"
    if target_id in organization.units:
        kind, short, name = "ORGANIZATIONAL_UNIT", "ou", organization.units[target_id].name
    elif target_id in organization.accounts:
        kind, short, name = "ACCOUNT", "account", organization.accounts[target_id].name
    elif target_id != organization.root_id:
        raise invalid("The target is gone.", INVALID)
    arn = f"arn:aws:organizations::{organization.management_account_id}:{short}/{organization.id}/{target_id}"
    return {"TargetId": target_id, "Arn": arn, "Name": name, "Type": kind}


OPERATIONS: dict[str, Handler] = {
    "CreatePolicy": create_policy,
    "UpdatePolicy": update_policy,
    "DeletePolicy": delete_policy,
    "DescribePolicy": describe_policy,
    "AttachPolicy": attach_policy,
    "DetachPolicy": detach_policy,
    "ListPolicies": list_policies,
    "ListPoliciesForTarget": list_policies_for_target,
    "ListTargetsForPolicy": list_targets_for_policy,
}
