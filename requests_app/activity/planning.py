"""Which readings are owed: a row for each grant whose access was held, and when it is read next."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F

from base.clock import business_now
from requests_app.activity.models import ActivityLook, ActivityView
from requests_app.estimates import last_possible_use
from requests_app.lifecycle import MAY_HOLD_ACCESS
from requests_app.models import Grant

ON = "on"
# CloudTrail's event history reaches back so far; what is older can't be read any more.
KEPT_BY_AWS = timedelta(days=90)
# While access lasts it is read after this, and again whenever it has lasted twice as long (business time), so that an
# auditor sees more than nothing, and a long access is no burden.
EVERY = timedelta(hours=1)
# A reading with gaps is repeated so often, once a day: an operator may have deployed the role meanwhile.
REPEAT_AFTER, MOST_REPEATS = timedelta(days=1), 7
MOST_PLANNED = 500  # in one pass
# Accounts of one reading, those first that were opened; of the others pages say that they weren't asked.
MOST_ACCOUNTS = 30


def is_on() -> bool:
    """Whether activity is read in this installation."""
    return bool(settings.ACTIVITY == ON)


def plan() -> int:
    """Make the missing rows, open again what goes on, drop what is too old; gives how many rows were made."""
    if not is_on():
        return 0
    now = business_now()
    drop_old(now)
    # A look that was complete, of access that came back.
    ActivityLook.objects.filter(
        complete=True,
        grant__status__in=sorted(MAY_HOLD_ACCESS),
        grant__last_possible_use_at__gt=F("read_until"),
    ).update(complete=False, repeats=0, next_action_at=now)
    held = Grant.objects.filter(seen_in_entra_at__gt=now - KEPT_BY_AWS, activity__isnull=True)
    grants = list(held.order_by("-seen_in_entra_at")[:MOST_PLANNED])
    made = ActivityLook.objects.bulk_create(
        [
            ActivityLook(
                grant=grant, next_action_at=max(now, grant.starts_at + settings.ACTIVITY_DELIVERY_LAG)
            )
            for grant in grants
        ],
        ignore_conflicts=True,
    )
    return len(made)


def drop_old(now: datetime) -> None:
    """Forget summaries past their keeping time, a bounded number at a time; the grants and the trail stay."""
    old = ActivityLook.objects.filter(read_until__lt=now - settings.ACTIVITY_KEEP, next_action_at=None)
    ActivityLook.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:MOST_PLANNED])).delete()
    # Hours are real time; a day is long enough for what is told once an hour.
    views = ActivityView.objects.filter(hour__lt=now - settings.ACTIVITY_KEEP)
    ActivityView.objects.filter(pk__in=list(views.values_list("pk", flat=True)[:MOST_PLANNED])).delete()


def last_use_of(grant: Grant) -> datetime:
    """The last possible use: as fixed, or by the one formula while it isn't."""
    return grant.last_possible_use_at or last_possible_use(
        window_ends_at=grant.ends_at, longest_session=grant.longest_session
    )


def next_reading(look: ActivityLook, grant: Grant, *, read_until: datetime, gaps: bool) -> datetime | None:
    """When the next reading is owed (business time) after one that reached `read_until`; None: nothing more."""
    now, last = business_now(), last_use_of(grant)
    lag: timedelta = settings.ACTIVITY_DELIVERY_LAG
    fixed = grant.last_possible_use_at is not None or grant.status not in MAY_HOLD_ACCESS
    if read_until < last or not fixed:
        return max(now + lag, min(now + max(EVERY, now - grant.starts_at), last + lag))
    if gaps and look.repeats < MOST_REPEATS and now < last + KEPT_BY_AWS:
        return now + REPEAT_AFTER
    return None
