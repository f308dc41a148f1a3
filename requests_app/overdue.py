"""Removals past their target. One judgement for every page, alert and event: late is never called ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Case, DateTimeField, ExpressionWrapper, F, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Greatest

from base.clock import business_now
from requests_app.lifecycle import EndReason, GrantStatus
from requests_app.models import Grant

ENTRA, AWS = "Entra", "AWS"
MOST = 200
MOST_COUNTED = 10_000

_STILL_IN_ENTRA = (GrantStatus.ACTIVATING, GrantStatus.PROVISIONING, GrantStatus.ACTIVE)


@dataclass(frozen=True, slots=True)
class Overdue:
    """One grant that should have been out of a hop by `since` (business time)."""

    grant: Grant
    hop: str
    since: datetime

    @property
    def words(self) -> str:
        """What is late, as the beginning of a sentence that an instant completes."""
        return f"Overdue: still in {self.hop}, and should have been out by"


def overdue(grant: Grant, now: datetime | None = None) -> Overdue | None:
    """What of this grant's removal is past its target, or None."""
    target = _target(grant)
    if target is None or (now or business_now()) <= target[1]:
        return None
    return Overdue(grant, *target)


def _target(grant: Grant) -> tuple[str, datetime] | None:
    """By when it has to be out of which hop, as far as that can be said."""
    match grant.status:
        case GrantStatus.ACTIVATING | GrantStatus.PROVISIONING | GrantStatus.ACTIVE:
            return ENTRA, grant.stands_until + settings.OVERDUE_ENTRA
        case GrantStatus.REMOVING:
            begun = grant.removal_started_at or grant.stands_until
            if grant.end_reason == EndReason.WINDOW_OVER:
                begun = grant.stands_until
            if grant.assigned_at is not None:  # PIM lets nothing go sooner
                begun = max(begun, grant.assigned_at + settings.PIM_MINIMUM)
            return ENTRA, begun + settings.OVERDUE_ENTRA
        case GrantStatus.DEPROVISIONING if grant.out_of_entra_at is not None:
            return AWS, grant.out_of_entra_at + settings.OVERDUE_AWS
        case _:
            return None


def _due() -> Case:
    """`_target` for a statement: by when each grant has to be out of the hop that it is in."""
    stands_until = Case(
        When(status=GrantStatus.ACTIVATING, then=F("ends_at")),
        default=Coalesce("fell_back_to", "ends_at"),
        output_field=DateTimeField(),
    )
    begun = Case(
        When(end_reason=EndReason.WINDOW_OVER, then=stands_until),
        default=Coalesce("removal_started_at", stands_until),
        output_field=DateTimeField(),
    )
    at_soonest = _after(F("assigned_at"), settings.PIM_MINIMUM)
    return Case(
        When(status__in=_STILL_IN_ENTRA, then=_after(stands_until, settings.OVERDUE_ENTRA)),
        When(  # where it was never assigned, the greatest is the other of the two
            status=GrantStatus.REMOVING, then=_after(Greatest(begun, at_soonest), settings.OVERDUE_ENTRA)
        ),
        When(status=GrantStatus.DEPROVISIONING, then=_after(F("out_of_entra_at"), settings.OVERDUE_AWS)),
        output_field=DateTimeField(),
    )


def _after(moment: Combinable, span: timedelta) -> Combinable:
    return ExpressionWrapper(moment + Value(span), output_field=DateTimeField())


def _late(now: datetime) -> QuerySet[Grant]:
    # All that isn't over owes a next action: few rows, and they have an index.
    return Grant.objects.filter(next_action_at__isnull=False).annotate(due=_due()).filter(due__lt=now)


def overdue_grants(now: datetime | None = None, *, untold: bool = False) -> Sequence[Overdue]:
    """Overdue removals, the longest first, at most MOST; one query. `untold`: only what the trail hasn't been told of."""
    now = now or business_now()
    found = _late(now).select_related("person", "group", "first_request")
    if untold:
        in_aws = Q(status=GrantStatus.DEPROVISIONING)
        found = found.filter(in_aws & Q(overdue_aws_at=None) | ~in_aws & Q(overdue_entra_at=None))
    return [late for grant in found.order_by(F("due"), "pk")[:MOST] if (late := overdue(grant, now))]


def number_overdue(listed: Sequence[Overdue], now: datetime | None = None) -> int:
    """How many are overdue, where `overdue_grants` gave these; MOST_COUNTED + 1 means more than MOST_COUNTED."""
    if len(listed) < MOST:
        return len(listed)
    return _late(now or business_now())[: MOST_COUNTED + 1].count()
