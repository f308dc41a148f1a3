"""What a request that nobody answers leads to, by its rules: approvers are reminded, with pauses that double, and stages
escalate to others. Then it lapses (`sweeping.lapse_unanswered`).

When either is due follows from the terms and the request's age alone, so that whoever died in the middle, or came late,
does the same. An escalated stage is terms of its own: whoever may decide from then on is found as everybody else.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from django.db import IntegrityError
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import business_now
from base.crash import crash_point, register
from base.errors import DomainError
from base.readymade import Readymade
from policy.terms import keep_escalated
from requests_app.actions.fetching import lock_item
from requests_app.lifecycle import ItemStatus
from requests_app.models import RequestItem

log = structlog.get_logger(__name__)

# Bound of one pass; the next one follows in seconds.
MOST_CHASED = 200

register("chasing.before_commit")


def chase_unanswered() -> int:
    """Remind and escalate where it is due; gives for how many requests. One transaction each."""
    chased = 0
    for item_id in _DUE.rows(business_now()):
        try:
            chased += _chase(item_id)
        except (DomainError, IntegrityError) as error:
            log.exception("chase_failed", item=str(item_id), error=type(error).__name__)
    return chased


_DUE = Readymade(
    lambda now: (
        RequestItem.objects.filter(status=ItemStatus.PENDING, chase_at__lte=now)
        .order_by("chase_at")
        .values_list("pk", flat=True)[:MOST_CHASED]
    ),
    datetime,
)


def _chase(item_id: UUID) -> int:
    with transaction():
        item = lock_item(item_id)
        now = business_now()
        if (
            item.status != ItemStatus.PENDING
            or item.chase_at is None
            or item.chase_at > now
            or now >= item.lapses_at
        ):
            return 0
        age, demands = now - item.created_at, item.terms.parsed
        following = demands.next_chase(age)
        if demands.after(age) != demands:
            item.terms = keep_escalated(item.terms, age)
            _record(item, "item.escalated", rule_hash=item.terms.document_hash)
        if (number := demands.reminders(age)) > item.reminders:
            item.reminders = number
            _record(item, "item.reminded", number=number)
        item.chase_at = item.created_at + following if following else None
        item.save(update_fields=["terms", "reminders", "chase_at"])
        crash_point("chasing.before_commit")
    return 1


def _record(item: RequestItem, name: str, **fields: str | int) -> None:
    record(
        name,
        actor=Actor.system(),
        fields={"item_id": item.pk, "group_name": item.group.display_name, "stage": item.stage, **fields},
        about_oid=item.requester.object_id,
        about_name=item.requester.display_name,
        group_oid=item.group.object_id,
        request_id=item.request_id,
    )
