"""One rate limit for all worker processes, because the vendors count per tenant and per account.

IAM Identity Center throttles all sso-admin calls together at 20 per second and each identity store
operation at 20 per second (IAM Identity Center user guide, "Limits"); Organizations is far slower, and CloudTrail
takes two look-ups per second in each account and Region (its API reference, LookupEvents). Other
tools of the same account share these buckets, so the portal takes at most about 60 % of each. The five calls
in ten seconds of provisionOnDemand are kept in PostgreSQL, strictly (`requests_app.narrow_path`); its bucket
here carries the vendor's 429 alone. Entra's token endpoint is another service than Graph and says 429 for itself: its
buckets are taken by requests for a token only, so that whoever has one goes on. It counts by application: people's
tokens, which belong to the sign-in application, have a bucket beside the worker's.

The bucket lives in Redis as one number per name, the theoretical arrival time of the next call
(the generic cell rate algorithm), moved by one script and on Redis's own clock. When Redis is away, each
process goes on alone at a quarter of the rate: slower, never faster.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import redis
import structlog

from clients.environment import setting
from clients.errors import NotPermitted, Throttled

_log = structlog.get_logger("clients.limits")

LONGEST_WAIT = timedelta(seconds=5)
_LOCAL_SHARE = 0.25
_REDIS_TIMEOUT_SECONDS = 1.0
_REDIS_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls per second of real time, and how many may come at once."""

    per_second: float
    burst: int = 1

    @property
    def interval(self) -> float:
        """Seconds between two calls."""
        return 1 / self.per_second

    def shared_out(self, share: float) -> Rate:
        """The same limit for one of several processes that can't see each other."""
        return Rate(self.per_second * share, max(1, int(self.burst * share)))


# By family: the part of a bucket's name before the first colon.
RATES: Mapping[str, Rate] = {
    "sso-admin": Rate(12, burst=6),
    "identitystore": Rate(12, burst=6),
    "organizations": Rate(1, burst=2),
    "iam": Rate(4, burst=4),
    "sts": Rate(5, burst=5),
    "cloudtrail": Rate(1, burst=2),  # a bucket for each account and Region, of which AWS takes two a second
    "athena": Rate(1, burst=2),  # AWS takes twenty a second and more; this paces looks at queries under way
    "object-store": Rate(
        20, burst=20
    ),  # AWS takes 3,500 writes a second of a prefix; this only bounds ourselves
    "graph": Rate(50, burst=50),
    "graph-on-demand": Rate(10, burst=10),
    "entra-token": Rate(10, burst=10),  # Entra's own limit isn't published
}
SIGN_IN = "entra-token"
PEOPLES_SIGN_IN = "entra-token:people"


class Limiter(Protocol):
    """Paces calls. A bucket is `family` or `family:operation`; the family decides the rate."""

    def acquire(self, bucket: str, cost: int = 1) -> None:
        """Return when the call may be made, after waiting at most five seconds.

        Raises:
            Throttled: when the bucket's turn comes later than that; `retry_after` says when.
        """
        ...

    def hold(self, bucket: str, span: timedelta) -> None:
        """Let nobody through for this long: the vendor said 429."""
        ...


# KEYS[1] bucket; ARGV: interval, burst, cost, longest wait. Times are microseconds of Redis's clock.
# Gives the wait in microseconds; a negative number refuses, and says how long it would have been.
_ACQUIRE = """
local now = redis.call('TIME')
now = tonumber(now[1]) * 1000000 + tonumber(now[2])
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local cost, longest = tonumber(ARGV[3]), tonumber(ARGV[4])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = math.max(0, due - interval * (burst - 1) - now)
if wait > longest then return -math.ceil(wait) end
due = due + interval * cost
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1000)
return math.ceil(wait)
"""

# KEYS[1] bucket; ARGV: interval, burst, span. Never shortens what is already due.
_HOLD = """
local now = redis.call('TIME')
now = tonumber(now[1]) * 1000000 + tonumber(now[2])
local due = now + tonumber(ARGV[3]) + tonumber(ARGV[1]) * (tonumber(ARGV[2]) - 1)
due = math.max(due, tonumber(redis.call('GET', KEYS[1]) or '0'))
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1000)
return 1
"""


def _refusal(bucket: str, wait: timedelta) -> Throttled:
    return Throttled(
        f"Too many calls are waiting for {bucket}; the next one is due in {wait.total_seconds():.0f} s.",
        retry_after=wait,
        code="LocalRateLimit",
    )


def _rate_of(rates: Mapping[str, Rate], bucket: str) -> Rate:
    return rates[bucket.partition(":")[0]]


