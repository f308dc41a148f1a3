"""organizations, answered from the world. AWS contract 1.3."""

from typing import Any

from simulator.aws.calls import Call, Handler, access_denied, invalid, page
from simulator.world.aws_state import Account, Organization, OrganizationalUnit
from simulator.world.errors import WorldError

MOST = 20
INVALID = "InvalidInputException"
IDENTITY_CENTER = "sso.amazonaws.com"  # the only service whose delegation is simulated


def _organization(call: Call) -> Organization:
    if not (call.is_management or call.is_delegated):
        raise access_denied(call)
    return call.world.state.organization


def _page(call: Call, key: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return page(call, key, rows, default=MOST, most=MOST, code=INVALID)


def _arn(organization: Organization, kind: str, resource_id: str) -> str:
    return (
        f"arn:aws:organizations::{organization.management_account_id}:{kind}/{organization.id}/{resource_id}"
    )


def _account(call: Call, account: Account) -> dict[str, Any]:
    return {
        "Id": account.id,
        "Arn": _arn(call.world.state.organization, "account", account.id),
        "Email": account.email,
        "Name": account.name,
        "State": account.state,
        "Paths": [call.world.organization.path(account.id, account.parent_id)],
        "JoinedMethod": "CREATED",
        "JoinedTimestamp": account.joined_at,
    }


def _unit(call: Call, unit: OrganizationalUnit) -> dict[str, Any]:
    return {
        "Id": unit.id,
        "Arn": _arn(call.world.state.organization, "ou", unit.id),
        "Name": unit.name,
        "Path": call.world.organization.path(unit.id, unit.parent_id),
    }


def describe_organization(call: Call) -> dict[str, Any]:
    """The organization; every member account may ask."""
    organization = call.world.state.organization
    management = organization.management_account_id
    return {
        "Organization": {
            "Id": organization.id,
            "Arn": f"arn:aws:organizations::{management}:organization/{organization.id}",
            "FeatureSet": "ALL",
            "MasterAccountArn": _arn(organization, "account", management),
            "MasterAccountId": management,
            "MasterAccountEmail": organization.accounts[management].email,
        }
    }


def list_roots(call: Call) -> dict[str, Any]:
    """The root."""
    organization = _organization(call)
    root = {
        "Id": organization.root_id,
        "Arn": _arn(organization, "root", organization.root_id),
        "Name": "Root",
        "PolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}],
    }
    return _page(call, "Roots", [root])


def list_units(call: Call) -> dict[str, Any]:
    """OUs directly below a parent."""
    organization = _organization(call)
    parent = call.need("ParentId")
    call.world.organization.check_parent(parent)
    rows = [_unit(call, each) for each in organization.units.values() if each.parent_id == parent]
    return _page(call, "OrganizationalUnits", rows)


def describe_unit(call: Call) -> dict[str, Any]:
    """One OU."""
    _organization(call)
    unit = call.world.organization.unit(call.need("OrganizationalUnitId"))
    return {"OrganizationalUnit": _unit(call, unit)}


def list_accounts(call: Call) -> dict[str, Any]:
    """Every account."""
    organization = _organization(call)
    return _page(call, "Accounts", [_account(call, each) for each in organization.accounts.values()])


def list_accounts_for_parent(call: Call) -> dict[str, Any]:
    """Accounts directly below a parent."""
    organization = _organization(call)
    parent = call.need("ParentId")
    call.world.organization.check_parent(parent)
    rows = [_account(call, each) for each in organization.accounts.values() if each.parent_id == parent]
    return _page(call, "Accounts", rows)


def describe_account(call: Call) -> dict[str, Any]:
    """One account."""
    _organization(call)
    return {"Account": _account(call, call.world.organization.account(call.need("AccountId")))}


def list_parents(call: Call) -> dict[str, Any]:
    """The parent of an account or OU."""
    organization = _organization(call)
    child = call.need("ChildId")
    found: Account | OrganizationalUnit | None = organization.accounts.get(child) or organization.units.get(
        child
    )
    if found is None:
        raise WorldError(400, "ChildNotFoundException", "You specified a child that doesn't exist.")
    kind = "ROOT" if found.parent_id == organization.root_id else "ORGANIZATIONAL_UNIT"
    return _page(call, "Parents", [{"Id": found.parent_id, "Type": kind}])


def list_children(call: Call) -> dict[str, Any]:
    """Accounts or OUs directly below a parent, as ids."""
    organization = _organization(call)
    parent, kind = call.need("ParentId"), call.need("ChildType")
    call.world.organization.check_parent(parent)
    below: list[Account | OrganizationalUnit] = []
    if kind == "ACCOUNT":
        below += organization.accounts.values()
    elif kind == "ORGANIZATIONAL_UNIT":
        below += organization.units.values()
    else:
        raise invalid("ChildType is ACCOUNT or ORGANIZATIONAL_UNIT.", INVALID)
    return _page(
        call, "Children", [{"Id": each.id, "Type": kind} for each in below if each.parent_id == parent]
    )


def list_tags_for_resource(call: Call) -> dict[str, Any]:
    """Tags of an account or OU; the root has none. All on one page."""
    organization = _organization(call)
    resource = call.need("ResourceId")
    found: Account | OrganizationalUnit | None = organization.accounts.get(
        resource
    ) or organization.units.get(resource)
    if found is None and resource != organization.root_id:
        raise WorldError(400, "TargetNotFoundException", "You specified a target that doesn't exist.")
    tags = found.tags if found is not None else {}
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def list_delegated_administrators(call: Call) -> dict[str, Any]:
    """Delegated administrators for sso.amazonaws.com."""
    organization = _organization(call)
    wanted = call.params.get("ServicePrincipal")
    ids = organization.delegated_administrators if wanted in (None, "", IDENTITY_CENTER) else []
    rows = []
    for account_id in ids:
        row = _account(call, call.world.organization.account(account_id))
        del row["Paths"]
        rows.append({**row, "DelegationEnabledDate": row["JoinedTimestamp"]})
    return _page(call, "DelegatedAdministrators", rows)


def _delegation(call: Call) -> str:
    """The account to register or deregister; only the management account may. Raises WorldError."""
    if not call.is_management:
        raise access_denied(call)
    if call.need("ServicePrincipal") != IDENTITY_CENTER:
        raise invalid("You specified an unrecognized service principal.", INVALID)
    return str(call.need("AccountId"))


def register_delegated_administrator(call: Call) -> dict[str, Any]:
    """Let a member account administer Identity Center."""
    call.world.organization.delegate(_delegation(call))
    return {}


def deregister_delegated_administrator(call: Call) -> dict[str, Any]:
    """Take that from it again."""
    call.world.organization.undelegate(_delegation(call))
    return {}


OPERATIONS: dict[str, Handler] = {
    "DescribeOrganization": describe_organization,
    "ListRoots": list_roots,
    "ListOrganizationalUnitsForParent": list_units,
    "DescribeOrganizationalUnit": describe_unit,
    "ListAccounts": list_accounts,
    "ListAccountsForParent": list_accounts_for_parent,
    "DescribeAccount": describe_account,
    "ListParents": list_parents,
    "ListChildren": list_children,
    "ListTagsForResource": list_tags_for_resource,
    "ListDelegatedAdministrators": list_delegated_administrators,
    "RegisterDelegatedAdministrator": register_delegated_administrator,
    "DeregisterDelegatedAdministrator": deregister_delegated_administrator,
}
