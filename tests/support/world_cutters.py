"""The ports of remover and severer over a simulated world in the same process."""

from __future__ import annotations

from clients.types import (
    ControlPolicyDocument,
    ProgressCode,
    ProvisioningProgress,
    Reading,
    StoreMembership,
)
from simulator.world.aws_state import ProvisioningRequest
from simulator.world.world import World
from tests.support.world_clients import Calls, WorldIdentityCenter, WorldPort


class WorldRemoval(WorldPort):
    """Implements clients.ports.MembershipRemoval."""

    def __init__(self, world: World, calls: Calls) -> None:
        super().__init__(world, calls)
        self._center = WorldIdentityCenter(world, calls)

    def membership(self, store_user_id: str, store_group_id: str) -> Reading[StoreMembership | None]:
        return self._center.membership(store_user_id, store_group_id)

    def delete(self, membership_id: str, *, client_request_id: str) -> Reading[None]:
        def answer() -> None:
            store = self._world.identity_store
            found = store.membership(membership_id)
            store.remove_member(found.group_id, found.user_id, by="remover")

        return self._write("aws.identitystore.DeleteGroupMembership", answer, client_request_id)


class WorldDenials(WorldPort):
    """Implements clients.ports.SessionDenials."""

    def service_control_policy(self, policy_id: str) -> Reading[ControlPolicyDocument]:
        def answer() -> ControlPolicyDocument:
            content = self._world.control_policies.policy(policy_id).content
            return ControlPolicyDocument(content, self._world.state.organization.management_account_id)

        return self._read("aws.organizations.DescribePolicy", answer)

    def put_service_control_policy(
        self, policy_id: str, document: str, *, client_request_id: str
    ) -> Reading[None]:
        def answer() -> None:
            self._world.control_policies.update(policy_id, content=document)

        return self._write("aws.organizations.UpdatePolicy", answer, client_request_id)

    def policy_targets(self, policy_id: str) -> Reading[frozenset[str]]:
        return self._read(
            "aws.organizations.ListTargetsForPolicy",
            lambda: frozenset(self._world.control_policies.policy(policy_id).targets),
        )

    def inline_policy(self, permission_set_arn: str) -> Reading[str]:
        return self._read(
            "aws.sso-admin.GetInlinePolicyForPermissionSet",
            lambda: self._world.identity_center.permission_set(permission_set_arn).inline_policy,
        )

    def put_inline_policy(
        self, permission_set_arn: str, document: str, *, client_request_id: str
    ) -> Reading[None]:
        def answer() -> None:
            center = self._world.identity_center
            center.put_inline_policy(center.permission_set(permission_set_arn), document)

        return self._write("aws.sso-admin.PutInlinePolicyToPermissionSet", answer, client_request_id)

    def provision_permission_set(
        self, permission_set_arn: str, *, client_request_id: str
    ) -> Reading[ProvisioningProgress]:
        return self._write(
            "aws.sso-admin.ProvisionPermissionSet",
            lambda: _progress(self._world.identity_center.provision(permission_set_arn)),
            client_request_id,
        )

    def provisioning_progress(self, vendor_id: str) -> Reading[ProvisioningProgress]:
        return self._read(
            "aws.sso-admin.DescribePermissionSetProvisioningStatus",
            lambda: _progress(self._world.identity_center.provisioning_request(vendor_id)),
        )


def _progress(request: ProvisioningRequest) -> ProvisioningProgress:
    return ProvisioningProgress(request.id, ProgressCode(request.status), request.failure or "")


__all__ = ["WorldDenials", "WorldRemoval"]
