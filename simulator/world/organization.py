"""AWS Organizations: the OU tree and its accounts."""

from typing import TYPE_CHECKING

from simulator.world.aws_state import Account, Organization, OrganizationalUnit
from simulator.world.errors import WorldError

if TYPE_CHECKING:
    from simulator.world.world import World


class Organizations:
    """The organization; the sample data fills it. Clients change nothing of it but who administers Identity Center."""

    def __init__(self, world: "World") -> None:
        self._world = world

    @property
    def state(self) -> Organization:
        """The organization."""
        return self._world.state.organization

    def account(self, account_id: str) -> Account:
        """One account. Raises WorldError AccountNotFoundException."""
        found = self.state.accounts.get(account_id)
        if found is None:
            raise WorldError(400, "AccountNotFoundException", "You specified an account that doesn't exist.")
        return found

    def unit(self, unit_id: str) -> OrganizationalUnit:
        """One OU. Raises WorldError OrganizationalUnitNotFoundException."""
        found = self.state.units.get(unit_id)
        if found is None:
            raise WorldError(
                400,
                "OrganizationalUnitNotFoundException",
                "You specified an organizational unit that doesn't exist.",
            )
        return found

    def check_parent(self, parent_id: str) -> None:
        """Raises WorldError ParentNotFoundException for an id that is neither the root nor an OU."""
        if parent_id != self.state.root_id and parent_id not in self.state.units:
            raise WorldError(400, "ParentNotFoundException", "You specified a parent that doesn't exist.")

    def chain(self, parent_id: str) -> list[str]:
        """Ids from the root down to this parent."""
        found: list[str] = []
        while parent_id in self.state.units:
            found.insert(0, parent_id)
            parent_id = self.state.units[parent_id].parent_id
        return [self.state.root_id, *found]

    def path(self, resource_id: str, parent_id: str) -> str:
        """`o-…/r-…/ou-…/<id>/`, as accounts and OUs carry it."""
        return "/".join([self.state.id, *self.chain(parent_id), resource_id]) + "/"

    def scope(self, account_id: str) -> set[str]:
        """Targets whose service control policies bind an account; none bind the management account."""
        if account_id == self.state.management_account_id or account_id not in self.state.accounts:
            return set()
        return {*self.chain(self.state.accounts[account_id].parent_id), account_id}

    def set_state(self, account_id: str, state: str) -> None:
        """Suspend, close or reopen an account. Raises WorldError AccountNotFoundException."""
        self.account(account_id).state = state
        self._world.journal("account", f"{self.account(account_id).name} is {state}")

    def delegate(self, account_id: str) -> None:
        """Let a member account administer Identity Center: one at a time. Raises WorldError."""
        account = self.account(account_id)
        if account.id == self.state.management_account_id:
            raise WorldError(
                400,
                "ConstraintViolationException",
                "You cannot register the management account as a delegated administrator.",
            )
        if account.id in self.state.delegated_administrators:
            raise WorldError(
                400, "AccountAlreadyRegisteredException", "The account is already a delegated administrator."
            )
        if self.state.delegated_administrators:
            raise WorldError(
                400,
                "ConstraintViolationException",
                "The service has as many delegated administrators as it may.",
            )
        self.state.delegated_administrators.append(account.id)
        self._world.journal("organization", f"{account.name} administers Identity Center")

    def undelegate(self, account_id: str) -> None:
        """Take that from it again. Raises WorldError AccountNotRegisteredException."""
        account = self.account(account_id)
        if account.id not in self.state.delegated_administrators:
            raise WorldError(
                400,
                "AccountNotRegisteredException",
                "The account is not a delegated administrator for the service.",
            )
        self.state.delegated_administrators.remove(account.id)
        self._world.journal("organization", f"{account.name} administers Identity Center no more")
