"""sso-admin, answered from the world. Shapes follow botocore's model; source: AWS contract 1.1."""

from typing import Any

from simulator.aws.calls import Call, Handler, access_denied, page
from simulator.world.aws_state import AccountAssignment, PermissionSet, ProvisioningRequest
from simulator.world.identity_center import no_such_resource


def _check(call: Call) -> None:
    """Only the management account and a delegated administrator, and only this instance."""
    if not (call.is_management or call.is_delegated):
        raise access_denied(call)
    call.world.identity_center.check_instance(call.need("InstanceArn"))


def _set(call: Call) -> PermissionSet:
    _check(call)
    return call.world.identity_center.permission_set(call.need("PermissionSetArn"))


def _instance(call: Call) -> dict[str, Any]:
    center = call.world.identity_center.state
    return {
        "InstanceArn": center.instance_arn,
        "IdentityStoreId": center.identity_store_id,
        "IdentityStoreArn": call.world.identity_center.store_arn(),
        "OwnerAccountId": center.owner_account_id,
        "CreatedDate": center.created_at,
        "Status": "ACTIVE",
        "PrimaryRegion": center.region,
        "Regions": [
            {
                "RegionName": center.region,
                "Status": "ACTIVE",
                "AddedDate": center.created_at,
                "IsPrimaryRegion": True,
            }
        ],
    }


def list_instances(call: Call) -> dict[str, Any]:
    """The instance, in its own Region or when asked for all Regions."""
    here = call.region == call.world.identity_center.state.region
    seen = here or call.params.get("RegionScope") == "ALL_REGIONS"
    allowed = call.is_management or call.is_delegated
    return page(call, "Instances", [_instance(call)] if seen and allowed else [], default=10)


def describe_instance(call: Call) -> dict[str, Any]:
    """The instance, with its encryption."""
    _check(call)
    return {
        **_instance(call),
        "EncryptionConfigurationDetails": {"KeyType": "AWS_OWNED_KMS_KEY", "EncryptionStatus": "ENABLED"},
        "PermissionSetsEnabled": True,
    }


def list_permission_sets(call: Call) -> dict[str, Any]:
    """ARNs only."""
    _check(call)
    return page(call, "PermissionSets", list(call.world.identity_center.state.permission_sets))


def describe_permission_set(call: Call) -> dict[str, Any]:
    """Name, description, session duration, relay state; absent ones stay absent."""
    found = _set(call)
    content = {
        "Name": found.name,
        "PermissionSetArn": found.arn,
        "Description": found.description,
        "CreatedDate": found.created_at,
        "SessionDuration": found.session_duration,
        "RelayState": found.relay_state,
    }
    return {"PermissionSet": {key: value for key, value in content.items() if value}}


def list_managed_policies(call: Call) -> dict[str, Any]:
    """AWS managed policies."""
    rows = [{"Name": name, "Arn": arn} for arn, name in _set(call).managed_policies.items()]
    return page(call, "AttachedManagedPolicies", rows)


def list_customer_managed_policies(call: Call) -> dict[str, Any]:
    """References to customer managed policies."""
    rows = [{"Path": "/", **row} for row in _set(call).customer_managed_policies]
    return page(call, "CustomerManagedPolicyReferences", rows)


def get_inline_policy(call: Call) -> dict[str, Any]:
    """The inline policy; what there is without one is a switch."""
    found = _set(call)
    if not found.inline_policy and call.world.switches.no_inline_policy_is_refused:
        raise no_such_resource("InlinePolicy")
    return {"InlinePolicy": found.inline_policy} if found.inline_policy else {}


def put_inline_policy(call: Call) -> dict[str, Any]:
    """Set the inline policy; accounts keep the old one until the set is provisioned."""
    call.world.identity_center.put_inline_policy(_set(call), call.need("InlinePolicy"))
    return {}


def delete_inline_policy(call: Call) -> dict[str, Any]:
    """Take the inline policy away."""
    found = _set(call)
    if not found.inline_policy:
        raise no_such_resource("InlinePolicy")
    found.inline_policy = ""
    call.world.identity_center.changed(found)
    return {}


def get_permissions_boundary(call: Call) -> dict[str, Any]:
    """The boundary; what there is without one is a switch."""
    found = _set(call)
    if not found.boundary and call.world.switches.no_boundary_is_refused:
        raise no_such_resource("PermissionsBoundary")
    return {"PermissionsBoundary": found.boundary} if found.boundary else {}


def list_tags_for_resource(call: Call) -> dict[str, Any]:
    """Tags of a permission set; the instance carries none."""
    if not (call.is_management or call.is_delegated):
        raise access_denied(call)
    arn = call.need("ResourceArn")
    center = call.world.identity_center
    tags = {} if arn == center.state.instance_arn else center.permission_set(arn).tags
    return page(call, "Tags", [{"Key": key, "Value": value} for key, value in tags.items()])


def _assignment(row: AccountAssignment) -> dict[str, Any]:
    return {
        "AccountId": row.account_id,
        "PermissionSetArn": row.permission_set_arn,
        "PrincipalId": row.principal_id,
        "PrincipalType": row.principal_type,
    }


