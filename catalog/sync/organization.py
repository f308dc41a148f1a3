"""AWS accounts and the tree of organisational units; tags slowly, a few accounts at each run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Q
from django_subatomic.db import transaction

from base.clock import real_now
from catalog.models import AccountAssignment, AwsAccount, OrganizationalUnit
from catalog.sync.differences import mark_absent, write_differences
from catalog.sync.intervals import TAGS_FRESH_FOR
from catalog.sync.scopes import refresh_scopes
from catalog.sync.work import Work
from clients.registry import clients
from clients.types import OrganizationAccount, OrganizationUnit

# One call each at about one a second: a run takes at most this many, a new organisation fills up within days.
TAGS_PER_RUN = 60
TAGS_PER_STEP = 8
GROUPS_PER_STEP = 20


class Organization:
    """Units, then accounts, then tags, then the search words of the groups that lead to what changed."""

    def advance(self, work: Work) -> bool:
        """See the engine's Part."""
        match work.cursor.get("stage", "units"):
            case "units":
                _read_units(work)
                work.cursor["stage"] = "accounts"
            case "accounts":
                _read_accounts(work)
                work.cursor["stage"] = "tags"
            case "tags":
                if _read_tags(work):
                    work.cursor["stage"] = "groups"
            case _:
                return _refresh_groups(work)
        return False


def _read_units(work: Work) -> None:
    units = work.fetch(clients().organization.units)
    known = OrganizationalUnit.objects.filter(present=True).count()
    work.check_plausible("organisational units", before=known, after=len(units))
    with transaction():
        changed = write_units(units)
    work.changes["units"] += len(changed)
    _touch(work, AwsAccount.objects.filter(unit__unit_id__in=changed).values_list("pk", flat=True))


def write_units(units: Sequence[OrganizationUnit]) -> list[str]:
    """Write the tree as given and give the ids of units whose row changed."""
    by_id = {unit.unit_id: unit for unit in units}
    existing = {row.unit_id: row for row in OrganizationalUnit.objects.all()}
    found = write_differences(
        OrganizationalUnit,
        existing=existing,
        wanted={
            unit.unit_id: {
                "unit_id": unit.unit_id,
                "name": unit.name,
                "path": _path(unit, by_id),
                "present": True,
            }
            for unit in units
        },
    )
    mark_absent(found.unwanted)
    rows = {row.unit_id: row for row in OrganizationalUnit.objects.all()}
    moved = []
    for unit in units:
        row, parent = rows[unit.unit_id], rows.get(unit.parent_id)
        if row.parent_id != (parent.pk if parent else None):
            row.parent = parent
            moved.append(row)
    OrganizationalUnit.objects.bulk_update(moved, ["parent"], batch_size=500)
    return [row.unit_id for row in (*found.created, *found.changed)]


def _path(unit: OrganizationUnit, by_id: Mapping[str, OrganizationUnit]) -> str:
    """Names from below the root, " / " between; the root's own path is its name."""
    names: list[str] = []
    seen: set[str] = set()
    at: OrganizationUnit | None = unit
    while at is not None and at.unit_id not in seen:
        seen.add(at.unit_id)
        names.append(at.name)
        at = by_id.get(at.parent_id)
    return " / ".join(reversed(names[:-1] or names))


def _read_accounts(work: Work) -> None:
    accounts = work.fetch(clients().organization.accounts)
    known = AwsAccount.objects.filter(present=True).exclude(state="UNKNOWN").count()
    work.check_plausible("AWS accounts", before=known, after=len(accounts))
    with transaction():
        changed = write_accounts(accounts)
    work.changes["accounts"] += len(changed)
    _touch(work, changed)
    stale = Q(tags_read_at=None) | Q(tags_read_at__lt=real_now() - TAGS_FRESH_FOR)
    work.cursor["tags"] = list(
        AwsAccount.objects.filter(stale, present=True)
        .order_by("tags_read_at", "account_id")
        .values_list("account_id", flat=True)[:TAGS_PER_RUN]
    )


def write_accounts(accounts: Sequence[OrganizationAccount]) -> list[int]:
    """Write the accounts as given and give the keys of rows that changed."""
    units = dict(OrganizationalUnit.objects.values_list("unit_id", "pk"))
    found = write_differences(
        AwsAccount,
        existing={row.account_id: row for row in AwsAccount.objects.all()},
        wanted={
            account.account_id: {
                "account_id": account.account_id,
                "name": account.name,
                "email": account.email,
                "state": account.state,
                "unit_id": units.get(account.unit_id),
                "present": True,
            }
            for account in accounts
        },
    )
    mark_absent(found.unwanted)
    return [row.pk for row in (*found.created, *found.changed)]


def _read_tags(work: Work) -> bool:
    waiting: list[str] = work.cursor.get("tags", [])
    some, rest = waiting[:TAGS_PER_STEP], waiting[TAGS_PER_STEP:]
    changed = []
    for fetched in work.fetch_each(some, clients().organization.account_tags):
        if fetched.value is None:
            # Tags are a detail: without the right to read them, the rest of the organisation still counts.
            work.changes["tags_unreadable"] += 1
            continue
        row = AwsAccount.objects.get(account_id=fetched.item)
        tags = dict(fetched.value)
        if row.tags != tags:
            changed.append(row.pk)
        AwsAccount.objects.filter(pk=row.pk).update(tags=tags, tags_read_at=real_now())
    work.changes["tags"] += len(changed)
    _touch(work, changed)
    work.cursor["tags"] = rest
    return not rest


def _touch(work: Work, account_keys: Iterable[Any]) -> None:
    """Note that the search words of groups that open these accounts are out of date."""
    touched = AccountAssignment.objects.filter(account_id__in=list(account_keys))
    keys = set(touched.values_list("group_id", flat=True))
    work.cursor["groups"] = sorted({*work.cursor.get("groups", []), *keys})


def _refresh_groups(work: Work) -> bool:
    waiting: list[int] = work.cursor.get("groups", [])
    refresh_scopes(waiting[:GROUPS_PER_STEP])
    work.cursor["groups"] = waiting[GROUPS_PER_STEP:]
    return not work.cursor["groups"]
