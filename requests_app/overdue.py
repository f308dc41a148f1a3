"""Removals past their target. One judgement for every page, alert and event: late is never called ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Q

from base.clock import business_now
from requests_app.lifecycle import EndReason, GrantStatus
from requests_app.models import Grant

ENTRA, AWS = "Entra", "AWS"
MOST = 200

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


def overdue_grants(now: datetime | None = None, *, untold: bool = False) -> Sequence[Overdue]:
    """Overdue removals, the longest first; one bounded query. `untold`: only those that the trail hasn't been told of."""
    now = now or business_now()
    entra, aws = now - settings.OVERDUE_ENTRA, now - settings.OVERDUE_AWS
    candidates = Grant.objects.filter(
        Q(status__in=_STILL_IN_ENTRA, ends_at__lt=entra)
        | Q(status__in=_STILL_IN_ENTRA, fell_back_to__lt=entra)
        | Q(status=GrantStatus.REMOVING, ends_at__lt=entra)
        | Q(status=GrantStatus.REMOVING, fell_back_to__lt=entra)
        | Q(status=GrantStatus.REMOVING, removal_started_at__lt=entra)
        | Q(status=GrantStatus.DEPROVISIONING, out_of_entra_at__lt=aws),
        next_action_at__isnull=False,  # as of all that isn't over: few rows, and they have an index
    ).select_related("person", "group", "first_request")
    if untold:
        in_aws = Q(status=GrantStatus.DEPROVISIONING)
        candidates = candidates.filter(in_aws & Q(overdue_aws_at=None) | ~in_aws & Q(overdue_entra_at=None))
    found = [late for grant in candidates.order_by("ends_at", "pk")[:MOST] if (late := overdue(grant, now))]
    return sorted(found, key=lambda late: late.since)
