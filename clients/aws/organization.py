"""AWS Organizations: accounts and their place in the tree. About one call per second, in the background."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from clients.aws.caller import AwsCaller
from clients.types import OrganizationAccount, OrganizationUnit, Reading

_SERVICE = "organizations"
_PAGE = 20  # the service's maximum


def unit_of(row: Mapping[str, Any]) -> str:
    """The organizational unit (or root) that holds an account, from its path `o-…/r-…/ou-…/<account id>/`."""
    for path in row.get("Paths") or []:
        parts = [part for part in str(path).split("/") if part]
        if len(parts) >= 2 and parts[-1] == row.get("Id"):
            return parts[-2]
    return ""


def _account(row: Mapping[str, Any], unit_id: str) -> OrganizationAccount:
    return OrganizationAccount(
        account_id=str(row["Id"]),
        name=str(row.get("Name") or ""),
        email=str(row.get("Email") or ""),
        state=str(row.get("State") or row.get("Status") or ""),  # Status retired in September 2026
        unit_id=unit_id,
    )


class Boto3Organization:
    """Implements clients.ports.Organization."""

    def __init__(self, caller: AwsCaller) -> None:
        self._caller = caller

    def _pages(
        self, method: str, key: str, *, page_size: int | None = _PAGE, **arguments: Any
    ) -> Reading[tuple[Any, ...]]:
        return self._caller.pages(_SERVICE, method, key, page_size=page_size, **arguments)

    def units(self) -> Reading[tuple[OrganizationUnit, ...]]:
        """See the port. Roots first, then level by level."""
        answer = self._pages("list_roots", "Roots")
        receipt = answer.receipt
        found = [OrganizationUnit(str(row["Id"]), str(row.get("Name") or ""), "") for row in answer.value]
        waiting = deque(found)
        while waiting:
            parent = waiting.popleft()
            children = self._pages(
                "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=parent.unit_id
            )
            receipt = children.receipt
            for row in children.value:
                unit = OrganizationUnit(str(row["Id"]), str(row.get("Name") or ""), parent.unit_id)
                found.append(unit)
                waiting.append(unit)
        return Reading(tuple(found), receipt)

    def accounts(self) -> Reading[tuple[OrganizationAccount, ...]]:
        """See the port. Where AWS gives no paths, each unit is asked for its accounts instead."""
        answer = self._pages("list_accounts", "Accounts")
        placed = [_account(row, unit_of(row)) for row in answer.value]
        if all(account.unit_id for account in placed):
            return Reading(tuple(placed), answer.receipt)
        homes: dict[str, str] = {}
        for unit in self.units().value:
            rows = self._pages("list_accounts_for_parent", "Accounts", ParentId=unit.unit_id).value
            homes.update({str(row["Id"]): unit.unit_id for row in rows})
        return Reading(
            tuple(_account(row, unit_of(row) or homes.get(str(row["Id"]), "")) for row in answer.value),
            answer.receipt,
        )

    def account_tags(self, account_id: str) -> Reading[Mapping[str, str]]:
        """See the port. One call per account: weekly, or when a page needs it."""
        answer = self._pages("list_tags_for_resource", "Tags", page_size=None, ResourceId=account_id)
        return Reading({str(row["Key"]): str(row["Value"]) for row in answer.value}, answer.receipt)
