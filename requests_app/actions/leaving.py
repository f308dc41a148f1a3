"""Leavers: a person who is disabled, gone, or not eligible any more loses what is open, and what they wait for.

Only a positive, fresh reading counts: what can't be read makes nobody a leaver. A disabled account counts at once;
somebody who is missing, or an eligibility that is, only when a second look agrees (ADR 0017), for a lost permission
and a half-read page look the same. What catalogue sync saw only makes the look come sooner.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import IntegrityError
from django.db.models import Exists, OuterRef, Q, QuerySet
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.crash import crash_point, register
from base.errors import Conflict, DomainError
from base.readymade import Readymade
from catalog.models import Eligibility
from clients import errors
from requests_app.actions.checking import fresh_eligibility, fresh_person
from requests_app.actions.claiming import Claim, note, rest, settle
from requests_app.actions.ending import begin_end, record_revocation
from requests_app.actions.fetching import lock_item
from requests_app.actions.moving import move
from requests_app.lifecycle import EndReason, GrantStatus, ItemStatus
from requests_app.models import Grant, RequestItem

log = structlog.get_logger(__name__)

register("leaving.before_settle")

# How often (business time) a holder is looked at, and how soon a first finding is looked at again.
CHECK_EVERY = timedelta(minutes=10)
CONFIRM_AFTER = timedelta(minutes=1)
MOST = 200

_WATCHED = (GrantStatus.PROVISIONING, GrantStatus.ACTIVE)
_SENTENCES = {
    "disabled": "The account of its holder is disabled in Entra.",
    "gone": "The account of its holder is gone from Entra.",
    "ineligible": "Its holder is no longer eligible for this PIM group.",
}


def end_for_a_leaver(claim: Claim) -> bool:
    """Look at the holder when that is due; True when the access was put on its way out and the lease given back."""
    grant = claim.grant
    if not look_is_due(grant):
        return False
    try:
        finding = _look(grant)
    except errors.ClientError as error:
        log.warning("holder_not_read", grant=str(grant.pk), code=error.code)
        return False
    crash_point("leaving.before_settle")
    with settle(claim) as grant:
        if grant.status not in _WATCHED:
            return False
        certain = finding == "disabled" or (finding != "" and grant.holder_doubt == finding)
        note(grant, holder_checked_at=business_now(), holder_doubt=finding)
        if not certain:
            return False
        record_revocation(
            grant,
            EndReason.LEAVER,
            by=None,
            reason=_SENTENCES[finding],
            acting_as="worker",
            actor=Actor.worker(),
        )
        begin_end(grant, EndReason.LEAVER, actor=Actor.worker())
        rest(grant)
    return True


def look_is_due(grant: Grant) -> bool:
    """Whether its holder was looked at long enough ago: one look in ten minutes, and soon after a first finding."""
    every = CONFIRM_AFTER if grant.holder_doubt else CHECK_EVERY
    return grant.holder_checked_at is None or business_now() - grant.holder_checked_at >= every


def _look(grant: Grant) -> str:
    """What stands against the holder's having it: "" when nothing does."""
    person = fresh_person(grant.person.object_id)
    if person is None:
        return "gone"
    if not person.enabled:
        return "disabled"
    return "" if fresh_eligibility(grant.person.object_id, grant.group.object_id).held else "ineligible"


def _without_right(person: str, group: str) -> Q:
    held = Eligibility.objects.filter(person=OuterRef(person), group=OuterRef(group))
    return Q(**{f"{person}__enabled": False}) | Q(~Exists(held))


def suspect_leavers() -> int:
    """Have the holders looked at soon whom the catalogue's last reading calls leavers; gives how many grants."""
    now = business_now()
    if not (keys := _SUSPECTS.rows(now, now - 2 * CONFIRM_AFTER)):
        return 0
    return Grant.objects.filter(pk__in=keys, status__in=_WATCHED).update(
        next_action_at=now, holder_checked_at=None
    )


def _suspects(now: datetime, checked_before: datetime) -> QuerySet[Grant, UUID]:
    unchecked = Q(holder_checked_at=None) | Q(holder_checked_at__lt=checked_before)
    rows = Grant.objects.filter(
        _without_right("person", "group"), unchecked, status__in=_WATCHED, next_action_at__gt=now
    )
    return rows.values_list("pk", flat=True)[:MOST]


_SUSPECTS = Readymade(_suspects, datetime, datetime)
_OF_LEAVERS = Readymade(
    lambda: RequestItem.objects.filter(
        _without_right("requester", "group"), status=ItemStatus.PENDING
    ).select_related("requester")[:MOST]
)


def close_requests_of_leavers() -> int:
    """Close what nobody has to decide any more, for the catalogue's reading says that its requester left."""
    return sum(
        close_item(
            item,
            "The requester is no longer eligible for this PIM group."
            if item.requester.enabled
            else "The account of the requester is disabled or gone in Entra.",
        )
        for item in _OF_LEAVERS.rows()
    )


def close_item(item: RequestItem, reason: str, *, alongside: Callable[[], None] | None = None) -> int:
    """Close a pending item with a sentence; 0 when somebody was faster. One transaction, with `alongside` in it."""
    try:
        with transaction():
            locked = lock_item(item.pk)
            move(
                locked,
                ItemStatus.CLOSED,
                actor=Actor.worker(),
                fields={"item_id": item.pk, "group_name": locked.group.display_name, "reason": reason},
                close_reason=reason,
                decided_at=business_now(),
            )
            if alongside is not None:
                alongside()
    except Conflict:
        return 0  # decided, withdrawn or lapsed meanwhile
    except (DomainError, IntegrityError) as error:
        log.exception("close_failed", item=str(item.pk), error=type(error).__name__)
        return 0
    return 1
