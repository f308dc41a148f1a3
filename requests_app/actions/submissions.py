"""What the web process submitted and a worker settles: claimed by one worker at a time, and tried again until it is settled.

Decisions and waivers. Both are rows with a lease, a time of the next try and a count of failures (real time), and neither
is settled by what couldn't be read: unknown is never a yes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError
from django.db.models import Q, QuerySet

from base.clock import real_now
from base.crash import crash_point
from base.errors import DomainError
from base.readymade import Readymade, ReadymadeUpdate
from clients import errors
from requests_app.actions.steps.pacing import back_off
from requests_app.lifecycle import DecisionStatus
from requests_app.models import Decision
from requests_app.waivers.models import Waiver

log = structlog.get_logger(__name__)

SUBMITTED = DecisionStatus.SUBMITTED.value  # and WaiverStatus.SUBMITTED's


@dataclass(frozen=True, slots=True)
class Names:
    """What one kind of row, its log events and its crash points are called."""

    row: str
    postponed: str
    failed: str
    claimed: str
    settled: str


class Submitted[Row: (Decision, Waiver)]:
    """Rows of one kind, `read` with what their checks need."""

    def __init__(self, read: Callable[[], QuerySet[Row]]) -> None:
        self._one: Readymade[Row] = Readymade(lambda key: read().filter(pk=key), UUID)
        self._taking = ReadymadeUpdate(
            lambda key, now, until: (
                _open(read(), key).filter(
                    Q(retry_at=None) | Q(retry_at__lte=now), Q(lease_until=None) | Q(lease_until__lt=now)
                ),
                {"lease_until": until},
            ),
            UUID,
            datetime,
            datetime,
        )
        self._read: Callable[[], QuerySet[Row]] = read

    def claim(self, key: UUID) -> Row | None:
        """Take the lease of a row that waits for its check; None when somebody else is at it, or it rests."""
        now = real_now()
        return self._one.first(key) if self._taking.run(key, now, now + settings.LEASE) else None

    def postpone(self, row: Row, sentence: str, wait: timedelta | None = None) -> None:
        """Give the lease back and try again later, after `wait` (real time) or a growing pause."""
        _open(self._read(), row.pk).update(
            lease_until=None,
            retry_at=real_now() + (wait or back_off(row.failures)),
            failures=row.failures + 1,
            reason=f"Waiting for the check: {sentence}",
        )


def _open[Row: (Decision, Waiver)](rows: QuerySet[Row], key: UUID) -> QuerySet[Row]:
    return rows.select_related(None).filter(pk=key, status=SUBMITTED)


def settle_submitted[Row: (Decision, Waiver)](
    rows: Submitted[Row],
    key: UUID,
    settle: Callable[[Row], tuple[UUID, ...]],
    names: Names,
) -> tuple[UUID, ...]:
    """Claim one of these rows and let `settle` check and settle it; gives the grants that are now due.

    Harmless when it is settled already, or when another worker is at it. When a cloud can't be read it stays submitted,
    and is checked again after what the cloud asks for or a growing pause. An error that nobody expected is logged,
    postpones it too, and is raised.
    """
    row, logged = rows.claim(key), {names.row: str(key)}
    if row is None:
        return ()
    crash_point(names.claimed)
    try:
        due = settle(row)
    except errors.ClientError as error:
        log.warning(names.postponed, **logged, code=error.code)
        wait = error.retry_after if isinstance(error, errors.Throttled) else None
        rows.postpone(row, error.sentence, wait)
        return ()
    except Exception as error:
        log.exception(names.failed, **logged, error=type(error).__name__)
        rows.postpone(row, "it failed inside the portal and is tried again.")
        if isinstance(error, (DomainError, IntegrityError)):
            return ()  # the row moved meanwhile, or a constraint holds: the next check sees why
        raise
    crash_point(names.settled)
    return due
