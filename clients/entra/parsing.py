"""Small readings of what Graph sends: instants, durations, tags, statuses. No SDK here."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from clients.types import PimRequestStatus

TICKET_SYSTEM = "access-portal"
JUSTIFICATION_LIMIT = 500
_TAG_AT_END = re.compile(r"\[access-portal:([^\[\]\s]+)\]\s*\Z")
_TAG = re.compile(r"[^\[\]\s]{1,100}")
_LONGEST = timedelta(days=3650)


def instant(value: datetime | None) -> datetime | None:
    """Aware UTC; None for the year 1, which Graph writes where nothing has happened yet."""
    if value is None or value.year == 1:
        return None
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)


def span(value: timedelta | None) -> timedelta | None:
    """The duration; None for the endless one that a stopped synchronization job shows."""
    return None if value is None or value > _LONGEST else value


def word(value: Any) -> str:
    """An enum member's or a string's wire text. Services differ in its case: compare `.lower()`."""
    if value is None:
        return ""
    return str(getattr(value, "value", value))


def is_word(value: Any, expected: str) -> bool:
    """Whether the wire text is this word in any case."""
    return word(value).lower() == expected.lower()


def with_tag(justification: str, tag: str) -> str:
    """The person's words with our tag at the end, cut so that the tag always fits.

    Raises:
        ValueError: when the tag could not be read back.
    """
    if not _TAG.fullmatch(tag):
        raise ValueError(f"not a tag: {tag!r}")
    marker = f"[{TICKET_SYSTEM}:{tag}]"
    room = JUSTIFICATION_LIMIT - len(marker) - 1
    words = justification.strip()
    if len(words) > room:
        words = words[: room - 1].rstrip() + "…"
    return f"{words} {marker}".strip()


def tag_of(*, action: str, ticket_system: str, ticket_number: str, justification: str) -> str:
    """Our tag on a PIM request, or "".

    Only administrative actions carry one: a person who activates could write the same text. In a
    justification it counts at the very end alone, where we put it after the person's words.
    """
    if not action.lower().startswith("admin"):
        return ""
    return _tag_in(ticket_system, ticket_number, justification)


def personal_tag_of(*, action: str, ticket_system: str, ticket_number: str, justification: str) -> str:
    """The tag on what was asked for with a person's own token, or "". The person could have written it, too."""
    if not action.lower().startswith("self"):
        return ""
    return _tag_in(ticket_system, ticket_number, justification)


def _tag_in(ticket_system: str, ticket_number: str, justification: str) -> str:
    if ticket_system.lower() == TICKET_SYSTEM and _TAG.fullmatch(ticket_number):
        return ticket_number
    found = _TAG_AT_END.search(justification)
    return found.group(1) if found else ""


_STATUSES = {
    "provisioned": PimRequestStatus.PROVISIONED,
    "granted": PimRequestStatus.GRANTED,
    "schedulecreated": PimRequestStatus.GRANTED,
    "denied": PimRequestStatus.DENIED,
    "admindenied": PimRequestStatus.DENIED,
    "failed": PimRequestStatus.FAILED,
    "revoked": PimRequestStatus.REVOKED,
    "canceled": PimRequestStatus.CANCELED,
}


def request_status(vendor_status: str) -> PimRequestStatus:
    """Sort the vendor's open list of statuses into ours."""
    key = vendor_status.lower()
    if key.startswith("pending"):
        return PimRequestStatus.PENDING
    return _STATUSES.get(key, PimRequestStatus.UNKNOWN)


def quoted(value: str) -> str:
    """A string literal of an OData filter."""
    return "'" + value.replace("'", "''") + "'"
