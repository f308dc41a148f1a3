"""What a person is told before and while: when access is usable, and until when it could be used at the latest.

The last possible use has one formula, used everywhere: end of the window + removal from IAM
Identity Center (its read-back once known; until then one provisioning cycle) + the hour in which
AWS may still open sessions + the longest permission-set session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median, quantiles

from django.conf import settings

from base.words import duration_words
from requests_app.models import Grant

# On-demand provisioning is documented to take less than 30 s typically; PIM itself seconds. The
# documented bound when it does not help is one provisioning cycle.
DOCUMENTED_TYPICAL = timedelta(minutes=2)
DOCUMENTED_SLOW = timedelta(minutes=10)
# Own history counts from this many grants on; the newest ones only.
ENOUGH_HISTORY = 10
MOST_HISTORY = 100
# Less than this left of the window, or less than half of it, is worth a warning.
LITTLE_LEFT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Arrival:
    """How long activation takes from approval to usable: usually, and when slow."""

    typical: timedelta
    slow: timedelta
    measured_on: int  # grants of this installation; 0: the vendors' documented figures

    @property
    def words(self) -> str:
        """Where the figures come from."""
        if self.measured_on:
            return f"measured on the last {self.measured_on} grants here"
        return "from the vendors' documentation; there is no history here yet"


@dataclass(frozen=True, slots=True)
class Hop:
    """How long one part of the way took here lately (business time); None while nothing has been measured."""

    key: str
    name: str
    typical: timedelta | None  # p50
    slow: timedelta | None  # p95
    measured_on: int

    @property
    def words(self) -> str:
        """For the page, with the number that it rests on."""
        if self.typical is None or self.slow is None:
            return "How long this takes has not been measured here yet."
        times = "once" if self.measured_on == 1 else f"{self.measured_on} times"
        return f"Usually {short_words(self.typical)}, {short_words(self.slow)} when slow (measured {times} here)."


# From which column to which: key, name, begin, end. An index orders each by its end.
_HOPS = (
    (
        "into_entra",
        "From the approval (or a later start) to assigned in Entra",
        "starts_at",
        "seen_in_entra_at",
    ),
    ("into_aws", "From Entra to read back in AWS", "seen_in_entra_at", "arrived_at"),
    ("out_of_entra", "From the end to out of Entra", "removal_started_at", "out_of_entra_at"),
    ("out_of_aws", "From Entra to out of AWS", "out_of_entra_at", "out_of_aws_at"),
)


def hops() -> tuple[Hop, ...]:
    """Every hop of the way with this installation's own times. One bounded query each."""
    return tuple(_measure(*each) for each in _HOPS)


def hop(key: str) -> Hop:
    """One of them: into_entra, into_aws, out_of_entra, out_of_aws. One bounded query."""
    return next(_measure(*each) for each in _HOPS if each[0] == key)


def _measure(key: str, name: str, begin: str, end: str) -> Hop:
    newest = Grant.objects.filter(**{f"{end}__isnull": False}).order_by(f"-{end}")[:MOST_HISTORY]
    spans = sorted(
        (ended - began).total_seconds()
        for began, ended in newest.values_list(begin, end)
        if began is not None and ended is not None and ended >= began
    )
    if not spans:
        return Hop(key, name, None, None, 0)
    return Hop(key, name, timedelta(seconds=median(spans)), timedelta(seconds=_slow(spans)), len(spans))


def _slow(spans: Sequence[float]) -> float:
    """The 95th percentile; of a single measurement, itself."""
    return quantiles(spans, n=20, method="inclusive")[-1] if len(spans) > 1 else spans[0]


def short_words(span: timedelta) -> str:
    """A span in words; below two minutes in seconds."""
    seconds = round(span.total_seconds())
    return f"{seconds} s" if seconds < 120 else duration_words(span)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a request would mean if it were approved at `approved_at`."""

    approved_at: datetime
    usable_from: datetime
    usable_from_slow: datetime
    window_ends_at: datetime
    last_possible_use_at: datetime
    arrival: Arrival
    longest_session: timedelta
    way_in: Sequence[Hop]  # each part of the way, as measured here

    @property
    def usable_for(self) -> timedelta:
        """What is left of the window when access arrives slowly; may be zero, never negative."""
        return max(self.window_ends_at - self.usable_from_slow, timedelta(0))

    @property
    def little_left(self) -> bool:
        """Whether so little of the window would be left that the person should know before asking."""
        window = self.window_ends_at - self.approved_at
        return self.usable_for < LITTLE_LEFT or self.usable_for * 2 < window


def last_possible_use(
    *, window_ends_at: datetime, longest_session: timedelta, read_back_at: datetime | None = None
) -> datetime:
    """The one formula. `read_back_at` is when the membership was read as gone from IAM Identity Center."""
    gone = read_back_at or window_ends_at + settings.PROVISIONING_CYCLE
    session_cache: timedelta = settings.AWS_SESSION_CACHE
    return gone + session_cache + longest_session


def arrival() -> Arrival:
    """The newest grants' own time from start to read-back in AWS, or the documented figures. One bounded query."""
    rows = (
        Grant.objects.filter(arrived_at__isnull=False)
        .order_by("-arrived_at")
        .values_list("starts_at", "arrived_at")[:MOST_HISTORY]
    )
    spans = sorted((arrived - started).total_seconds() for started, arrived in rows if arrived is not None)
    if len(spans) < ENOUGH_HISTORY:
        return Arrival(DOCUMENTED_TYPICAL, DOCUMENTED_SLOW, 0)
    return Arrival(timedelta(seconds=median(spans)), timedelta(seconds=_slow(spans)), len(spans))


def preview(
    *,
    duration: timedelta,
    longest_session: timedelta,
    now: datetime,
    ends_by: datetime | None = None,
    wanted_start: datetime | None = None,
    extends_from: datetime | None = None,
) -> Preview:
    """What asking for `duration` would mean if it were approved now; `ends_by` is the eligibility's own end.

    A later `wanted_start` moves all of it. `extends_from` is the end of access that it would lengthen.
    """
    expected = arrival()
    now = max(now, wanted_start) if wanted_start else now
    asked_until = (now if wanted_start else extends_from or now) + duration
    window_ends_at = min(asked_until, ends_by) if ends_by else asked_until
    return Preview(
        approved_at=now,
        usable_from=now + expected.typical,
        usable_from_slow=now + expected.slow,
        window_ends_at=window_ends_at,
        last_possible_use_at=last_possible_use(
            window_ends_at=window_ends_at, longest_session=longest_session
        ),
        arrival=expected,
        longest_session=longest_session,
        way_in=(hop("into_entra"), hop("into_aws")),
    )
