"""The IAM Identity Center instance: permission sets, account assignments, where sets are provisioned."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.world import iam_policy
from simulator.world.aws_state import (
    AccountAssignment,
    IdentityCenterState,
    PermissionSet,
    ProvisioningRequest,
)
from simulator.world.errors import WorldError

if TYPE_CHECKING:
    from simulator.world.world import World

IN_PROGRESS = "IN_PROGRESS"
MOST_INLINE = 10_240  # characters that aren't white space
MOST_INLINE_BYTES = 32_768
MOST_AT_ONCE = 3  # ProvisionPermissionSet calls under way (AWS contract 1.1)


def no_such_resource(what: str) -> WorldError:
    """ResourceNotFoundException of sso-admin."""
    return WorldError(400, "ResourceNotFoundException", f"{what} not found.")


class IdentityCenter:
    """sso-admin's data. The principal ids in account assignments are the identity store's."""

    def __init__(self, world: "World") -> None:
        self._world = world

    @property
    def state(self) -> IdentityCenterState:
        """The instance."""
        return self._world.state.identity_center

    def check_instance(self, instance_arn: str) -> None:
        """Raises WorldError ResourceNotFoundException for any other instance."""
        if instance_arn != self.state.instance_arn:
            raise no_such_resource("Instance")

    def permission_sets(self) -> list[PermissionSet]:
        """All of them, oldest first."""
        return list(self.state.permission_sets.values())

    def permission_set(self, arn: str) -> PermissionSet:
        """One permission set. Raises WorldError ResourceNotFoundException."""
        found = self.state.permission_sets.get(arn)
        if found is None:
            raise no_such_resource("PermissionSet")
        return found

    def find_permission_set(self, name: str) -> PermissionSet | None:
        """The permission set of this name, or None."""
        return next((each for each in self.permission_sets() if each.name == name), None)

    def put_permission_set(self, name: str, **content: Any) -> PermissionSet:
        """Create a permission set. Raises WorldError ConflictException for a name that is taken."""
        if self.find_permission_set(name) is not None:
            raise WorldError(400, "ConflictException", f"PermissionSet with name {name} already exists.")
        instance = self.state.instance_arn.rsplit("/", 1)[-1]
        arn = f"arn:aws:sso:::permissionSet/{instance}/ps-{self._world.dice.named_hex(f'set {name}', 16)}"
        created = PermissionSet(arn=arn, name=name, created_at=self._world.now(), **content)
        self.state.permission_sets[arn] = created
        return created

    def assignments(
        self,
        *,
        principal_id: str | None = None,
        account_id: str | None = None,
        permission_set_arn: str | None = None,
    ) -> list[AccountAssignment]:
        """Account assignments that match everything given."""
        return [
            row
            for row in self.state.assignments
            if principal_id in (None, row.principal_id)
            and account_id in (None, row.account_id)
            and permission_set_arn in (None, row.permission_set_arn)
        ]

    def assign(
        self, account_id: str, permission_set_arn: str, principal_id: str, principal_type: str = "GROUP"
    ) -> AccountAssignment:
        """Assign a principal to a set on an account and provision it there; the row that exists if there is one.

        Raises WorldError ResourceNotFoundException for unknown ids.
        """
        permission_set = self.permission_set(permission_set_arn)
        self._world.organization.account(account_id)
        if principal_type == "GROUP":
            self._world.identity_store.group(principal_id)
        else:
            self._world.identity_store.user(principal_id)
        for row in self.assignments(principal_id=principal_id, account_id=account_id):
            if row.permission_set_arn == permission_set_arn:
                return row
        created = AccountAssignment(account_id, permission_set_arn, principal_type, principal_id)
        self.state.assignments.append(created)
        if account_id not in permission_set.provisioned:
            permission_set.provisioned[account_id] = permission_set.revision
            permission_set.role_policies[account_id] = permission_set.inline_policy
        return created

    def unassign(self, account_id: str, permission_set_arn: str, principal_id: str) -> None:
        """Take an account assignment away; nothing happens without one."""
        self.state.assignments = [
            row
            for row in self.state.assignments
            if (row.account_id, row.permission_set_arn, row.principal_id)
            != (account_id, permission_set_arn, principal_id)
        ]

    def put_inline_policy(self, permission_set: PermissionSet, policy: str) -> None:
        """Accounts keep the old one until the set is provisioned. Raises WorldError for a bad or long document."""
        try:
            iam_policy.parse(policy)
        except ValueError as error:
            raise WorldError(400, "ValidationException", f"The policy is malformed: {error}.") from error
        if len(policy.encode()) > MOST_INLINE_BYTES:
            message = f"Member must have length less than or equal to {MOST_INLINE_BYTES}."
            raise WorldError(400, "ValidationException", message)
        if len("".join(policy.split())) > MOST_INLINE:
            raise WorldError(400, "ServiceQuotaExceededException", "The inline policy is too long.")
        permission_set.inline_policy = policy
        self.changed(permission_set)

    def changed(self, permission_set: PermissionSet) -> None:
        """A policy of the set was changed: accounts keep the old one until it is provisioned again."""
        permission_set.revision += 1

    def provision(self, permission_set_arn: str, account_id: str | None = None) -> ProvisioningRequest:
        """Bring a set's policies to one account, or to all where it is provisioned; done some seconds later.

        Raises WorldError (its code is a switch) when three are under way already.
        """
        permission_set = self.permission_set(permission_set_arn)
        if account_id is not None:
            self._world.organization.account(account_id)
        under_way = [each for each in self.state.provisioning_requests.values() if each.status == IN_PROGRESS]
        if len(under_way) >= MOST_AT_ONCE:
            raise WorldError(400, self._world.switches.provision_busy_code, "Too many requests under way.")
        request = ProvisioningRequest(
            id=self._world.dice.guid(),
            permission_set_arn=permission_set_arn,
            accounts=[account_id] if account_id is not None else sorted(permission_set.provisioned),
            account_id=account_id,
            created_at=self._world.now(),
            revision=permission_set.revision,
            inline_policy=permission_set.inline_policy,
        )
        self.state.provisioning_requests[request.id] = request
        delay = timedelta(seconds=self._world.switches.provision_permission_set_seconds)
        self._world.schedule(request.created_at + delay, "identity_center.provisioned", request_id=request.id)
        return request

    def provisioning_request(self, request_id: str) -> ProvisioningRequest:
        """One ProvisionPermissionSet call. Raises WorldError ResourceNotFoundException."""
        found = self.state.provisioning_requests.get(request_id)
        if found is None:
            raise no_such_resource("Request")
        return found

    def on_provisioned(self, request_id: str) -> None:
        """Due: a ProvisionPermissionSet call is through."""
        request = self.state.provisioning_requests[request_id]
        permission_set = self.state.permission_sets.get(request.permission_set_arn)
        if permission_set is None:
            request.status, request.failure = "FAILED", "The permission set is gone."
            return
        acts_at = self._world.now() + timedelta(seconds=self._world.switches.policy_effect_seconds)
        for account_id in request.accounts:
            permission_set.provisioned[account_id] = request.revision
        self._world.schedule(acts_at, "identity_center.acts", request_id=request.id)
        request.status = "SUCCEEDED"
        self._world.journal(
            "permission set provisioned", f"{permission_set.name} on {len(request.accounts)} accounts"
        )

    def on_acts(self, request_id: str) -> None:
        """Due: the roles judge by what a ProvisionPermissionSet call brought."""
        request = self.state.provisioning_requests[request_id]
        permission_set = self.state.permission_sets.get(request.permission_set_arn)
        if permission_set is not None:
            permission_set.role_policies |= dict.fromkeys(request.accounts, request.inline_policy)
            self._world.journal("policy acts", f"{permission_set.name}'s roles judge by their new policy")

    def issuer(self) -> str:
        """Who issued the external ids that SCIM set."""
        return self._world.switches.external_id_issuer or self.state.external_id_issuer

    def store_arn(self) -> str:
        """The identity store's ARN."""
        state = self.state
        return f"arn:aws:identitystore::{state.owner_account_id}:identitystore/{state.identity_store_id}"

    def role_name(self, account_id: str, permission_set: PermissionSet) -> str:
        """The IAM role of a set on an account; its suffix belongs to the pair."""
        return self.reserved_role(account_id, permission_set.name, permission_set.arn)[0]

    def role_arn(self, account_id: str, permission_set: PermissionSet) -> str:
        """The role's ARN; its path names the Region except in us-east-1."""
        return self.reserved_role(account_id, permission_set.name, permission_set.arn)[1]

    def reserved_role(self, account_id: str, name: str, of: str) -> tuple[str, str]:
        """Name and ARN of a role that IAM Identity Center makes in an account; its suffix belongs to it and `of`."""
        region = "" if self.state.region == "us-east-1" else f"{self.state.region}/"
        full = f"AWSReservedSSO_{name}_{self._world.dice.named_hex(f'role {account_id} {of}', 16)}"
        return full, f"arn:aws:iam::{account_id}:role/aws-reserved/sso.amazonaws.com/{region}{full}"
