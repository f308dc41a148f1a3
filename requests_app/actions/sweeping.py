"""Finding owed work by status and due time. The rows are the queue; this is all that makes it certain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import IntegrityError
from django.db.models import Case, Q, QuerySet, When
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor
from base.clock import business_now, real_now
from base.errors import Conflict, DomainError
from base.readymade import Readymade
from requests_app.actions.chasing import chase_unanswered
from requests_app.actions.fetching import lock_item
from requests_app.actions.freezing import carry_freezes
from requests_app.actions.leaving import close_requests_of_leavers, suspect_leavers
from requests_app.actions.moving import move
from requests_app.actions.pathing import call_up, drop_old_uses
from requests_app.actions.telling import tell_overdue
from requests_app.lifecycle import DecisionStatus, GrantStatus, ItemStatus, WaiverStatus
from requests_app.models import Attempt, Decision, Grant, RequestItem
from requests_app.waivers.models import Waiver
from requests_app.waivers.reviewing import escalate_overdue

log = structlog.get_logger(__name__)

# Bounds of one pass; the next one follows in seconds.
MOST_OWED = 200
MOST_EXPIRED = 1000
# What is due for an active grant is its end, or the look whether its holder is still there.
TAKING_AWAY_FIRST = Case(
    When(status__in=[GrantStatus.ACTIVE, GrantStatus.REMOVING, GrantStatus.DEPROVISIONING], then=0), default=1
)


@dataclass(frozen=True, slots=True)
class Owed:
    """What a pass found, oldest first; grants that take access away before all others."""

    decisions: tuple[UUID, ...]
    grants: tuple[UUID, ...]
    waivers: tuple[UUID, ...] = ()


def sweep() -> Owed:
    """Do what is due for rows that nobody works on, and list decisions and grants that owe work."""
    carry_freezes()
    lapse_unanswered()
    chase_unanswered()
    escalate_overdue()
    close_requests_of_leavers()
    suspect_leavers()
    tell_overdue()
    drop_expired_attempts()
    drop_old_uses()
    call_up()
    now = real_now()
    decisions, grants, waivers = _DECISIONS.rows(now), _GRANTS.rows(now, business_now()), _WAIVERS.rows(now)
    return Owed(decisions=tuple(decisions), grants=tuple(grants), waivers=tuple(waivers))


def _rests_and_is_free(now: datetime) -> Q:
    return (Q(lease_until=None) | Q(lease_until__lt=now)) & (Q(retry_at=None) | Q(retry_at__lte=now))


def _decisions(now: datetime) -> QuerySet[Decision, UUID]:
    rows = Decision.objects.filter(_rests_and_is_free(now), status=DecisionStatus.SUBMITTED)
    return rows.order_by("submitted_at").values_list("pk", flat=True)[:MOST_OWED]


def _waivers(now: datetime) -> QuerySet[Waiver, UUID]:
    rows = Waiver.objects.filter(_rests_and_is_free(now), status=WaiverStatus.SUBMITTED)
    return rows.order_by("submitted_at").values_list("pk", flat=True)[:MOST_OWED]


def _grants(now: datetime, business: datetime) -> QuerySet[Grant, UUID]:
    grants = Grant.objects.filter(_rests_and_is_free(now), next_action_at__lte=business)
    grants = grants.order_by(TAKING_AWAY_FIRST, "next_action_at")
    return grants.values_list("pk", flat=True)[:MOST_OWED]


_DECISIONS, _WAIVERS = Readymade(_decisions, datetime), Readymade(_waivers, datetime)
_GRANTS = Readymade(_grants, datetime, datetime)
_OVERDUE = Readymade(
    lambda now: (
        RequestItem.objects.filter(status=ItemStatus.PENDING, lapses_at__lte=now)
        .order_by("lapses_at")
        .values_list("pk", flat=True)[:MOST_OWED]
    ),
    datetime,
)
_EXPIRED = Readymade(
    lambda now, most=MOST_EXPIRED: Attempt.objects.filter(expires_at__lt=now).values_list("pk", flat=True)[
        :most
    ],
    datetime,
)


def lapse_unanswered() -> int:
    """Lapse pending items whose time is over; gives how many. One transaction each."""
    now = business_now()
    lapsed = 0
    for item_id in _OVERDUE.rows(now):
        try:
            lapsed += _lapse(item_id)
        except (DomainError, IntegrityError) as error:
            # Grants that owe work wait behind this: one row keeps nothing else from being done.
            log.exception("lapse_failed", item=str(item_id), error=type(error).__name__)
    return lapsed


def _lapse(item_id: UUID) -> int:
    try:
        with transaction():
            item = lock_item(item_id)
            # A decision that was made in time and is still being checked settles the item.
            if item.decisions.filter(
                status=DecisionStatus.SUBMITTED, submitted_at__lt=item.lapses_at
            ).exists():
                return 0
            move(
                item,
                ItemStatus.LAPSED,
                actor=Actor.system(),
                fields={"item_id": item.pk, "group_name": item.group.display_name},
                decided_at=business_now(),
            )
    except Conflict:
        return 0  # decided or withdrawn meanwhile
    return 1


def drop_expired_attempts() -> int:
    """Delete attempt rows past their keeping time, a bounded number at a time."""
    if not (expired := _EXPIRED.rows(real_now())[:MOST_EXPIRED]):
        return 0
    deleted, _ = Attempt.objects.filter(pk__in=expired).delete()
    return deleted
