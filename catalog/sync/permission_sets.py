"""Permission sets and what each allows. Six calls a set at the vendor, and no way to ask what changed.

Then the AWS managed policies that they name, once a day, and a judgement of each set whose content became another.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from catalog.describing import summarise
from catalog.models import AccountAssignment, PermissionSet
from catalog.sync.differences import write_differences
from catalog.sync.judgements import judge_changed
from catalog.sync.managed_policies import read_managed_policies
from catalog.sync.scopes import refresh_scopes
from catalog.sync.work import Work
from clients.errors import ClientError, NotFound
from clients.registry import clients
from clients.types import PermissionSetDetails

PER_STEP = 8
GROUPS_PER_STEP = 20
# What the ledger calls the parts of a set's content.
_CONTENT = {
    "session_duration": "session duration",
    "managed_policies": "AWS managed policies",
    "customer_managed_policies": "customer managed policies",
    "inline_policy": "inline policy",
    "permissions_boundary": "permissions boundary",
}


class PermissionSets:
    """The list, the details of each, what follows for the groups that open them, and what it all allows."""

    def advance(self, work: Work) -> bool:
        """See the engine's Part."""
        match work.cursor.get("stage", "list"):
            case "list":
                _read_list(work)
                work.cursor["stage"] = "details"
            case "details":
                if _read_details(work):
                    work.cursor["stage"] = "groups"
            case "groups":
                waiting: list[int] = work.cursor.get("groups", [])
                refresh_scopes(waiting[:GROUPS_PER_STEP])
                work.cursor["groups"] = waiting[GROUPS_PER_STEP:]
                if not work.cursor["groups"]:
                    work.cursor["stage"] = "policies"
            case "policies":
                if read_managed_policies(work):
                    work.cursor["stage"] = "judging"
            case _:
                return judge_changed(work)
        return False


def _read_list(work: Work) -> None:
    arns = work.fetch(clients().identity_center.permission_set_arns)
    known = PermissionSet.objects.filter(present=True).exclude(content_hash="")
    work.check_plausible("permission sets", before=known.count(), after=len(arns))
    for row in PermissionSet.objects.filter(present=True).exclude(arn__in=arns):
        _vanish(row)
        work.changes["vanished"] += 1
    work.cursor["arns"] = sorted(arns)


def _vanish(row: PermissionSet) -> None:
    with transaction():
        if PermissionSet.objects.filter(pk=row.pk, present=True).update(present=False):
            record(
                "catalog.permission_set_vanished",
                actor=Actor.worker(),
                fields={"name": row.name, "arn": row.arn},
            )


def _read_details(work: Work) -> bool:
    waiting: list[str] = work.cursor.get("arns", [])
    some, rest = waiting[:PER_STEP], waiting[PER_STEP:]
    details = []
    for fetched in work.fetch_each(some, clients().identity_center.permission_set):
        match fetched.error:
            case None if fetched.value is not None:
                details.append(fetched.value)
            case NotFound():
                continue  # deleted between the list and now; the next list says so
            case ClientError() as error:
                raise error
    changed = write_details(details)
    work.changes["permission_sets"] += len(changed)
    touched = AccountAssignment.objects.filter(permission_set__in=changed).values_list("group_id", flat=True)
    work.cursor["groups"] = sorted({*work.cursor.get("groups", []), *touched})
    work.cursor["arns"] = rest
    return not rest


def write_details(details: list[PermissionSetDetails]) -> list[PermissionSet]:
    """Write these permission sets and give the rows that changed; a change of content leaves an event."""
    existing = {row.arn: row for row in PermissionSet.objects.filter(arn__in=[d.arn for d in details])}
    before = {arn: _content(row) for arn, row in existing.items() if row.content_hash}
    with transaction():
        found = write_differences(
            PermissionSet, existing=existing, wanted={each.arn: _values(each) for each in details}
        )
        for row in found.changed:
            if row.arn in before and before[row.arn] != _content(row):
                _record_change(row, before[row.arn])
    return [*found.created, *found.changed]


def _values(details: PermissionSetDetails) -> dict[str, Any]:
    values: dict[str, Any] = {
        "arn": details.arn,
        "name": details.name,
        "description": details.description,
        "session_duration": details.session_duration,
        "relay_state": details.relay_state,
        "managed_policies": [{"name": name, "arn": arn} for name, arn in details.managed_policies],
        "customer_managed_policies": [
            {"path": path, "name": name} for path, name in details.customer_managed_policies
        ],
        "inline_policy": details.inline_policy,
        "permissions_boundary": details.permissions_boundary,
        "tags": dict(details.tags),
        "present": True,
    }
    values["content_hash"] = _hash({name: values[name] for name in _CONTENT})
    values["summary"] = summarise(details)
    return values


def _content(row: PermissionSet) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _CONTENT}


def _hash(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, default=lambda value: value.total_seconds())
    return hashlib.sha256(text.encode()).hexdigest()


def _record_change(row: PermissionSet, before: dict[str, Any]) -> None:
    after = _content(row)
    names = [name for name in _CONTENT if before[name] != after[name]]
    record(
        "catalog.permission_set_changed",
        actor=Actor.worker(),
        fields={
            "name": row.name,
            "arn": row.arn,
            "changed": ", ".join(_CONTENT[name] for name in names),
            "before": {name: before[name] for name in names},
            "after": {name: after[name] for name in names},
            "content_hash": row.content_hash,
        },
    )
