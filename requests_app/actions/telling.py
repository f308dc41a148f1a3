"""Telling the trail, once for each hop, that a removal is past its target. The removal itself is tried on for ever."""

from __future__ import annotations

from django_subatomic.db import transaction

from base.clock import business_now
from requests_app.actions.claiming import note
from requests_app.actions.fetching import lock_grant
from requests_app.actions.recording import record_of
from requests_app.overdue import ENTRA, Overdue, overdue, overdue_grants


def tell_overdue() -> int:
    """Record what has become overdue since the last pass; gives how many. One transaction each."""
    return sum(_tell(late) for late in overdue_grants(untold=True))


def _column(late: Overdue) -> str:
    return "overdue_entra_at" if late.hop == ENTRA else "overdue_aws_at"


def _tell(late: Overdue) -> int:
    with transaction():
        grant = lock_grant(late.grant.pk)
        again = overdue(grant)
        if again is None or again.hop != late.hop or getattr(grant, _column(again)) is not None:
            return 0
        note(grant, **{_column(again): business_now()})
        record_of(grant, "grant.overdue", {"hop": again.hop, "since": again.since})
    return 1
