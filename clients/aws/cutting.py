"""What takes access away in AWS: two adapters, each with credentials of its own, each for a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from clients.aws.caller import AwsCaller
from clients.aws.config import AwsConfig
from clients.aws.identity_center import Boto3IdentityCenter
from clients.environment import setting
from clients.errors import NotPermitted, OutcomeUnknown, Throttled, Unreachable
from clients.limits import Limiter, build_limiter
from clients.types import ControlPolicyDocument, ProgressCode, ProvisioningProgress, Reading, StoreMembership

REMOVER, SEVERER = "REMOVER", "SEVERER"
_SSO, _STORE, _ORGANIZATIONS = "sso-admin", "identitystore", "organizations"


def own_credentials(environ: Mapping[str, str], owner: str) -> dict[str, str]:
    """The access key of one process, from OWNER_AWS_…; {} leaves it to what the platform hands to the process.

    Raises:
        NotPermitted: when only a part of a key is there.
    """
    parts = {
        "aws_access_key_id": setting(environ, f"{owner}_AWS_ACCESS_KEY_ID"),
        "aws_secret_access_key": setting(environ, f"{owner}_AWS_SECRET_ACCESS_KEY"),
        "aws_session_token": setting(environ, f"{owner}_AWS_SESSION_TOKEN"),
    }
    given = {name: value for name, value in parts.items() if value}
    if given and not ("aws_access_key_id" in given and "aws_secret_access_key" in given):
        raise NotPermitted(
            f"{owner}_AWS_ACCESS_KEY_ID and {owner}_AWS_SECRET_ACCESS_KEY belong together; one of them is missing.",
            code=f"{owner}_AWS_ACCESS_KEY_ID",
        )
    return given


def _caller(owner: str, environ: Mapping[str, str] | None, limiter: Limiter | None) -> AwsCaller:
    environ = os.environ if environ is None else environ
    # One attempt: a write is repeated only after it was read back, and never outlives the lease of its row.
    return AwsCaller(
        AwsConfig.from_environ(environ),
        limiter or build_limiter(environ),
        attempts=1,
        credentials=own_credentials(environ, owner),
    )


def _written[T](call: Callable[[], Reading[T]]) -> Reading[None]:
    """A write: no answer, or an error of AWS's own, leaves open whether it took effect."""
    try:
        return Reading(None, call().receipt)
    except Throttled:
        raise
    except Unreachable as error:
        raise OutcomeUnknown(
            "AWS did not say whether it did it. It is read back before anything else.",
            code=error.code,
            receipt=error.receipt,
        ) from error


class Boto3MembershipRemoval:
    """Implements clients.ports.MembershipRemoval."""

    def __init__(self, caller: AwsCaller) -> None:
        self._caller = caller
        self._center = Boto3IdentityCenter(caller)

    def membership(self, store_user_id: str, store_group_id: str) -> Reading[StoreMembership | None]:
        """See the port."""
        return self._center.membership(store_user_id, store_group_id)

    def delete(self, membership_id: str, *, client_request_id: str) -> Reading[None]:
        """See the port."""
        store_id = self._center.instance().value.identity_store_id
        return _written(
            lambda: self._caller.one(
                _STORE,
                "delete_group_membership",
                client_request_id=client_request_id,
                IdentityStoreId=store_id,
                MembershipId=membership_id,
            )
        )


