"""Account assignments of one group, written as differences, with the event that says what changed."""

from __future__ import annotations

from collections.abc import Iterable

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from catalog.models import AccountAssignment, AwsAccount, PermissionSet, PimGroup
from catalog.sync.scopes import refresh_scope
from clients.types import GroupAssignment

# An event names at most this many of what was added, and of what was removed.
NAMED = 100
BATCH = 1000

type Key = tuple[str, str]  # account id, permission set's arn


def write_assignments(group: PimGroup, assignments: Iterable[GroupAssignment]) -> int:
    """Make the rows say what the group opens; gives how many were added and removed."""
    wanted: set[Key] = {(each.account_id, each.permission_set_arn) for each in assignments}
    held = {
        (row.account.account_id, row.permission_set.arn): row.pk
        for row in group.account_assignments.select_related("account", "permission_set")
    }
    added, removed = sorted(wanted - held.keys()), sorted(held.keys() - wanted)
    if not added and not removed:
        if not group.preview:
            refresh_scope(group)
        return 0
    with transaction():
        accounts = _accounts({account_id for account_id, _ in added})
        permission_sets = _permission_sets({arn for _, arn in added})
        names = _names(arn for _, arn in (*added, *removed))
        AccountAssignment.objects.filter(pk__in=[held[key] for key in removed]).delete()
        AccountAssignment.objects.bulk_create(
            [
                AccountAssignment(
                    group=group, account_id=accounts[account_id], permission_set_id=permission_sets[arn]
                )
                for account_id, arn in added
            ],
            batch_size=BATCH,
            ignore_conflicts=True,
        )
        refresh_scope(group)
        record(
            "catalog.scope_changed",
            actor=Actor.worker(),
            group_oid=group.object_id,
            fields={
                "group_name": group.display_name,
                "assignments": len(wanted),
                "added_count": len(added),
                "removed_count": len(removed),
                "added": [f"{account_id} {names[arn]}" for account_id, arn in added[:NAMED]],
                "removed": [f"{account_id} {names[arn]}" for account_id, arn in removed[:NAMED]],
                "scope_hash": group.scope_hash,
            },
        )
    return len(added) + len(removed)


def _accounts(ids: set[str]) -> dict[str, int]:
    """Keys by account id. An account that Organizations hasn't told of yet gets a row that says so.

    Leaving it out would show people less than their request opens.
    """
    AwsAccount.objects.bulk_create(
        [AwsAccount(account_id=each, name=each, state="UNKNOWN") for each in sorted(ids)],
        batch_size=BATCH,
        ignore_conflicts=True,
    )
    return dict(AwsAccount.objects.filter(account_id__in=ids).values_list("account_id", "pk"))


def _permission_sets(arns: set[str]) -> dict[str, int]:
    unknown = "What this permission set allows is not known yet."
    PermissionSet.objects.bulk_create(
        [
            PermissionSet(arn=each, name=each.rpartition("/")[2][:32], summary=unknown)
            for each in sorted(arns)
        ],
        batch_size=BATCH,
        ignore_conflicts=True,
    )
    return dict(PermissionSet.objects.filter(arn__in=arns).values_list("arn", "pk"))


def _names(arns: Iterable[str]) -> dict[str, str]:
    return dict(PermissionSet.objects.filter(arn__in=set(arns)).values_list("arn", "name"))
