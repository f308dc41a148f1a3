"""SCIM v2 with IAM Identity Center's profile, as method calls with SCIM's own JSON.

The provisioning job calls it in-process, the HTTP front serves the same object. Source: the SCIM section of the
IAM Identity Center contract. Deviations from RFC 7644 that AWS documents are kept: lists of groups never show
members, there is no PutGroup, a PATCH changes at most a hundred memberships and can't replace them.
"""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from simulator.scim.errors import ScimError, conflict, invalid, missing
from simulator.world.aws_state import StoreGroup, StoreUser

if TYPE_CHECKING:
    from simulator.world.world import World

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PAGE = 100
MOST_MEMBERS = 100
_TERM = re.compile(r'\s*([\w.:]+)\s+(\w+)\s+"((?:[^"\\]|\\.)*)"\s*', re.IGNORECASE)
_MEMBER_PATH = re.compile(r'members\[\s*value\s+eq\s+"([^"]+)"\s*\]', re.IGNORECASE)
_REFUSED = ("groups", "password", "photos", "ims", "entitlements", "x509Certificates")
_SINGLE = ("emails", "phoneNumbers", "addresses", "roles")
_KEPT = (
    "nickName", "profileUrl", "userType", "preferredLanguage", "locale", "timezone",
    "phoneNumbers", "addresses", "roles", ENTERPRISE,
)  # fmt: skip


