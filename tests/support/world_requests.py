"""PIM's requests of a simulated world, as the ports give them."""

from __future__ import annotations

import re

from clients.types import PimRequest, PimRequestStatus
from simulator.world.state import ScheduleRequest

# As the adapter for Graph writes it behind the person's words, for tenants that forget ticket information.
TAG_AT_END = re.compile(r"\[access-portal:([^\[\]\s]+)\]\s*\Z")


def request_from(row: ScheduleRequest) -> PimRequest:
    status = next((s for s in PimRequestStatus if s.value == row.status), PimRequestStatus.UNKNOWN)
    if row.status.startswith("Pending"):
        status = PimRequestStatus.PENDING
    return PimRequest(
        request_id=row.id,
        group_id=row.group_id,
        principal_id=row.principal_id,
        action=row.action,
        status=status,
        vendor_status=row.status,
        tag=_tag(row, "admin"),
        personal_tag=_tag(row, "self"),
        schedule_id=row.target_schedule_id or "",
        created_at=row.created_at,
        starts_at=row.start,
        ends_at=row.expiration.end if row.expiration else None,
    )


def _tag(row: ScheduleRequest, whose: str) -> str:
    """A tag, from the ticket information or the end of the justification; only we act as an administrator."""
    if not row.action.lower().startswith(whose):
        return ""
    if row.ticket_system == "access-portal" and row.ticket_number:
        return row.ticket_number
    found = TAG_AT_END.search(row.justification or "")
    return found.group(1) if found else ""