def list_account_assignments(call: Call) -> dict[str, Any]:
    """Who has this set on this account."""
    found = _set(call)
    account = _account(call, call.need("AccountId"))
    rows = call.world.identity_center.assignments(account_id=account, permission_set_arn=found.arn)
    return page(call, "AccountAssignments", [_assignment(row) for row in rows])


def list_account_assignments_for_principal(call: Call) -> dict[str, Any]:
    """What this principal has, on all accounts or the one in the filter."""
    _check(call)
    world = call.world
    if not call.is_management and not world.switches.delegated_administrator_may_list_for_principal:
        raise access_denied(call)
    principal, kind = call.need("PrincipalId"), call.need("PrincipalType")
    principals = [principal]
    if kind == "USER" and world.switches.user_assignments_include_inherited:
        principals += [row.group_id for row in world.identity_store.memberships_of(principal)]
    account = (call.params.get("Filter") or {}).get("AccountId")
    rows = [
        row
        for each in principals
        for row in world.identity_center.assignments(principal_id=each, account_id=account)
        if each != principal or row.principal_type == kind
    ]
    return page(call, "AccountAssignments", [_assignment(row) for row in rows])


def _account(call: Call, account_id: str) -> str:
    if account_id not in call.world.state.organization.accounts:
        raise no_such_resource("Account")
    return account_id


def _in_status(call: Call, provisioned: int, current: int) -> bool:
    wanted = call.params.get("ProvisioningStatus")
    latest = provisioned == current
    return not wanted or latest == (wanted == "LATEST_PERMISSION_SET_PROVISIONED")


def list_accounts_for_provisioned_permission_set(call: Call) -> dict[str, Any]:
    """Where a set is provisioned."""
    found = _set(call)
    rows = [each for each, rev in sorted(found.provisioned.items()) if _in_status(call, rev, found.revision)]
    return page(call, "AccountIds", rows)


def list_permission_sets_provisioned_to_account(call: Call) -> dict[str, Any]:
    """Which sets are provisioned on an account."""
    _check(call)
    account = _account(call, call.need("AccountId"))
    rows = [
        each.arn
        for each in call.world.identity_center.permission_sets()
        if account in each.provisioned and _in_status(call, each.provisioned[account], each.revision)
    ]
    return page(call, "PermissionSets", rows)


def _status(request: ProvisioningRequest) -> dict[str, Any]:
    content = {
        "Status": request.status,
        "RequestId": request.id,
        "AccountId": request.account_id,
        "PermissionSetArn": request.permission_set_arn,
        "FailureReason": request.failure,
        "CreatedDate": request.created_at,
    }
    return {key: value for key, value in content.items() if value is not None}


def provision_permission_set(call: Call) -> dict[str, Any]:
    """Bring a set's policies to an account or to all where it is."""
    found = _set(call)
    account = None
    if call.need("TargetType") == "AWS_ACCOUNT":
        account = _account(call, call.need("TargetId"))
    return {
        "PermissionSetProvisioningStatus": _status(call.world.identity_center.provision(found.arn, account))
    }


def describe_provisioning_status(call: Call) -> dict[str, Any]:
    """How far a ProvisionPermissionSet call is."""
    _check(call)
    found = call.world.identity_center.provisioning_request(call.need("ProvisionPermissionSetRequestId"))
    return {"PermissionSetProvisioningStatus": _status(found)}


def list_provisioning_status(call: Call) -> dict[str, Any]:
    """ProvisionPermissionSet calls, by status."""
    _check(call)
    wanted = (call.params.get("Filter") or {}).get("Status")
    requests = call.world.identity_center.state.provisioning_requests.values()
    rows = [
        {"Status": each.status, "RequestId": each.id, "CreatedDate": each.created_at}
        for each in requests
        if wanted in (None, each.status)
    ]
    return page(call, "PermissionSetsProvisioningStatus", rows)


OPERATIONS: dict[str, Handler] = {
    "ListInstances": list_instances,
    "DescribeInstance": describe_instance,
    "ListPermissionSets": list_permission_sets,
    "DescribePermissionSet": describe_permission_set,
    "ListManagedPoliciesInPermissionSet": list_managed_policies,
    "ListCustomerManagedPolicyReferencesInPermissionSet": list_customer_managed_policies,
    "GetInlinePolicyForPermissionSet": get_inline_policy,
    "PutInlinePolicyToPermissionSet": put_inline_policy,
    "DeleteInlinePolicyFromPermissionSet": delete_inline_policy,
    "GetPermissionsBoundaryForPermissionSet": get_permissions_boundary,
    "ListTagsForResource": list_tags_for_resource,
    "ListAccountAssignments": list_account_assignments,
    "ListAccountAssignmentsForPrincipal": list_account_assignments_for_principal,
    "ListAccountsForProvisionedPermissionSet": list_accounts_for_provisioned_permission_set,
    "ListPermissionSetsProvisionedToAccount": list_permission_sets_provisioned_to_account,
    "ProvisionPermissionSet": provision_permission_set,
    "DescribePermissionSetProvisioningStatus": describe_provisioning_status,
    "ListPermissionSetProvisioningStatus": list_provisioning_status,
}
