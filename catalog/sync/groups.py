"""PIM groups: what they are in Entra, who owns them, their PIM policy, their twin in IAM Identity Center, what they open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Q
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import business_now
from catalog.allow_list import managed_groups
from catalog.models import PimGroup
from catalog.sync.assignments import write_assignments
from catalog.sync.differences import write_differences
from catalog.sync.joining import Join, StoreGroups
from catalog.sync.owners import read_owners
from catalog.sync.policies import write_policy, write_policy_problem
from catalog.sync.scopes import refresh_scope
from catalog.sync.work import Work
from clients.errors import ClientError, NotFound, NotPermitted
from clients.registry import clients
from clients.types import DirectoryGroup, GroupAssignment

PER_STEP = 8


class Groups:
    """The list of groups with its joins, then policy, account assignments and owners of each managed one."""

    def advance(self, work: Work) -> bool:
        """See the engine's Part."""
        if work.cursor.get("stage", "list") == "list":
            _read_list(work)
            work.cursor["stage"] = "each"
            return False
        return _read_each(work)


def _read_list(work: Work) -> None:
    managed = managed_groups()
    assigned = frozenset(each.lower() for each in work.fetch(clients().directory.application_groups))
    store = work.fetch(clients().identity_center.groups)
    present = PimGroup.objects.filter(present=True)
    work.check_plausible(
        "groups of the enterprise application",
        before=present.filter(assigned_to_application=True).count(),
        after=len(assigned),
    )
    work.check_plausible(
        "groups in IAM Identity Center", before=present.exclude(store_group_id="").count(), after=len(store)
    )
    wanted = sorted(managed | assigned | set(present.values_list("object_id", flat=True)))
    found = work.fetch(lambda: clients().directory.read_groups(wanted))
    known = {group.object_id.lower() for group in found}
    work.check_plausible(
        "PIM groups in Entra",
        before=present.count(),
        after=present.filter(object_id__in=known).count(),
    )
    changed = _write_list(found, managed=managed, assigned=assigned, store=StoreGroups(store))
    work.changes["groups"] += len(changed)
    for group in PimGroup.objects.filter(pk__in=changed):
        refresh_scope(group)
    owed = PimGroup.objects.filter(present=True).filter(Q(managed=True) | ~Q(account_count=0))
    work.cursor["groups"] = list(owed.order_by("object_id").values_list("object_id", flat=True))


def _write_list(
    found: Iterable[DirectoryGroup],
    *,
    managed: frozenset[str],
    assigned: frozenset[str],
    store: StoreGroups,
) -> list[int]:
    existing = {row.object_id: row for row in PimGroup.objects.all()}
    joins: dict[str, Join] = {}
    wanted: dict[str, dict[str, Any]] = {}
    for group in found:
        object_id = group.object_id.lower()
        row = existing.get(object_id)
        joins[object_id] = store.join(object_id, group.display_name, before=row.store_group_id if row else "")
        wanted[object_id] = {
            "object_id": object_id,
            "display_name": group.display_name,
            "description": group.description,
            "security_enabled": group.security_enabled,
            "role_assignable": group.role_assignable,
            "synced_from_on_premises": group.synced_from_on_premises,
            "dynamic": group.dynamic,
            "managed": object_id in managed,
            "assigned_to_application": object_id in assigned,
            "store_group_id": joins[object_id].store_group_id,
            "join_problem": joins[object_id].problem,
            "present": True,
        }
    before = {key: (row.managed, row.store_group_id) for key, row in existing.items()}
    with transaction():
        differences = write_differences(PimGroup, existing=existing, wanted=wanted)
        rows = [*differences.created, *differences.changed]
        for row in rows:
            _record_changes(row, before.get(row.object_id, (False, "")), joins[row.object_id])
        gone = [row for row in differences.unwanted if row.present]
        PimGroup.objects.filter(pk__in=[row.pk for row in gone]).update(
            present=False, managed=False, assigned_to_application=False
        )
        for row in gone:
            _record("catalog.group_vanished", row)
    return [row.pk for row in rows]


def _record_changes(row: PimGroup, before: tuple[bool, str], join: Join) -> None:
    was_managed, was_joined = before
    if row.managed != was_managed:
        _record("catalog.management_changed", row, managed=row.managed)
    if row.store_group_id != was_joined:
        if row.store_group_id:
            _record(
                "catalog.group_joined", row, store_group_id=row.store_group_id, matched_by=join.matched_by
            )
        else:
            _record("catalog.group_unjoined", row, reason=join.problem or "no group has its id or name")


def _record(event: str, row: PimGroup, **fields: Any) -> None:
    record(
        event,
        actor=Actor.worker(),
        fields={"group_name": row.display_name, **fields},
        group_oid=row.object_id,
    )


def _read_each(work: Work) -> bool:
    waiting: list[str] = work.cursor.get("groups", [])
    some, rest = waiting[:PER_STEP], waiting[PER_STEP:]
    rows = {row.object_id: row for row in PimGroup.objects.filter(object_id__in=some, present=True)}
    _read_policies(work, rows)
    _read_assignments(work, rows)
    read_owners(work, rows)
    PimGroup.objects.filter(pk__in=[row.pk for row in rows.values()]).update(synced_at=business_now())
    work.cursor["groups"] = rest
    return not rest


def _read_policies(work: Work, rows: Mapping[str, PimGroup]) -> None:
    managed = [row.object_id for row in rows.values() if row.managed]
    for fetched in work.fetch_each(managed, clients().pim.group_policy):
        row = rows[fetched.item]
        match fetched.error:
            case None if fetched.value is not None:
                work.changes["policies"] += int(write_policy(row, fetched.value))
            case NotPermitted() as error:
                raise error
            case ClientError() as error:
                write_policy_problem(row, error.sentence)
                work.changes["policies_unreadable"] += 1


def _read_assignments(work: Work, rows: Mapping[str, PimGroup]) -> None:
    joined = [row for row in rows.values() if row.store_group_id and not row.join_problem]
    by_store_id = {row.store_group_id: row for row in joined}
    for fetched in work.fetch_each(by_store_id, clients().identity_center.group_assignments):
        match fetched.error:
            case None if fetched.value is not None:
                _write_one(work, by_store_id[fetched.item], fetched.value)
            case NotFound():
                continue  # deleted between the list and now; the next list says so
            case ClientError() as error:
                raise error
    for row in rows.values():
        if not row.store_group_id:
            _write_one(work, row, ())


def _write_one(work: Work, row: PimGroup, assignments: Sequence[GroupAssignment]) -> None:
    held = row.account_assignments.count()
    entries = [f"{each.account_id} {each.permission_set_arn}" for each in assignments]
    if not work.believes(f"assignments:{row.object_id}", before=held, entries=entries):
        return
    work.changes["assignments"] += write_assignments(row, assignments)
