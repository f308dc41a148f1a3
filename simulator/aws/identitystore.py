"""identitystore, answered from the world; readable from every account of the organization. AWS contract 1.2."""

from typing import Any

from simulator.aws.calls import Call, Handler, invalid, page
from simulator.world.aws_state import StoreGroup, StoreMembership, StoreUser
from simulator.world.identity_store import no_such

SCIM = "SCIM"


def _store(call: Call) -> str:
    """The store's id, given as id or ARN. Raises WorldError ResourceNotFoundException for another."""
    given = str(call.need("IdentityStoreId")).rsplit("/", 1)[-1]
    if given != call.world.identity_center.state.identity_store_id:
        raise no_such("IDENTITY_STORE", given)
    return given


def _bare(value: str) -> str:
    """An id that may be given as an ARN."""
    return value.rsplit("/", 1)[-1]


def _arn(kind: str, resource_id: str) -> str:
    return f"arn:aws:identitystore:::{kind}/{resource_id}"


def _external_ids(call: Call, external_id: str | None) -> list[dict[str, str]]:
    if not external_id:
        return []
    return [{"Issuer": call.world.identity_center.issuer(), "Id": external_id}]


def _user(call: Call, user: StoreUser) -> dict[str, Any]:
    content: dict[str, Any] = {
        "IdentityStoreId": call.world.identity_center.state.identity_store_id,
        "UserId": user.id,
        "UserArn": _arn("user", user.id),
        "UserName": user.user_name,
        "ExternalIds": _external_ids(call, user.external_id),
        "Name": {
            "Formatted": f"{user.given_name} {user.family_name}",
            "GivenName": user.given_name,
            "FamilyName": user.family_name,
        },
        "DisplayName": user.display_name,
        "Title": user.title,
        "Emails": [{"Value": user.email, "Type": user.email_type, "Primary": True}] if user.email else [],
        "UserStatus": "ENABLED" if user.active else "DISABLED",
        "Revision": str(user.revision),
        "CreatedAt": user.created_at,
        "CreatedBy": SCIM,
        "UpdatedAt": user.updated_at,
        "UpdatedBy": SCIM,
    }
    return {key: value for key, value in content.items() if value not in (None, [], "")}


def _group(call: Call, group: StoreGroup) -> dict[str, Any]:
    content: dict[str, Any] = {
        "IdentityStoreId": call.world.identity_center.state.identity_store_id,
        "GroupId": group.id,
        "GroupArn": _arn("group", group.id),
        "DisplayName": group.display_name,
        "ExternalIds": _external_ids(call, group.external_id),
        "Description": group.description,
        "Revision": str(group.revision),
        "CreatedAt": group.created_at,
        "CreatedBy": SCIM,
        "UpdatedAt": group.updated_at,
        "UpdatedBy": SCIM,
    }
    return {key: value for key, value in content.items() if value not in (None, [], "")}


def _membership(call: Call, row: StoreMembership) -> dict[str, Any]:
    content: dict[str, Any] = {
        "IdentityStoreId": call.world.identity_center.state.identity_store_id,
        "MembershipId": row.id,
        "MembershipArn": _arn("membership", row.id),
        "GroupId": row.group_id,
        "MemberId": {"UserId": row.user_id},
    }
    if call.world.switches.membership_created_at:
        content |= {"CreatedAt": row.created_at, "CreatedBy": row.by, "UpdatedAt": row.created_at}
    return content


def _filtered(call: Call, rows: list[dict[str, Any]], attribute: str) -> list[dict[str, Any]]:
    for each in call.params.get("Filters") or []:
        if each["AttributePath"].lower() != attribute.lower():
            raise invalid(f"The attribute {each['AttributePath']} is not supported for filtering.")
        rows = [row for row in rows if str(row[attribute]).lower() == each["AttributeValue"].lower()]
    return rows


def list_users(call: Call) -> dict[str, Any]:
    """Everybody, or by UserName."""
    _store(call)
    rows = [_user(call, user) for user in _shown(call, call.world.identity_store.users())]
    return _sparse_page(call, "Users", _filtered(call, rows, "UserName"), call.world.identity_store.users())


def list_groups(call: Call) -> dict[str, Any]:
    """Every group, or by DisplayName."""
    _store(call)
    rows = [_group(call, group) for group in _shown(call, call.world.identity_store.groups())]
    return _sparse_page(
        call, "Groups", _filtered(call, rows, "DisplayName"), call.world.identity_store.groups()
    )


def _shown[T](call: Call, rows: list[T]) -> list[T]:
    """The rows that can be on the page: rendering thousands for one page of a hundred is slow."""
    if call.params.get("Filters"):
        return rows
    shown: list[T] = page(call, "rows", rows)["rows"]
    return shown


def _sparse_page[T](call: Call, key: str, rendered: list[dict[str, Any]], rows: list[T]) -> dict[str, Any]:
    if call.params.get("Filters"):
        return page(call, key, rendered)
    return {**page(call, key, rows), key: rendered}


def describe_user(call: Call) -> dict[str, Any]:
    """One user."""
    _store(call)
    return _user(call, call.world.identity_store.user(_bare(call.need("UserId"))))


