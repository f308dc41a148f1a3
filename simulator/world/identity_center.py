"""The IAM Identity Center instance: permission sets, account assignments, where sets are provisioned."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.world.aws_state import (
    AccountAssignment,
    IdentityCenterState,
    PermissionSet,
    ProvisioningRequest,
)
from simulator.world.errors import WorldError

if TYPE_CHECKING:
    from simulator.world.world import World


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
        permission_set.provisioned.setdefault(account_id, permission_set.revision)
        return created

    def unassign(self, account_id: str, permission_set_arn: str, principal_id: str) -> None:
        """Take an account assignment away; nothing happens without one."""
        self.state.assignments = [
            row
            for row in self.state.assignments
            if (row.account_id, row.permission_set_arn, row.principal_id)
            != (account_id, permission_set_arn, principal_id)
        ]

    def changed(self, permission_set: PermissionSet) -> None:
        """A policy of the set was changed: accounts keep the old one until it is provisioned again."""
        permission_set.revision += 1

    def provision(self, permission_set_arn: str, account_id: str | None = None) -> ProvisioningRequest:
        """Bring a set's policies to one account, or to all where it is provisioned; done some seconds later."""
        permission_set = self.permission_set(permission_set_arn)
        if account_id is not None:
            self._world.organization.account(account_id)
        request = ProvisioningRequest(
            id=self._world.dice.guid(),
            permission_set_arn=permission_set_arn,
            accounts=[account_id] if account_id is not None else sorted(permission_set.provisioned),
            account_id=account_id,
            created_at=self._world.now(),
        )
        self.state.provisioning_requests[request.id] = request
        delay = timedelta(seconds=self._world.switches.provision_permission_set_seconds)
        self._world.schedule(request.created_at + delay, "identity_center.provisioned", request_id=request.id)
        return request

    def on_provisioned(self, request_id: str) -> None:
        """Due: a ProvisionPermissionSet call is through."""
        request = self.state.provisioning_requests[request_id]
        permission_set = self.state.permission_sets.get(request.permission_set_arn)
        if permission_set is None:
            request.status, request.failure = "FAILED", "The permission set is gone."
            return
        for account_id in request.accounts:
            permission_set.provisioned[account_id] = permission_set.revision
        request.status = "SUCCEEDED"
