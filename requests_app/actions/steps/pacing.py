"""How long to wait between two looks, and after a failure. Real time: it is about machines, not about access."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from base.clock import business_clock, business_now

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
