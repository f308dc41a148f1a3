"""Leases on rows of work beside grants (removals, denials, readings): claim, call, settle, as in `actions.claiming`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django_subatomic.db import transaction

from base.clock import business_now, real_now
from requests_app.activity.models import ActivityLook
from requests_app.cutting.models import FastRemoval, SeveringPlace

# A call has one attempt and ends within its time-outs (5 s to connect, 15 s to read): this much of a lease must be
# left when it begins.
LONGEST_CALL = timedelta(seconds=25)
LONGEST_BACK_OFF = timedelta(minutes=1)

type Row = FastRemoval | SeveringPlace | ActivityLook


class Lost(Exception):
    """The lease ran out, or the row was taken away meanwhile; what was learnt is dropped, the row goes on."""


@dataclass(frozen=True, slots=True)
class Claim[T: (FastRemoval, SeveringPlace, ActivityLook)]:
    """Proof that this process holds a row's lease, and the row as it was when claimed."""

    row: T
    token: UUID
    until: datetime

    def may_call(self) -> bool:
        """Whether enough of the lease is left for a call that changes something."""
        return real_now() + LONGEST_CALL < self.until


def owed[T: (FastRemoval, SeveringPlace, ActivityLook)](model: type[T], *, most: int = 200) -> list[UUID]:
    """Ids of the rows that are due and free, the longest due first."""
    now = real_now()
    rows = model.objects.filter(
        Q(retry_at=None) | Q(retry_at__lte=now),
        Q(lease_until=None) | Q(lease_until__lt=now),
        next_action_at__lte=business_now(),
    )
    return list(rows.order_by("next_action_at").values_list("pk", flat=True)[:most])


def claim[T: (FastRemoval, SeveringPlace, ActivityLook)](model: type[T], row_id: UUID) -> Claim[T] | None:
    """Take the lease of a row that is due, or None when it isn't, or somebody is at it."""
    token, now = uuid.uuid4(), real_now()
    until = now + settings.LEASE
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    due = model.objects.filter(free, Q(retry_at=None) | Q(retry_at__lte=now), pk=row_id)
    if not due.filter(next_action_at__lte=business_now()).update(lease_until=until, lease_token=token):
        return None
    return Claim(row=model.objects.get(pk=row_id), token=token, until=until)


@contextmanager
def settle[T: (FastRemoval, SeveringPlace, ActivityLook)](claim: Claim[T]) -> Iterator[T]:
    """One transaction in which the locked, current row is ours to change. Raises Lost."""
    with transaction():
        row = type(claim.row).objects.select_for_update().get(pk=claim.row.pk)
        if row.lease_token != claim.token:
            raise Lost(str(row.pk))
        yield row


def note(row: Row, **values: Any) -> None:
    """Set columns of a locked row."""
    type(row).objects.filter(pk=row.pk).update(**values)
    for name, value in values.items():
        setattr(row, name, value)


def rest(
    row: Row,
    *,
    until: datetime | None,
    retry_in: timedelta | None = None,
    failed: bool = False,
    **values: Any,
) -> None:
    """Give the lease back on a locked row: due again at a business instant (None: nothing is owed)."""
    note(
        row,
        lease_until=None,
        lease_token=None,
        next_action_at=until,
        retry_at=real_now() + retry_in if retry_in else None,
        failures=row.failures + 1 if failed else 0,
        **values,
    )


def back_off(failures: int) -> timedelta:
    """2, 4, 8 ... 60 seconds of real time."""
    return min(timedelta(seconds=2.0 ** min(failures + 1, 10)), LONGEST_BACK_OFF)