def parse_filter(text: str) -> dict[str, str]:
    """`a eq "x" and b eq "y"` as a mapping with lower-case names. Raises ScimError 400 for anything else."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None or match[2].lower() != "eq":
            raise invalid("Filter is not supported: only eq, joined by and.")
        found[match[1].lower()] = match[3].replace('\\"', '"')
        position = match.end()
        if position < len(text):
            if text[position : position + 4].lower() != "and ":
                raise invalid("Filter is not supported: only eq, joined by and.")
            position += 4
    return found


class ScimService:
    """Users and groups of the identity store through SCIM. Methods raise ScimError."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def check_token(self, token: str) -> None:
        """Raises ScimError 401 for a wrong or expired bearer token."""
        center = self._world.state.identity_center
        if not center.scim_token_valid or token != center.scim_token:
            raise ScimError(401, "UnauthorizedException", "The access token is not valid.")

    # ------------------------------------------------------------ users

    def create_user(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create a user; 409 for a userName that is taken."""
        content = _user_content(body)
        store = self._world.identity_store
        if store.find_user_by_name(content["user_name"]) is not None:
            raise conflict("A user with this userName already exists.")
        now = self._world.now()
        user = StoreUser(id=store.new_id(), created_at=now, updated_at=now, **content)
        store.put_user(user)
        return self.user_resource(user)

    def get_user(self, user_id: str) -> dict[str, Any]:
        """One user."""
        return self.user_resource(self._user(user_id))

    def _user(self, user_id: str) -> StoreUser:
        found = self._world.state.identity_center.users.get(user_id)
        if found is None:
            raise missing("User")
        return found

    def list_users(
        self,
        filter_text: str | None = None,
        *,
        start_index: int = 1,
        count: int = PAGE,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Users, filtered by userName, externalId or id; paged by startIndex, or by cursor when one is given."""
        rows = self._world.identity_store.users()
        if filter_text:
            terms = parse_filter(filter_text)
            if not set(terms) <= {"username", "externalid", "id"}:
                raise invalid("Filter attribute is not supported.")
            if "username" in terms:
                found = self._world.identity_store.find_user_by_name(terms["username"])
                rows = [found] if found is not None else []
            rows = [r for r in rows if terms.get("externalid") in (None, r.external_id)]
            rows = [r for r in rows if terms.get("id") in (None, r.id)]
        return _page([self.user_resource(row) for row in rows], start_index, count, cursor)

    def put_user(self, user_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Replace a user's attributes."""
        user = self._user(user_id)
        return self._change_user(user, _user_content(body))

    def patch_user(self, user_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change some attributes: add, replace or remove, with a path or with an object."""
        user = self._user(user_id)
        resource = self.user_resource(user)
        for operation in _operations(body):
            _apply(resource, operation)
        return self._change_user(user, _user_content(resource))

    def _change_user(self, user: StoreUser, content: dict[str, Any]) -> dict[str, Any]:
        other = self._world.identity_store.find_user_by_name(content["user_name"])
        if other is not None and other.id != user.id:
            raise conflict("A user with this userName already exists.")
        for name, value in content.items():
            setattr(user, name, value)
        user.updated_at = self._world.now()
        user.revision += 1
        self._world.identity_store.put_user(user)
        return self.user_resource(user)

    def delete_user(self, user_id: str) -> None:
        """Delete a user with its memberships."""
        self._user(user_id)
        self._world.identity_store.delete_user(user_id)

    def user_resource(self, user: StoreUser) -> dict[str, Any]:
        """The SCIM representation."""
        resource: dict[str, Any] = {
            "id": user.id,
            "externalId": user.external_id,
            "meta": _meta("User", user.created_at, user.updated_at),
            "schemas": [USER] + ([ENTERPRISE] if ENTERPRISE in user.attributes else []),
            "userName": user.user_name,
            "name": {"givenName": user.given_name, "familyName": user.family_name},
            "displayName": user.display_name,
            "active": user.active,
            **user.attributes,
        }
        if user.title:
            resource["title"] = user.title
        if user.email:
            resource["emails"] = [{"value": user.email, "type": user.email_type, "primary": True}]
        return {name: value for name, value in resource.items() if value is not None}

    # ------------------------------------------------------------ groups

    def create_group(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create a group with up to a hundred members; 409 for a displayName that is taken."""
        name = body.get("displayName")
        if not isinstance(name, str) or not name.strip():
            raise invalid("displayName is required.")
        store = self._world.identity_store
        if store.find_group_by_name(name) is not None:
            raise conflict("A group with this displayName already exists.")
        members = _member_ids(body.get("members") or [])
        if len(members) > MOST_MEMBERS:
            raise invalid("A group is created with at most 100 members.")
        for member in members:
            self._user(member)
        now = self._world.now()
        group = StoreGroup(store.new_id(), name, now, now, external_id=body.get("externalId"))
        store.put_group(group)
        for member in members:
            store.add_member(group.id, member)
        return self.group_resource(group)

    def get_group(self, group_id: str) -> dict[str, Any]:
        """One group, always without members."""
        return self.group_resource(self._group(group_id))

    def _group(self, group_id: str) -> StoreGroup:
        found = self._world.state.identity_center.groups.get(group_id)
        if found is None:
            raise missing("Group")
        return found

    def list_groups(
        self,
        filter_text: str | None = None,
        *,
        start_index: int = 1,
        count: int = PAGE,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Groups, filtered by displayName, externalId, members.value, or id with members ("is U in G")."""
        store = self._world.identity_store
        rows = store.groups()
        if filter_text:
            terms = parse_filter(filter_text)
            member = terms.pop("members", None) or terms.pop("members.value", None)
            if not set(terms) <= {"displayname", "externalid", "id"}:
                raise invalid("Filter attribute is not supported.")
            if "displayname" in terms:
                found = store.find_group_by_name(terms["displayname"])
                rows = [found] if found is not None else []
            if "externalid" in terms:
                found = store.find_group_by_external_id(terms["externalid"])
                rows = [row for row in rows if found is not None and row.id == found.id]
            rows = [r for r in rows if terms.get("id") in (None, r.id)]
            rows = [r for r in rows if member is None or member in r.members]
        return _page([self.group_resource(row) for row in rows], start_index, count, cursor)

    def patch_group(self, group_id: str, body: dict[str, Any]) -> None:
        """Change displayName, externalId or up to a hundred memberships; all of it or nothing."""
        group = self._group(group_id)
        added: list[str] = []
        removed: list[str] = []
        changes: dict[str, str | None] = {}
        for operation in _operations(body):
            self._read_group_operation(operation, added, removed, changes)
        if len(added) + len(removed) > MOST_MEMBERS:
            raise invalid("At most 100 membership changes per request.")
        for member in added:
            self._user(member)
        store = self._world.identity_store
        other = store.find_group_by_name(changes.get("display_name") or group.display_name)
        if other is not None and other.id != group.id:
            raise conflict("A group with this displayName already exists.")
        for name, value in changes.items():
            setattr(group, name, value)
        if changes:
            group.updated_at = self._world.now()
            group.revision += 1
            store.put_group(group)
        for member in added:
            store.add_member(group.id, member)
        for member in removed:
            store.remove_member(group.id, member)

    def _read_group_operation(
        self, operation: dict[str, Any], added: list[str], removed: list[str], changes: dict[str, str | None]
    ) -> None:
        kind, path, value = operation["op"], operation.get("path"), operation.get("value")
        if path is None and isinstance(value, dict) and kind in ("add", "replace"):
            for name, content in value.items():
                self._read_group_operation(
                    {"op": kind, "path": name, "value": content}, added, removed, changes
                )
            return
        one = _MEMBER_PATH.fullmatch(path or "")
        if one is not None and kind == "remove":
            removed.append(one[1])
        elif path == "members" and kind == "add":
            added.extend(_member_ids(value))
        elif path == "members" and kind == "remove" and value:
            removed.extend(_member_ids(value))
        elif path == "members":
            raise invalid("All members of a group can't be replaced or removed in one request.")
        elif path in ("displayName", "externalId") and kind in ("add", "replace") and isinstance(value, str):
            changes["display_name" if path == "displayName" else "external_id"] = value
        elif path == "externalId" and kind == "remove":
            changes["external_id"] = None
        elif path not in ("id", "schemas", "meta"):
            raise invalid(f"'{path}' of a group can't be changed.")

    def delete_group(self, group_id: str) -> None:
        """Delete a group with its memberships."""
        self._group(group_id)
        self._world.identity_store.delete_group(group_id)

    def group_resource(self, group: StoreGroup) -> dict[str, Any]:
        """The SCIM representation; `members` is always empty."""
        resource = {
            "id": group.id,
            "externalId": group.external_id,
            "meta": _meta("Group", group.created_at, group.updated_at),
            "schemas": [GROUP],
            "displayName": group.display_name,
            "members": [],
        }
        return {name: value for name, value in resource.items() if value is not None}


def _meta(kind: str, created: datetime, modified: datetime) -> dict[str, str]:
    return {
        "resourceType": kind,
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lastModified": modified.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise invalid(f"{name} is required.")
    return value


def _user_content(body: dict[str, Any]) -> dict[str, Any]:
    for name in _REFUSED:
        if body.get(name):
            raise invalid(f"{name} is not supported.")
    for name in _SINGLE:
        values = body.get(name)
        if isinstance(values, list) and len(values) > 1:
            raise invalid(f"{name} takes one value only.")
    names = body.get("name")
    names = names if isinstance(names, dict) else {}
    emails = body.get("emails") or []
    email = emails[0] if emails and isinstance(emails[0], dict) else {}
    if email and not email.get("primary"):
        raise invalid("An e-mail address has to be primary.")
    active = body.get("active", True)
    external = body.get("externalId")
    title = body.get("title")
    return {
        "user_name": _text(body, "userName"),
        "given_name": _text(names, "givenName"),
        "family_name": _text(names, "familyName"),
        "display_name": _text(body, "displayName"),
        "external_id": external if isinstance(external, str) else None,
        "email": email.get("value"),
        "email_type": str(email.get("type") or "work"),
        "title": title if isinstance(title, str) else None,
        "active": active if isinstance(active, bool) else str(active).lower() == "true",
        "attributes": {name: body[name] for name in _KEPT if body.get(name)},
    }


def _operations(body: dict[str, Any]) -> list[dict[str, Any]]:
    operations = body.get("Operations")
    if not isinstance(operations, list) or not operations:
        raise invalid("Operations are required.")
    for operation in operations:
        if not isinstance(operation, dict) or str(operation.get("op", "")).lower() not in (
            "add",
            "remove",
            "replace",
        ):
            raise invalid("An operation is add, remove or replace.")
    return [{**operation, "op": operation["op"].lower()} for operation in operations]


def _apply(resource: dict[str, Any], operation: dict[str, Any]) -> None:
    """Change a user's representation; paths are attribute names, one level of `a.b`, or `emails[…].value`."""
    path, value = operation.get("path"), operation.get("value")
    if path is None:
        if not isinstance(value, dict):
            raise invalid("Without a path the value is an object.")
        for name, content in value.items():
            if isinstance(content, dict) and isinstance(resource.get(name), dict):
                resource[name] = {**resource[name], **content}
            else:
                resource[name] = content
        return
    name, _, rest = path.partition("[") if "[" in path else (path, "", "")
    if rest:
        leaf = rest.rpartition("].")[2]
        resource[name] = (
            [] if operation["op"] == "remove" else [{"type": "work", "primary": True, leaf: value}]
        )
        return
    if path.startswith(ENTERPRISE + ":"):
        outer, inner = ENTERPRISE, path.removeprefix(ENTERPRISE + ":")
    else:
        outer, _, inner = path.partition(".") if ":" not in path else (path, "", "")
    holder = resource.setdefault(outer, {}) if inner else resource
    key = inner or outer
    if not isinstance(holder, dict):
        raise invalid(f"'{path}' is not an attribute.")
    if operation["op"] == "remove":
        holder.pop(key, None)
    else:
        holder[key] = value


def _member_ids(value: Any) -> list[str]:
    rows = value if isinstance(value, list) else [value]
    found = [row.get("value") if isinstance(row, dict) else row for row in rows]
    if not all(isinstance(each, str) and each for each in found):
        raise invalid("A member is named by its id in `value`.")
    return [str(each) for each in found]


def _page(rows: list[dict[str, Any]], start_index: int, count: int, cursor: str | None) -> dict[str, Any]:
    if not 1 <= count <= PAGE:
        raise invalid("count is between 1 and 100.")
    if cursor is None:
        first = max(1, start_index)
        shown = rows[first - 1 : first - 1 + count]
        return {
            "totalResults": len(rows),
            "itemsPerPage": len(shown),
            "startIndex": first,
            "schemas": [LIST],
            "Resources": shown,
        }
    if cursor and not cursor.isdigit():
        raise invalid("The cursor is not valid.")
    offset = int(cursor or 0)
    shown = rows[offset : offset + count]
    answer: dict[str, Any] = {"itemsPerPage": len(shown), "schemas": [LIST], "Resources": shown}
    if offset + count < len(rows):
        answer["nextCursor"] = str(offset + count)
    return answer
