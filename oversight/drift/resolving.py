"""A person's word on a finding: handled, or accepted as a known exception until a date."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.errors import Conflict, Invalid, Missing
from identity.models import Person
from oversight.drift.writing import change
from oversight.models import UNRESOLVED, Finding, FindingStatus
from requests_app.texts import clean_words

LONGEST_REASON = 2000
# An exception is looked at again at least once a year.
LONGEST_EXCEPTION = timedelta(days=366)


def handle_finding(*, finding_id: UUID, by: Person, reason: str, actor: Actor) -> None:
    """Mark as handled. If a later look still shows it an hour afterwards, it is found anew.

    Raises:
        Missing: no such finding. Conflict: it is resolved already. Invalid: no reason.
    """
    words = _reason(reason)
    with transaction():
        row = _lock(finding_id)
        change(
            row,
            FindingStatus.HANDLED,
            "drift.handled",
            actor=actor,
            now=business_now(),
            words=words,
            resolved_by=by,
            reason=words,
            accepted_until=None,
        )


def accept_finding(*, finding_id: UUID, by: Person, reason: str, until: datetime, actor: Actor) -> None:
    """Accept as a known exception until an instant (business time), after which it is open again.

    Raises:
        Missing: no such finding. Conflict: it is resolved already. Invalid: no reason, or no date within a year.
    """
    words = _reason(reason)
    now = business_now()
    if not now < until <= now + LONGEST_EXCEPTION:
        raise Invalid("finding.until", "Choose a date in the future, at most a year away.", field="until")
    with transaction():
        row = _lock(finding_id)
        change(
            row,
            FindingStatus.ACCEPTED,
            "drift.accepted",
            actor=actor,
            now=now,
            words=words,
            fields={"until": until},
            resolved_by=by,
            reason=words,
            accepted_until=until,
        )


def _reason(reason: str) -> str:
    words = clean_words(reason, longest=LONGEST_REASON, field="reason")
    if not words:
        raise Invalid("finding.reason", "Say why: auditors read it.", field="reason")
    return words


def _lock(finding_id: UUID) -> Finding:
    row = (
        Finding.objects.select_for_update(of=("self",))
        .select_related("group", "grant")
        .filter(pk=finding_id)
        .first()
    )
    if row is None:
        raise Missing("finding.missing", "There is no such finding.")
    if row.status not in UNRESOLVED:
        raise Conflict(
            "finding.resolved", f"This finding is resolved already: {row.get_status_display().lower()}."
        )
    return row
