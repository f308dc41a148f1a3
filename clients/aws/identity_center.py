"""IAM Identity Center through sso-admin, identitystore and, for what AWS managed policies say, iam. Read-only."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from clients.aws.caller import AwsCaller
from clients.aws.failures import resource_type
from clients.errors import NotFound, NotPermitted, Unreachable
from clients.types import (
    GroupAssignment,
    IdentityCenterInstance,
    PermissionSetDetails,
    Reading,
    Receipt,
    StoreGroup,
    StoreMembership,
    StoreUser,
)

_SSO, _STORE = "sso-admin", "identitystore"
_GROUPS_PER_CALL = 100
_DEFAULT_SESSION = timedelta(hours=1)  # what AWS gives a permission set that names none
_LONGEST_SESSION = timedelta(hours=12)
_INSTANCE_KEPT_SECONDS = 600.0
_PAIRS_KEPT_SECONDS = 300.0
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


def session_duration(text: str | None) -> timedelta:
    """An ISO-8601 duration such as PT4H. One that can't be read counts as the longest there is.

    A session's length decides until when access is possible, so the error is on the safe side.
    """
    if not text:
        return _DEFAULT_SESSION
    found = _DURATION.fullmatch(str(text))
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0, 0)
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return length or _LONGEST_SESSION


def _utc(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)


def _boundary(value: Mapping[str, Any]) -> str:
    if value.get("ManagedPolicyArn"):
        return str(value["ManagedPolicyArn"])
    reference = value.get("CustomerManagedPolicyReference") or {}
    return f"{reference.get('Path', '/')}{reference['Name']}" if reference.get("Name") else ""


def _external_ids(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(each["Id"]) for each in row.get("ExternalIds") or [] if each.get("Id"))


def _user(row: Mapping[str, Any]) -> StoreUser:
    return StoreUser(
        user_id=str(row["UserId"]),
        user_name=str(row.get("UserName") or ""),
        external_ids=_external_ids(row),
        enabled=str(row.get("UserStatus") or "ENABLED").upper() == "ENABLED",
    )


def _membership(row: Mapping[str, Any]) -> StoreMembership:
    return StoreMembership(
        membership_id=str(row.get("MembershipId") or ""),
        group_id=str(row.get("GroupId") or ""),
        user_id=str((row.get("MemberId") or {}).get("UserId") or ""),
        created_at=_utc(row.get("CreatedAt")),
    )


class Boto3IdentityCenter:
    """Implements clients.ports.IdentityCenter."""

    def __init__(self, caller: AwsCaller, *, now: Callable[[], float] = time.monotonic) -> None:
        self._caller = caller
        self._now = now
        self._instance: tuple[float, Reading[IdentityCenterInstance]] | None = None
        self._pairs: tuple[float, Reading[dict[str, tuple[GroupAssignment, ...]]]] | None = None

    # --- instance

    def instance(self) -> Reading[IdentityCenterInstance]:
        """The instance of this Region, or the configured one; kept for ten minutes.

        Raises:
            NotFound: when there is none, or several and none is configured.
        """
        if self._instance and self._now() - self._instance[0] < _INSTANCE_KEPT_SECONDS:
            return self._instance[1]
        config = self._caller.config
        answer = self._caller.pages(_SSO, "list_instances", "Instances")
        rows = [
            row
            for row in answer.value
            if not config.instance_arn or row["InstanceArn"] == config.instance_arn
        ]
        if len(rows) != 1:
            raise NotFound(
                f"There are {len(rows)} IAM Identity Center instances in {config.region} instead of one. "
                "Set AWS_REGION to the instance's Region, and AWS_IDENTITY_CENTER_INSTANCE_ARN if there are "
                "several.",
                code="InstanceUnclear",
                receipt=answer.receipt,
            )
        found = IdentityCenterInstance(
            instance_arn=str(rows[0]["InstanceArn"]),
            identity_store_id=str(rows[0]["IdentityStoreId"]),
            region=config.region,
            owner_account_id=str(rows[0].get("OwnerAccountId") or ""),
        )
        reading = Reading(found, answer.receipt)
        self._instance = (self._now(), reading)
        return reading

    def _sso(self, method: str, **arguments: Any) -> Reading[dict[str, Any]]:
        return self._caller.one(_SSO, method, InstanceArn=self._instance_arn, **arguments)

    def _sso_pages(self, method: str, key: str, **arguments: Any) -> Reading[tuple[Any, ...]]:
        return self._caller.pages(_SSO, method, key, InstanceArn=self._instance_arn, **arguments)

    @property
    def _instance_arn(self) -> str:
        return self.instance().value.instance_arn

    @property
    def _store_id(self) -> str:
        return self.instance().value.identity_store_id

    # --- permission sets

    def permission_set_arns(self) -> Reading[tuple[str, ...]]:
        """See the port."""
        return self._sso_pages("list_permission_sets", "PermissionSets")

    def permission_set(self, arn: str) -> Reading[PermissionSetDetails]:
        """See the port. The receipt is that of the first call, which names the set.

        Raises:
            NotFound: when the set does not exist.
        """
        described = self._sso("describe_permission_set", PermissionSetArn=arn)
        head = described.value["PermissionSet"]
        managed = self._sso_pages(
            "list_managed_policies_in_permission_set", "AttachedManagedPolicies", PermissionSetArn=arn
        ).value
        customer = self._sso_pages(
            "list_customer_managed_policy_references_in_permission_set",
            "CustomerManagedPolicyReferences",
            PermissionSetArn=arn,
        ).value
        tags = self._sso_pages("list_tags_for_resource", "Tags", page_size=None, ResourceArn=arn).value
        return Reading(
            PermissionSetDetails(
                arn=arn,
                name=str(head["Name"]),
                description=str(head.get("Description") or ""),
                session_duration=session_duration(head.get("SessionDuration")),
                relay_state=str(head.get("RelayState") or ""),
                managed_policies=tuple((str(row["Name"]), str(row["Arn"])) for row in managed),
                customer_managed_policies=tuple(
                    (str(row.get("Path") or "/"), str(row["Name"])) for row in customer
                ),
                inline_policy=str(
                    self._piece("get_inline_policy_for_permission_set", arn).get("InlinePolicy") or ""
                ),
                permissions_boundary=_boundary(
                    self._piece("get_permissions_boundary_for_permission_set", arn).get("PermissionsBoundary")
                    or {}
                ),
                tags={str(row["Key"]): str(row["Value"]) for row in tags},
            ),
            described.receipt,
        )

    def _piece(self, method: str, arn: str) -> dict[str, Any]:
        """A part that a permission set may lack; AWS then answers ResourceNotFound or an empty object."""
        try:
            return self._sso(method, PermissionSetArn=arn).value
        except NotFound:
            return {}

    # --- AWS managed policies, which are the same in every account: IAM's API reference, GetPolicy, GetPolicyVersion

    def managed_policy_version(self, arn: str) -> Reading[str]:
        """See the port.

        Raises:
            NotFound: when AWS has no such policy (any more).
        """
        answer = self._caller.one("iam", "get_policy", PolicyArn=arn)
        return Reading(str(answer.value["Policy"]["DefaultVersionId"]), answer.receipt)

    def managed_policy_document(self, arn: str, version: str) -> Reading[str]:
        """See the port. boto3 gives the document parsed, or as it came where it is no JSON.

        Raises:
            NotFound: when AWS has no such policy or version (any more).
        """
        answer = self._caller.one("iam", "get_policy_version", PolicyArn=arn, VersionId=version)
        document = answer.value["PolicyVersion"]["Document"]
        return Reading(document if isinstance(document, str) else json.dumps(document), answer.receipt)

    # --- account assignments

    def group_assignments(self, store_group_id: str) -> Reading[tuple[GroupAssignment, ...]]:
        """See the port.

        AWS documents the call for the management account; a delegated administrator that is refused reads all
        provisioned pairs of permission set and account instead, once in five minutes for all groups.
        """
        try:
            answer = self._sso_pages(
                "list_account_assignments_for_principal",
                "AccountAssignments",
                PrincipalId=store_group_id,
                PrincipalType="GROUP",
            )
        except NotPermitted:
            pairs = self._provisioned_pairs()
            return Reading(pairs.value.get(store_group_id, ()), pairs.receipt)
        return Reading(
            tuple(
                GroupAssignment(str(row["AccountId"]), str(row["PermissionSetArn"]))
                for row in answer.value
                if row.get("PrincipalId", store_group_id) == store_group_id
            ),
            answer.receipt,
        )

    def _provisioned_pairs(self) -> Reading[dict[str, tuple[GroupAssignment, ...]]]:
        if self._pairs and self._now() - self._pairs[0] < _PAIRS_KEPT_SECONDS:
            return self._pairs[1]
        found: dict[str, list[GroupAssignment]] = defaultdict(list)
        sets = self.permission_set_arns()
        receipt = sets.receipt
        for arn in sets.value:
            accounts = self._sso_pages(
                "list_accounts_for_provisioned_permission_set", "AccountIds", PermissionSetArn=arn
            )
            for account_id in accounts.value:
                rows = self._sso_pages(
                    "list_account_assignments",
                    "AccountAssignments",
                    AccountId=account_id,
                    PermissionSetArn=arn,
                )
                receipt = rows.receipt
                for row in rows.value:
                    if row.get("PrincipalType") == "GROUP":
                        found[str(row["PrincipalId"])].append(GroupAssignment(str(account_id), arn))
        reading = Reading({group: tuple(rows) for group, rows in found.items()}, receipt)
        self._pairs = (self._now(), reading)
        return reading

    # --- identity store

    def groups(self) -> Reading[tuple[StoreGroup, ...]]:
        """See the port."""
        answer = self._caller.pages(_STORE, "list_groups", "Groups", IdentityStoreId=self._store_id)
        return Reading(
            tuple(
                StoreGroup(
                    group_id=str(row["GroupId"]),
                    display_name=str(row.get("DisplayName") or ""),
                    external_ids=_external_ids(row),
                )
                for row in answer.value
            ),
            answer.receipt,
        )

    def users(self) -> Reading[tuple[StoreUser, ...]]:
        """See the port."""
        answer = self._caller.pages(_STORE, "list_users", "Users", IdentityStoreId=self._store_id)
        return Reading(tuple(_user(row) for row in answer.value), answer.receipt)

    def find_user(self, user_name: str) -> Reading[StoreUser | None]:
        """See the port."""
        store_id = self._store_id
        try:
            found = self._caller.one(
                _STORE,
                "get_user_id",
                IdentityStoreId=store_id,
                AlternateIdentifier={
                    "UniqueAttribute": {"AttributePath": "userName", "AttributeValue": user_name}
                },
            )
            described = self._caller.one(
                _STORE, "describe_user", IdentityStoreId=store_id, UserId=found.value["UserId"]
            )
        except NotFound as absent:
            if resource_type(absent) not in ("USER", ""):
                raise
            return Reading(None, absent.receipt or Receipt(""))
        return Reading(_user(described.value), described.receipt)

    def memberships(self, store_user_id: str, store_group_ids: Iterable[str]) -> Reading[Mapping[str, bool]]:
        """See the port. Somebody or some group that the store says it doesn't know is no member.

        Raises:
            NotFound: when it is the identity store itself that is unknown, or the answer doesn't say what is.
            Unreachable: when the answer leaves a group out; absence is only believed when it is said.
        """
        wanted = list(dict.fromkeys(store_group_ids))
        result: dict[str, bool] = {}
        receipt = Receipt("")
        for start in range(0, len(wanted), _GROUPS_PER_CALL):
            some = wanted[start : start + _GROUPS_PER_CALL]
            answer = self._ask_memberships(store_user_id, some)
            result.update(answer.value)
            receipt = answer.receipt
        return Reading(result, receipt)

    def _ask_memberships(self, user_id: str, group_ids: list[str]) -> Reading[dict[str, bool]]:
        try:
            answer = self._caller.one(
                _STORE,
                "is_member_in_groups",
                IdentityStoreId=self._store_id,
                MemberId={"UserId": user_id},
                GroupIds=group_ids,
            )
        except NotFound as absent:
            receipt = absent.receipt or Receipt("")
            unknown = resource_type(absent)
            # An unknown person is not "no member": the id may be stale, and the caller can look it up again.
            if unknown == "GROUP" and len(group_ids) == 1:
                return Reading(dict.fromkeys(group_ids, False), receipt)
            if unknown == "GROUP":  # which one isn't said
                singly = [self._ask_memberships(user_id, [each]) for each in group_ids]
                return Reading(
                    {group: held for each in singly for group, held in each.value.items()}, singly[-1].receipt
                )
            raise
        said = {
            str(row["GroupId"]): row.get("MembershipExists") is True
            for row in answer.value.get("Results") or []
        }
        missing = [group for group in group_ids if group not in said]
        if missing:
            raise Unreachable(
                "The identity store left a group out of its answer. The read-back is repeated.",
                code="IncompleteAnswer",
                receipt=answer.receipt,
            )
        return Reading({group: said[group] for group in group_ids}, answer.receipt)

    def membership(self, store_user_id: str, store_group_id: str) -> Reading[StoreMembership | None]:
        """See the port. Asked by person, because that list carries the creation stamp."""
        try:
            answer = self._caller.pages(
                _STORE,
                "list_group_memberships_for_member",
                "GroupMemberships",
                IdentityStoreId=self._store_id,
                MemberId={"UserId": store_user_id},
            )
        except NotFound as absent:
            if resource_type(absent) != "USER":
                raise
            return Reading(None, absent.receipt or Receipt(""))
        for row in answer.value:
            if row.get("GroupId") == store_group_id:
                return Reading(_membership(row), answer.receipt)
        return Reading(None, answer.receipt)

    def group_memberships(self, store_group_id: str) -> Reading[tuple[StoreMembership, ...]]:
        """See the port.

        Raises:
            NotFound: when the group does not exist.
        """
        answer = self._caller.pages(
            _STORE,
            "list_group_memberships",
            "GroupMemberships",
            IdentityStoreId=self._store_id,
            GroupId=store_group_id,
        )
        return Reading(tuple(_membership(row) for row in answer.value), answer.receipt)
