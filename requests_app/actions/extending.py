"""Lengthening access that a person has, when a further request of theirs for it was approved.

Access is the union of the approved intervals per person and group. The new interval begins where the earlier window
ends, so there is no gap, and no earlier end cuts it short. Postgres lets an end move in this way only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django_subatomic.db import transaction_required

from audit.ledger.recorder import Subject
from base.clock import business_now
from base.readymade import Readymade
from requests_app.actions.claiming import note
from requests_app.actions.recording import record_of
from requests_app.lifecycle import ENDABLE, OPEN, GrantStatus
from requests_app.models import SAME_END, Grant, GrantInterval, RequestItem


@transaction_required
def lock_open_windows(
    item: RequestItem, starts_at: datetime, now: datetime
) -> tuple[Grant | None, Sequence[Grant]]:
    """The grant that an approval of this item lengthens, and the pair's other ones that may still begin; all locked.

    That is the one in whose window `starts_at` lies, its end included. Of what has begun to end, none is: the item
    then gets a grant of its own. The item must have been locked before.
    """
    rows = _OF_THE_PAIR.rows(item.requester_id, item.group_id)
    alive = [grant for grant in rows if grant.status in ENDABLE]
    earlier = next((grant for grant in reversed(alive) if _goes_on_from(grant, starts_at, now)), None)
    return earlier, [grant for grant in alive if grant is not earlier]


_OF_THE_PAIR = Readymade(
    lambda person_id, group_id: (
        Grant.objects.filter(person_id=person_id, group_id=group_id, status__in=OPEN)
        .select_for_update(of=("self",), no_key=True)
        .select_related("person", "group")
        .order_by("starts_at", "pk")
    ),
    int,
    int,
)


def _goes_on_from(grant: Grant, starts_at: datetime, now: datetime) -> bool:
    # Its end may just have passed, with nobody having acted on it yet.
    begun_and_now = grant.status != GrantStatus.SCHEDULED and starts_at <= now
    return grant.starts_at <= starts_at and (starts_at <= grant.ends_at or begun_and_now)


@transaction_required
def extend(grant: Grant, item: RequestItem, *, ends_at: datetime) -> None:
    """Give a locked grant the interval of a locked, approved item: once per item, by constraint; a worker tells PIM."""
    now = business_now()
    before, starts_at = grant.ends_at, max(grant.ends_at, now)
    GrantInterval.objects.create(grant=grant, item=item, starts_at=starts_at, ends_at=ends_at)
    due = {} if grant.assigned_at is None else {"next_action_at": now, "retry_at": None}
    note(
        grant,
        ends_at=ends_at,
        revision=grant.revision + 1,
        longest_session=max(grant.longest_session, item.longest_session),
        extension_problem="",
        fell_back_to=None,
        overdue_entra_at=None,  # late by the new end, it is told anew
        **due,
    )
    record_of(
        grant,
        "grant.extended",
        {
            "item_id": item.pk,
            "before": before,
            "starts_at": starts_at,
            "ends_at": ends_at,
            "revision": grant.revision,
        },
        subject=Subject("extension", grant.pk, grant.revision),
        request_id=item.request_id,
    )


def items_beyond(grant: Grant, instant: datetime) -> list[RequestItem]:
    """The items whose approved time ends later than that: what the grant gives from then on stands on them."""
    return _BEYOND.rows(grant.pk, instant)


_BEYOND = Readymade(
    lambda grant_id, instant: (
        RequestItem.objects.filter(interval__grant=grant_id, interval__ends_at__gt=instant)
        .select_related("requester", "terms")
        .order_by("interval__starts_at")
    ),
    UUID,
    datetime,
)


def items_owed(grant: Grant) -> list[RequestItem]:
    """The items of an extension that PIM was not yet read to hold."""
    return items_beyond(grant, grant.sure_until + SAME_END) if grant.extension_owed else []
