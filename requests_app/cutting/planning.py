"""Which sessions are to be denied: rows of `Severance`, made, limited and lifted from what grants say. No cloud call.

A denial begins with the end of a grant and has no limit in time, because AWS may still open sessions: until the
membership was read back as gone and an hour has passed, or until newer access to the same is in force. From then on it
cuts what was issued before. It goes when the longest session that it cuts is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import batched
from uuid import UUID

import structlog
from django.conf import settings
from django_subatomic.db import transaction, transaction_required

from audit.ledger.recorder import Actor, record
from base.clock import business_now
from requests_app.cutting.models import Severance, SeveringPlace
from requests_app.cutting.places import place_for
from requests_app.cutting.scopes import Opened, Scope, Scopes, in_force, scopes_of, since
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant

log = structlog.get_logger(__name__)

ENDING = frozenset({GrantStatus.REMOVING, GrantStatus.DEPROVISIONING, GrantStatus.DRAINING})
# How many are looked at together; none is left out.
GRANTS_AT_ONCE = 500
ROWS_AT_ONCE = 2000


def is_on() -> bool:
    """Whether this installation cuts sessions at all."""
    return bool(settings.SESSION_SEVERING == "on")


def plan() -> int:
    """Bring the rows up to what grants say now; gives how many changed.

    With the setting off nothing is denied anew. What was denied stays until it is over: pages may have called its
    access ended because of it.
    """
    changed = _begin() if is_on() else 0
    return changed + _adjust()


# ------------------------------------------------------------ beginning


def _begin() -> int:
    now = business_now()
    rows = Grant.objects.filter(status__in=ENDING).exclude(person__store_user_id="")
    ids = list(rows.order_by("removal_started_at", "pk").values_list("pk", flat=True))
    return sum(_begin_for(some, now) for some in batched(ids, GRANTS_AT_ONCE))


def _begin_for(ids: Sequence[UUID], now: datetime) -> int:
    rows = Grant.objects.filter(pk__in=ids, status__in=ENDING).select_related("person", "group")
    ending = list(rows.order_by("removal_started_at", "pk"))
    scopes = scopes_of(ending)
    current = in_force({grant.person_id for grant in ending}, now)
    known = {
        (row.grant_id, Scope(row.account_id, row.permission_set_arn)): row
        for row in Severance.objects.filter(grant__in=ending)
    }
    changed = 0
    for grant in ending:
        allowed = [each for _, each in current.get(grant.person_id, ())]
        for scope, opened in scopes.get(grant.pk, {}).items():
            row = known.get((grant.pk, scope))
            # Lifted with the end of its sessions, and the membership was seen again since.
            again = row is not None and row.lifted_at is not None and grant.status != GrantStatus.DRAINING
            if (row is None or again) and not any(scope in each for each in allowed):
                changed += _deny(grant, scope, opened, row, now)
    return changed


def _deny(grant: Grant, scope: Scope, opened: Opened, row: Severance | None, now: datetime) -> int:
    key = place_for(opened.name, scope.permission_set_arn)
    if not key:
        return 0
    with transaction():
        place, _ = SeveringPlace.objects.get_or_create(key=key)
        _work_on(place, now)
        if not _as_read(grant, scope, row):
            return 0
        if row is None:
            row = Severance.objects.create(
                grant=grant,
                person=grant.person,
                account_id=scope.account_id,
                permission_set_arn=scope.permission_set_arn,
                permission_set_name=opened.name,
                store_user_id=grant.person.store_user_id,
                place=place,
                longest_session=max(opened.session, grant.longest_session),
                created_at=now,
            )
        else:
            _change(
                row,
                place=place,
                created_at=now,
                lifted_at=None,
                cut_before=None,
                confirmed_at=None,
                refused_at=None,
            )
        tell("severance.wanted", row, place=key)
    return 1


def _as_read(grant: Grant, scope: Scope, row: Severance | None) -> bool:
    """Whether no other severer has denied this meanwhile."""
    there = Severance.objects.filter(
        grant=grant, account_id=scope.account_id, permission_set_arn=scope.permission_set_arn
    )
    return not there.filter(lifted_at=None).exists() if row is not None else not there.exists()


# ------------------------------------------------------------ limiting and lifting


def _adjust() -> int:
    now = business_now()
    ids = list(
        Severance.objects.filter(lifted_at=None).order_by("created_at", "pk").values_list("pk", flat=True)
    )
    return sum(_adjust_some(some, now) for some in batched(ids, ROWS_AT_ONCE))


def _adjust_some(ids: Sequence[UUID], now: datetime) -> int:
    live = list(
        Severance.objects.filter(pk__in=ids, lifted_at=None)
        .select_related("grant__group", "person", "place")
        .order_by("created_at", "pk")
    )
    current = in_force({row.person_id for row in live}, now)
    changed = 0
    for row in live:
        limit = _limit(row, current.get(row.person_id, ()), now)
        if limit is not None and now >= limit + row.longest_session:
            changed += _lift(row, now)
        elif limit != row.cut_before:
            changed += _set_limit(row, limit, now)
    return changed


def _limit(row: Severance, current: Sequence[tuple[Grant, Scopes]], now: datetime) -> datetime | None:
    """What was issued before this is cut; None: everything is."""
    scope = Scope(row.account_id, row.permission_set_arn)
    newer = [since(grant) for grant, scopes in current if scope in scopes and grant.pk != row.grant_id]
    if newer:
        return min(newer)
    # Proven never to have arrived, it is out since then.
    gone = row.grant.out_of_aws_at or row.grant.ended_at
    if gone is None:
        return None
    limit: datetime = gone + settings.AWS_SESSION_CACHE
    return limit if now >= limit else None


def _set_limit(row: Severance, limit: datetime | None, now: datetime) -> int:
    with transaction():
        _work_on(row.place, now)
        if limit is None:
            # It widens, so the read-back of the narrower one proves nothing any more.
            if not _change_as_read(row, cut_before=None, confirmed_at=None):
                return 0
            tell("severance.unlimited", row)
        else:
            if not _change_as_read(row, cut_before=limit):
                return 0
            tell("severance.limited", row, cut_before=limit)
    return 1


def _lift(row: Severance, now: datetime) -> int:
    with transaction():
        _work_on(row.place, now)
        if not _change_as_read(row, lifted_at=now):
            return 0
        tell("severance.lifted", row)
    return 1


def _change_as_read(row: Severance, **values: object) -> bool:
    """False when another severer has changed it meanwhile, which then told it too."""
    same = Severance.objects.filter(pk=row.pk, lifted_at=None, cut_before=row.cut_before)
    return bool(same.update(**values))


def _change(row: Severance, **values: object) -> None:
    Severance.objects.filter(pk=row.pk).update(**values)
    for name, value in values.items():
        setattr(row, name, value)


def _work_on(place: SeveringPlace, now: datetime) -> None:
    """Have the document brought up. First in each transaction: its lock comes before those of its rows, as in
    `severing`, so that two severers wait for each other and never in a circle.
    """
    SeveringPlace.objects.filter(pk=place.pk).update(next_action_at=now, retry_at=None)


@transaction_required
def tell(event: str, row: Severance, **fields: str | datetime) -> None:
    """Record what happened to a severance."""
    record(
        event,
        actor=Actor.worker(),
        fields={
            "group_name": row.grant.group.display_name,
            "account_id": row.account_id,
            "permission_set_name": row.permission_set_name,
            **fields,
        },
        about_oid=row.person.object_id,
        about_name=row.person.display_name,
        group_oid=row.grant.group.object_id,
        request_id=row.grant.first_request_id,
        grant_id=row.grant_id,
    )
