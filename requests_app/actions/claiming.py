"""Leases on grants: one worker at a time goes out to the clouds for a row, and none holds a lock meanwhile.

Claim (a short transaction), call (no transaction), settle (a short transaction that checks that
the lease is still ours). A worker that dies in between leaves a lease that runs out.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, Q, QuerySet
from django_subatomic.db import transaction

from base.clock import business_now, real_now
from base.readymade import Readymade, ReadymadeUpdate, set_columns
from requests_app.actions.fetching import lock_grant
from requests_app.freezes.holding import standing
from requests_app.models import Grant


@dataclass(slots=True)
class Claim:
    """Proof that this worker holds the lease of one grant, and the row as it was when claimed.

    After `until` (real time) it proves nothing any more: somebody else may have taken over. `left` is the row as this
    worker has left it the last time; None while it has changed nothing.
    """

    grant: Grant
    token: UUID
    until: datetime
    anything_frozen: bool = True  # whether any freeze held when it was claimed
    left: Grant | None = None

    def rests(self) -> bool:
        """Whether this worker has left it with nothing due now. Whoever makes it due after that rings by themselves."""
        left = self.left
        if left is None:
            return False
        resting = left.retry_at is not None and left.retry_at > real_now()
        return resting or left.next_action_at is None or left.next_action_at > business_now()


class LeaseLost(Exception):
    """The lease ran out and somebody else took over; what we learnt is dropped, the row goes on."""


class Superseded(Exception):
    """The row was moved on (its holder is done with it) while we were out: what we were about to send is not wanted."""


def claim_grant(grant_id: UUID, *, early: bool = False) -> Claim | None:
    """Take the lease of a grant whose action is due, or None when it isn't, or somebody is at it.

    `early` takes it although it rests until its next try: somebody else's call can carry it along.
    """
    token = uuid.uuid4()
    now = real_now()
    until = now + settings.LEASE
    take = _TAKE_EARLY if early else _TAKE_RESTED
    if not take.run(grant_id, business_now(), now, until, token):
        return None
    (grant,) = _CLAIMED.rows(grant_id)
    return Claim(grant=grant, token=token, until=until, anything_frozen=grant.anything_frozen)


def _taking(
    rested: Callable[[datetime], Q],
) -> Callable[..., tuple[QuerySet[Grant], dict[str, Any]]]:
    def build(
        grant_id: UUID, business: datetime, now: datetime, until: datetime, token: UUID
    ) -> tuple[QuerySet[Grant], dict[str, Any]]:
        free = Q(lease_until=None) | Q(lease_until__lt=now)
        due = Grant.objects.filter(rested(now), free, pk=grant_id, next_action_at__lte=business)
        return due, {"lease_until": until, "lease_token": token}

    return build


_OF_TAKING = (UUID, datetime, datetime, datetime, UUID)
_TAKE_EARLY = ReadymadeUpdate(_taking(lambda _now: Q()), *_OF_TAKING)
_TAKE_RESTED = ReadymadeUpdate(_taking(lambda now: Q(retry_at=None) | Q(retry_at__lte=now)), *_OF_TAKING)
_CLAIMED = Readymade(
    lambda grant_id: (
        Grant.objects.select_related("person", "group")
        .annotate(anything_frozen=Exists(standing()))
        .filter(pk=grant_id)
    ),
    UUID,
)


@contextmanager
def settle(claim: Claim) -> Iterator[Grant]:
    """One transaction in which the locked, current row is ours to change.

    Raises:
        LeaseLost: the lease was taken over while we were out.
    """
    with transaction():
        grant = lock_grant(claim.grant.pk)
        if grant.lease_token != claim.token:
            raise LeaseLost(str(grant.pk))
        yield grant
    claim.left = grant


def note(grant: Grant, **values: Any) -> None:
    """Set columns other than the status on a locked row."""
    set_columns(Grant, {"pk": grant.pk}, values)
    for name, value in values.items():
        setattr(grant, name, value)


# What a grant that was worked on without a failure has in these columns: who moves it sets them with the status.
RESTED: Mapping[str, Any] = MappingProxyType(
    {"lease_until": None, "lease_token": None, "retry_at": None, "failures": 0}
)


def rest(
    grant: Grant,
    *,
    until: datetime | None = None,
    retry_in: timedelta | None = None,
    failed: bool = False,
    **also: Any,
) -> None:
    """Give the lease back on a locked row: due again at a business instant, not before a real delay.

    `until` None keeps the instant that is set. `failed` counts towards the back-off. `also` are other columns to set.
    """
    values: dict[str, Any] = {**also, **RESTED}
    if retry_in:
        values["retry_at"] = real_now() + retry_in
    if failed:
        values["failures"] = grant.failures + 1
    if until is not None:
        values["next_action_at"] = until
    note(grant, **values)