class Boto3SessionDenials:
    """Implements clients.ports.SessionDenials."""

    def __init__(self, caller: AwsCaller) -> None:
        self._caller = caller
        self._center = Boto3IdentityCenter(caller)

    @property
    def _instance_arn(self) -> str:
        return self._center.instance().value.instance_arn

    def service_control_policy(self, policy_id: str) -> Reading[ControlPolicyDocument]:
        """See the port. Its ARN is the management account's (arn:aws:organizations::ACCOUNT:policy/…)."""
        answer = self._caller.one(_ORGANIZATIONS, "describe_policy", PolicyId=policy_id)
        policy = answer.value["Policy"]
        owner = str(policy.get("PolicySummary", {}).get("Arn") or "").split(":")
        return Reading(
            ControlPolicyDocument(str(policy.get("Content") or ""), owner[4] if len(owner) > 4 else ""),
            answer.receipt,
        )

    def put_service_control_policy(
        self, policy_id: str, document: str, *, client_request_id: str
    ) -> Reading[None]:
        """See the port."""
        return _written(
            lambda: self._caller.one(
                _ORGANIZATIONS,
                "update_policy",
                client_request_id=client_request_id,
                PolicyId=policy_id,
                Content=document,
            )
        )

    def policy_targets(self, policy_id: str) -> Reading[frozenset[str]]:
        """See the port."""
        answer = self._caller.pages(
            _ORGANIZATIONS, "list_targets_for_policy", "Targets", page_size=20, PolicyId=policy_id
        )
        return Reading(frozenset(str(row["TargetId"]) for row in answer.value), answer.receipt)

    def inline_policy(self, permission_set_arn: str) -> Reading[str]:
        """See the port."""
        answer = self._caller.one(
            _SSO,
            "get_inline_policy_for_permission_set",
            InstanceArn=self._instance_arn,
            PermissionSetArn=permission_set_arn,
        )
        return Reading(str(answer.value.get("InlinePolicy") or ""), answer.receipt)

    def put_inline_policy(
        self, permission_set_arn: str, document: str, *, client_request_id: str
    ) -> Reading[None]:
        """See the port."""
        instance_arn = self._instance_arn
        return _written(
            lambda: self._caller.one(
                _SSO,
                "put_inline_policy_to_permission_set",
                client_request_id=client_request_id,
                InstanceArn=instance_arn,
                PermissionSetArn=permission_set_arn,
                InlinePolicy=document,
            )
        )

    def provision_permission_set(
        self, permission_set_arn: str, *, client_request_id: str
    ) -> Reading[ProvisioningProgress]:
        """See the port. Asked again without harm, so an unknown outcome is only one more request."""
        answer = self._caller.one(
            _SSO,
            "provision_permission_set",
            client_request_id=client_request_id,
            InstanceArn=self._instance_arn,
            PermissionSetArn=permission_set_arn,
            TargetType="ALL_PROVISIONED_ACCOUNTS",
        )
        return Reading(_progress(answer.value["PermissionSetProvisioningStatus"]), answer.receipt)

    def provisioning_progress(self, vendor_id: str) -> Reading[ProvisioningProgress]:
        """See the port."""
        answer = self._caller.one(
            _SSO,
            "describe_permission_set_provisioning_status",
            InstanceArn=self._instance_arn,
            ProvisionPermissionSetRequestId=vendor_id,
        )
        return Reading(_progress(answer.value["PermissionSetProvisioningStatus"]), answer.receipt)


def _progress(status: Mapping[str, Any]) -> ProvisioningProgress:
    codes = {code.value: code for code in ProgressCode}
    return ProvisioningProgress(
        vendor_id=str(status.get("RequestId") or ""),
        code=codes.get(str(status.get("Status")), ProgressCode.RUNNING),
        reason=str(status.get("FailureReason") or ""),
    )


def build_removal(
    environ: Mapping[str, str] | None = None, *, limiter: Limiter | None = None
) -> Boto3MembershipRemoval:
    """The remover's adapter. Raises NotPermitted when a variable is missing or impossible."""
    return Boto3MembershipRemoval(_caller(REMOVER, environ, limiter))


def build_denials(
    environ: Mapping[str, str] | None = None, *, limiter: Limiter | None = None
) -> Boto3SessionDenials:
    """The severer's adapter. Raises NotPermitted when a variable is missing or impossible."""
    return Boto3SessionDenials(_caller(SEVERER, environ, limiter))


__all__ = [
    "Boto3MembershipRemoval",
    "Boto3SessionDenials",
    "build_denials",
    "build_removal",
    "own_credentials",
]