def describe_group(call: Call) -> dict[str, Any]:
    """One group."""
    _store(call)
    return _group(call, call.world.identity_store.group(_bare(call.need("GroupId"))))


def get_user_id(call: Call) -> dict[str, Any]:
    """By external id, user name or e-mail address."""
    store_id, store = _store(call), call.world.identity_store
    alternate = call.need("AlternateIdentifier")
    found: StoreUser | None = None
    if "ExternalId" in alternate:
        if alternate["ExternalId"]["Issuer"] == call.world.identity_center.issuer():
            found = store.find_user_by_external_id(alternate["ExternalId"]["Id"])
    else:
        path, value = _unique(alternate)
        if path == "username":
            found = store.find_user_by_name(value)
        elif path == "emails.value":
            found = store.find_user_by_email(value)
        else:
            raise invalid(f"The attribute {path} is not a unique attribute.")
    if found is None:
        raise no_such("USER")
    return {"IdentityStoreId": store_id, "UserId": found.id, "UserArn": _arn("user", found.id)}


def get_group_id(call: Call) -> dict[str, Any]:
    """By external id or display name."""
    store_id, store = _store(call), call.world.identity_store
    alternate = call.need("AlternateIdentifier")
    found: StoreGroup | None = None
    if "ExternalId" in alternate:
        if alternate["ExternalId"]["Issuer"] == call.world.identity_center.issuer():
            found = store.find_group_by_external_id(alternate["ExternalId"]["Id"])
    else:
        path, value = _unique(alternate)
        if path != "displayname":
            raise invalid(f"The attribute {path} is not a unique attribute.")
        found = store.find_group_by_name(value)
    if found is None:
        raise no_such("GROUP")
    return {"IdentityStoreId": store_id, "GroupId": found.id, "GroupArn": _arn("group", found.id)}


def _unique(alternate: dict[str, Any]) -> tuple[str, str]:
    unique = alternate.get("UniqueAttribute") or {}
    return str(unique.get("AttributePath", "")).lower(), str(unique.get("AttributeValue", ""))


def list_group_memberships(call: Call) -> dict[str, Any]:
    """Members of a group."""
    _store(call)
    group = call.world.identity_store.group(_bare(call.need("GroupId")))
    return page(call, "GroupMemberships", [_membership(call, row) for row in group.members.values()])


def _member(call: Call) -> str:
    member = call.need("MemberId").get("UserId")
    if not member:
        raise invalid("MemberId.UserId is required.")
    return _bare(member)


def list_group_memberships_for_member(call: Call) -> dict[str, Any]:
    """Memberships of a user."""
    _store(call)
    user = call.world.identity_store.user(_member(call))
    rows = call.world.identity_store.memberships_of(user.id)
    return page(call, "GroupMemberships", [_membership(call, row) for row in rows])


def is_member_in_groups(call: Call) -> dict[str, Any]:
    """Whether a user is in each of up to a hundred groups."""
    _store(call)
    store = call.world.identity_store
    user = store.user(_member(call))
    groups = [_bare(each) for each in call.need("GroupIds")]
    if len(groups) > 100:
        raise invalid("At most 100 groups.")
    if call.world.switches.unknown_group_is_refused:
        for group_id in groups:
            store.group(group_id)
    return {
        "Results": [
            {
                "GroupId": group_id,
                "MemberId": {"UserId": user.id},
                "MembershipExists": store.is_member(user.id, group_id),
            }
            for group_id in groups
        ]
    }


def get_group_membership_id(call: Call) -> dict[str, Any]:
    """The membership of one user in one group; ResourceNotFoundException when there is none."""
    store_id = _store(call)
    group = call.world.identity_store.group(_bare(call.need("GroupId")))
    found = group.members.get(_member(call))
    if found is None:
        raise no_such("GROUP_MEMBERSHIP")
    return {
        "IdentityStoreId": store_id,
        "MembershipId": found.id,
        "MembershipArn": _arn("membership", found.id),
    }


def describe_group_membership(call: Call) -> dict[str, Any]:
    """One membership."""
    _store(call)
    return _membership(call, call.world.identity_store.membership(_bare(call.need("MembershipId"))))


def delete_group_membership(call: Call) -> dict[str, Any]:
    """Take one membership away behind provisioning's back."""
    _store(call)
    found = call.world.identity_store.membership(_bare(call.need("MembershipId")))
    call.world.identity_store.remove_member(found.group_id, found.user_id, by=f"API call of {call.account}")
    return {}


OPERATIONS: dict[str, Handler] = {
    "ListUsers": list_users,
    "ListGroups": list_groups,
    "DescribeUser": describe_user,
    "DescribeGroup": describe_group,
    "GetUserId": get_user_id,
    "GetGroupId": get_group_id,
    "ListGroupMemberships": list_group_memberships,
    "ListGroupMembershipsForMember": list_group_memberships_for_member,
    "IsMemberInGroups": is_member_in_groups,
    "GetGroupMembershipId": get_group_membership_id,
    "DescribeGroupMembership": describe_group_membership,
    "DeleteGroupMembership": delete_group_membership,
}
