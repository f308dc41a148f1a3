"""The ports that tell who the worker is, over a simulated world."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from clients.types import AwsIdentity, EntraIdentity, Reading
from tests.support.world_port import WorldPort

DOCUMENTED_ROLES = frozenset(
    {
        "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
        "PrivilegedEligibilitySchedule.Read.AzureADGroup",
        "RoleManagementPolicy.Read.AzureADGroup",
        "GroupMember.Read.All",
        "User.Read.All",
        "Application.ReadWrite.OwnedBy",
    }
)


class WorldEntraStanding(WorldPort):
    """The world has no app registrations; those of the HTTP front stand here as they are documented."""

    answer = EntraIdentity("", "worker", DOCUMENTED_ROLES, None, timedelta())

    def identity(self) -> Reading[EntraIdentity]:
        return self._read(
            "entra.POST token", lambda: replace(self.answer, tenant_id=self._world.state.tenant_id)
        )


class WorldAwsStanding(WorldPort):
    """The management account's own."""

    skew = timedelta()

    def identity(self) -> Reading[AwsIdentity]:
        account = self._world.state.organization.management_account_id
        found = AwsIdentity(account, f"arn:aws:iam::{account}:user/access-portal", self.skew)
        return self._read("aws.sts.GetCallerIdentity", lambda: found)
