"""What is kept of CloudTrail's record of an event. The record's fields are from the CloudTrail user guide,
"CloudTrail record contents" and "userIdentity element", and from IAM Identity Center's, "CloudTrail use cases".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clients.types import TrailEvent


def event_of_text(text: Any, *, event_id: str = "", at: datetime | None = None) -> TrailEvent | None:
    """One event by its record as JSON text, or None when that can't be read."""
    try:
        return event_of(json.loads(text), event_id=event_id, at=at)
    except (ValueError, TypeError):
        return None


def event_of(record: Any, *, event_id: str = "", at: datetime | None = None) -> TrailEvent | None:
    """One event by its record, or None when that can't be read. `event_id` and `at` count more than the record's own."""
    try:
        identity = _of(record, "userIdentity")
        context = _of(identity, "sessionContext")
        details = _of(record, "serviceEventDetails")
        at = at or datetime.fromisoformat(record["eventTime"])
        return TrailEvent(
            event_id=event_id or str(record["eventID"]),
            at=(at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC),
            source=str(record["eventSource"]),
            name=str(record["eventName"]),
            account_id=str(record.get("recipientAccountId") or ""),
            identity_type=str(identity.get("type") or ""),
            principal_id=str(identity.get("principalId") or ""),
            role_arn=str(_of(context, "sessionIssuer").get("arn") or ""),
            store_user_id=str(_of(identity, "onBehalfOf").get("userId") or ""),
            session_started_at=_moment(_of(context, "attributes").get("creationDate")),
            error_code=str(record.get("errorCode") or ""),
            opened_account_id=str(details.get("account_id") or ""),
            opened_permission_set=str(details.get("role_name") or ""),
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _of(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a record; an empty one where it isn't there or null."""
    part: Mapping[str, Any] = holder.get(name) or {}
    return part


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None


__all__ = ["event_of", "event_of_text"]
