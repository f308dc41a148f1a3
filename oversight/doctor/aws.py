"""IAM Identity Center and AWS Organizations: every read that the worker makes, tried once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from catalog.sync.joining import StoreGroups
from clients.registry import Clients
from clients.types import Reading, StoreGroup
from oversight.doctor.findings import Finding, Level, Stop, ask, good

CATALOGUE = "What access opens stays unknown, so it can't be asked for."
PROOF = "Nothing shows that access arrived in AWS or left it."


@dataclass(frozen=True, slots=True)
class Store:
    """What the identity store said, for the checks of single groups."""

    groups: tuple[StoreGroup, ...]

    @property
    def joins(self) -> StoreGroups:
        return StoreGroups(self.groups)


def store(clients: Clients) -> Store:
    """The groups of the identity store. Raises Stop."""
    groups = ask(
        "aws.reads",
        "identitystore:ListGroups",
        clients.identity_center.groups,
        needs="identitystore:ListGroups",
        why=CATALOGUE,
    )
    return Store(groups)


def reads(clients: Clients, found: Store) -> Iterator[Finding]:
    """One try of each read; a refused one names its actions."""
    center, organization = clients.identity_center, clients.organization
    instance = _try("sso:ListInstances", center.instance, CATALOGUE)
    yield from instance.findings
    if instance.value is not None:
        yield good("aws.instance", "IAM Identity Center", f"Instance {instance.value.instance_arn} answers.")
    sets = _try("sso:ListPermissionSets", center.permission_set_arns, CATALOGUE)
    yield from sets.findings
    if sets.value:
        needed = "sso:DescribePermissionSet and the five reads of its policies and tags"
        yield from _try(needed, lambda: center.permission_set(sets.value[0]), CATALOGUE).findings
    users = _try("identitystore:ListUsers", center.users, PROOF)
    yield from users.findings
    if found.groups:
        group_id = found.groups[0].group_id
        needed = "sso:ListAccountAssignmentsForPrincipal, or ListAccountAssignments"
        yield from _try(needed, lambda: center.group_assignments(group_id), CATALOGUE).findings
        yield from _try(
            "identitystore:ListGroupMemberships", lambda: center.group_memberships(group_id), PROOF
        ).findings
        if users.value:
            person = users.value[0]
            yield from _try(
                "identitystore:IsMemberInGroups",
                lambda: center.memberships(person.user_id, [group_id]),
                PROOF,
            ).findings
            yield from _try(
                "identitystore:GetUserId", lambda: center.find_user(person.user_name), PROOF
            ).findings
    yield from _try("organizations:ListOrganizationalUnitsForParent", organization.units, CATALOGUE).findings
    accounts = _try("organizations:ListAccounts", organization.accounts, CATALOGUE)
    yield from accounts.findings
    if accounts.value:
        account_id = accounts.value[0].account_id
        yield from _try(
            "organizations:ListTagsForResource", lambda: organization.account_tags(account_id), CATALOGUE
        ).findings


@dataclass(frozen=True, slots=True)
class _Tried:
    value: Any
    findings: tuple[Finding, ...]


def _try(action: str, call: Callable[[], Reading[Any]], why: str) -> _Tried:
    try:
        value = ask("aws.reads", action, call, needs=action, why=why)
    except Stop as stop:
        return _Tried(None, (stop.finding,))
    return _Tried(value, (Finding("aws.reads", Level.GOOD, action, "AWS answers."),))