class LocalLimiter:
    """The same algorithm inside one process; safe between threads."""

    def __init__(
        self,
        rates: Mapping[str, Rate],
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rates = rates
        self._due: dict[str, float] = {}
        self._lock = threading.Lock()
        self._now = now
        self._sleep = sleep

    def acquire(self, bucket: str, cost: int = 1) -> None:
        """See Limiter."""
        rate = _rate_of(self._rates, bucket)
        with self._lock:
            now = self._now()
            due = max(self._due.get(bucket, 0.0), now)
            wait = max(0.0, due - rate.interval * (rate.burst - 1) - now)
            if wait > LONGEST_WAIT.total_seconds():
                raise _refusal(bucket, timedelta(seconds=wait))
            self._due[bucket] = due + rate.interval * cost
        if wait:
            self._sleep(wait)

    def hold(self, bucket: str, span: timedelta) -> None:
        """See Limiter."""
        rate = _rate_of(self._rates, bucket)
        with self._lock:
            until = self._now() + span.total_seconds() + rate.interval * (rate.burst - 1)
            self._due[bucket] = max(until, self._due.get(bucket, 0.0))


class SharedLimiter:
    """Buckets in Redis, and a careful local one while Redis is away."""

    def __init__(
        self,
        rates: Mapping[str, Rate],
        connection: redis.Redis,
        *,
        prefix: str = "clients:rate:",
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rates = rates
        self._prefix = prefix
        self._acquire = connection.register_script(_ACQUIRE)
        self._hold = connection.register_script(_HOLD)
        self._alone = LocalLimiter(
            {family: rate.shared_out(_LOCAL_SHARE) for family, rate in rates.items()}, now=now, sleep=sleep
        )
        self._now = now
        self._sleep = sleep
        self._away_until = 0.0

    def acquire(self, bucket: str, cost: int = 1) -> None:
        """See Limiter."""
        rate = _rate_of(self._rates, bucket)
        longest = round(LONGEST_WAIT.total_seconds() * 1_000_000)
        answer = self._run(
            self._acquire, bucket, [round(rate.interval * 1_000_000), rate.burst, cost, longest]
        )
        if answer is None:
            self._alone.acquire(bucket, cost)
        elif answer < 0:
            raise _refusal(bucket, timedelta(microseconds=-answer))
        elif answer:
            self._sleep(answer / 1_000_000)

    def hold(self, bucket: str, span: timedelta) -> None:
        """See Limiter."""
        rate = _rate_of(self._rates, bucket)
        self._alone.hold(bucket, span)
        self._run(
            self._hold,
            bucket,
            [round(rate.interval * 1_000_000), rate.burst, round(span.total_seconds() * 1_000_000)],
        )

    def _run(self, script: Callable[..., Any], bucket: str, arguments: list[int]) -> int | None:
        """The script's answer, or None while Redis is away; asked again after a pause, not at every call."""
        if self._now() < self._away_until:
            return None
        try:
            return int(script(keys=[self._prefix + bucket], args=arguments))
        except redis.RedisError as error:
            self._away_until = self._now() + _REDIS_PAUSE_SECONDS
            _log.warning("rate_limit_without_redis", reason=type(error).__name__, share=_LOCAL_SHARE)
            return None


def rates_from(environ: Mapping[str, str]) -> dict[str, Rate]:
    """The rates; a variable may replace each: CLIENT_RATE_<FAMILY>=calls per second[/burst].

    For example CLIENT_RATE_ORGANIZATIONS=5/10 for a simulated cloud.

    Raises:
        NotPermitted: when such a variable isn't a positive number.
    """
    rates = dict(RATES)
    for family in RATES:
        name = f"CLIENT_RATE_{family.replace('-', '_').upper()}"
        text = setting(environ, name)
        if not text:
            continue
        per_second, _, burst = text.partition("/")
        try:
            rate = Rate(float(per_second), int(burst or max(1, int(float(per_second) / 2))))
        except (ValueError, OverflowError):
            rate = Rate(0)
        if not (0 < rate.per_second < 1_000_000 and rate.burst >= 1):
            raise NotPermitted(
                f"{name} is {text!r}, which is no rate. Write calls per second, e.g. 12 or 12/6.", code=name
            )
        rates[family] = rate
    return rates


def build_limiter(environ: Mapping[str, str]) -> Limiter:
    """The limiter of this process: shared through REDIS_URL, or local where none is configured."""
    rates = rates_from(environ)
    url = setting(environ, "REDIS_URL")
    if not url:
        return LocalLimiter({family: rate.shared_out(_LOCAL_SHARE) for family, rate in rates.items()})
    connection = redis.Redis.from_url(
        url, socket_timeout=_REDIS_TIMEOUT_SECONDS, socket_connect_timeout=_REDIS_TIMEOUT_SECONDS
    )
    return SharedLimiter(rates, connection)


__all__ = [
    "PEOPLES_SIGN_IN",
    "RATES",
    "SIGN_IN",
    "Limiter",
    "LocalLimiter",
    "Rate",
    "SharedLimiter",
    "build_limiter",
    "rates_from",
]
