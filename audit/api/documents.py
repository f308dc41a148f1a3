"""What the API answers with: the auditor's pages as JSON. Texts are as they were written; JSON makes them inert."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from audit.exporting.tables import facts
from audit.history.as_of import Access, Answer
from audit.history.case import Case, CaseItem
from audit.history.presentation import Row
from audit.ledger.canonical import instant


def event_document(row: Row) -> dict[str, Any]:
    """One event, as in an export."""
    return facts(row)


def case_document(case: Case) -> dict[str, Any]:
    """One request with what was asked for, the access that followed, and its events."""
    request = case.request
    return {
        "request_id": str(case.request_id),
        "requester_object_id": request.requester.object_id if request else "",
        "requester_name": request.requester.display_name if request else "",
        "items": [_item(item) for item in case.items],
        "events": [event_document(row) for row in case.rows],
        "events_cut": case.cut,
        "scope_cut": case.scope_cut,
    }


def _item(found: CaseItem) -> dict[str, Any]:
    item, grant = found.item, found.grant
    return {
        "item_id": str(item.pk),
        "status": item.status,
        "pim_group_object_id": item.group.object_id,
        "pim_group_name": item.group.display_name,
        "scope": [_opened(row) for row in found.scope_rows],
        "grant": None
        if grant is None
        else {
            "grant_id": str(grant.pk),
            "status": grant.status,
            "starts_at": _at(grant.starts_at),
            "ends_at": _at(grant.ends_at),
            "assigned_at": _at(grant.assigned_at),
            "arrived_at": _at(grant.arrived_at),
            "out_of_entra_at": _at(grant.out_of_entra_at),
            "out_of_aws_at": _at(grant.out_of_aws_at),
            "last_possible_use_at": _at(found.last_possible_use),
        },
    }


def access_document(access: Access) -> dict[str, Any]:
    """One person's access through one PIM group at the minute."""
    grant = access.grant
    return {
        "person_object_id": grant.person.object_id,
        "person_name": grant.person.display_name,
        "pim_group_object_id": grant.group.object_id,
        "pim_group_name": grant.group.display_name,
        "grant_id": str(grant.pk),
        "request_ids": [str(each) for each in access.requests],
        "in_entra": _answer(access.entra),
        "in_aws": _answer(access.aws),
        "sessions": _answer(access.sessions),
        "scope": [_opened(row) for row in access.scope],
        "scope_left_out": access.left_out,
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "held": answer.held.value,
        "words": answer.words,
        "since": _at(answer.since),
        "until": _at(answer.until),
    }


def _opened(row: Any) -> Mapping[str, str]:
    return {
        "account_id": row.account_id,
        "account_name": row.account_name,
        "permission_set_arn": row.permission_set_arn,
        "permission_set_name": row.permission_set_name,
    }


def _at(moment: datetime | None) -> str | None:
    return instant(moment) if moment else None
