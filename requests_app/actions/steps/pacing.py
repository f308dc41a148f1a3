"""How long to wait between two looks, and after a failure. Real time: it is about machines, not about access."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import structlog

from base.clock import business_clock, business_now
from clients import errors
from requests_app.actions.claiming import Claim, LeaseLost, rest, settle

log = structlog.get_logger(__name__)

LONGEST_BACK_OFF = timedelta(seconds=60)
# (younger than, wait): often while young, seldom when old.
POLLS = (
    (timedelta(seconds=30), timedelta(seconds=2)),
    (timedelta(minutes=5), timedelta(seconds=5)),
    (timedelta(minutes=30), timedelta(seconds=15)),
)
SLOWEST_POLL = timedelta(seconds=60)


def poll_delay(since: datetime) -> timedelta:
    """The wait before the next look; the age is that of the phase, as it passes for people."""
    age = business_clock().real_duration(business_now() - since)
    return next((wait for younger_than, wait in POLLS if age < younger_than), SLOWEST_POLL)


def back_off(failures: int) -> timedelta:
    """Exponential with jitter, capped: 1, 2, 4 ... 60 seconds, each plus or minus a quarter."""
    seconds = min(2.0 ** min(failures, 10), LONGEST_BACK_OFF.total_seconds())
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret


def postpone(claim: Claim, error: errors.ClientError) -> None:
    """A look failed: nothing was learnt and nothing changes, but the page says what it waits for."""
    wait = error.retry_after if isinstance(error, errors.Throttled) else back_off(claim.grant.failures)
    log.warning("grant_postponed", grant=str(claim.grant.pk), code=error.code, seconds=wait.total_seconds())
    try:
        with settle(claim) as grant:
            rest(grant, retry_in=wait, failed=True, problem=error.sentence, problem_code="waiting")
    except LeaseLost:
        log.warning("lease_lost", grant=str(claim.grant.pk))
