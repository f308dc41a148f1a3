"""A circuit breaker for each cloud, shared by all workers, so that an outage costs a few calls and not thousands.

After some failures in a row (unreachable, 5xx, no answer) calls of that cloud are skipped for a pause that grows with
each probe that fails. When the pause is over, one call at a time may probe; for the first moments only a removal may.
Any answer closes it again, a refusal, too: then the cloud is there.

Its state is one Redis hash for each cloud, moved by two scripts on Redis's own clock: it is as short-lived as an
outage, and a row in PostgreSQL would add a write to every call. While Redis is away, each process counts alone. No
library fits: those that share their state let every process probe at once, and none knows what should probe first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

import redis
import structlog

from clients.environment import setting
from clients.errors import ClientError, OutcomeUnknown, Throttled, TokenThrottled, Unreachable

_log = structlog.get_logger("clients.breaker")

# What can be away on its own, with the name that pages say.
CLOUDS: Mapping[str, str] = {
    "graph": "Microsoft Graph",
    "provisioning": "Entra's provisioning service",
    "sign-in": "Entra's sign-in service",
    "sso-admin": "IAM Identity Center",
    "identitystore": "AWS's identity store",
    "organizations": "AWS Organizations",
    "iam": "AWS IAM",
}
FAILURES = 5  # in a row
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=1)
REMOVALS_FIRST = timedelta(seconds=2)  # after a pause, for so long only removals probe
PROBE = timedelta(seconds=45)  # a probe whose worker died is forgotten after this
_KEEP = timedelta(days=7)
_REDIS_TIMEOUT_SECONDS = 1.0
_REDIS_PAUSE_SECONDS = 5.0

_urgent: ContextVar[bool] = ContextVar("removal", default=False)


@contextmanager
def removals_first() -> Iterator[None]:
    """What is called within takes access away, and probes before everything else."""
    token = _urgent.set(True)
    try:
        yield
    finally:
        _urgent.reset(token)


class CircuitOpen(Throttled):
    """The cloud has not answered several times in a row; the call was not made. `retry_after` is real time."""


class Verdict(StrEnum):
    """What a call says about its cloud."""

    ANSWERED = "answered"
    FAILED = "failed"
    NOTHING = "nothing"  # it never came to be asked


def verdict(error: ClientError | None) -> Verdict:
    """What the outcome of a call says about the cloud."""
    match error:
        case None:
            return Verdict.ANSWERED
        case TokenThrottled():
            return Verdict.NOTHING
        case Throttled():
            return Verdict.NOTHING if error.code == "LocalRateLimit" else Verdict.ANSWERED
        case Unreachable() | OutcomeUnknown():
            return Verdict.FAILED
        case _:
            told = error.receipt is not None and error.receipt.vendor_request_id
            return Verdict.ANSWERED if told else Verdict.NOTHING


class Breaker(Protocol):
    """Stands before every call."""

    def enter(self, cloud: str) -> None:
        """Return when the call may be made now. Raises CircuitOpen, which costs nothing."""
        ...

    def leave(self, cloud: str, said: Verdict, code: str = "") -> None:
        """Say how it went."""
        ...

    def ask(self, cloud: str) -> None:
        """Like `enter`, but for whoever doesn't call yet: it takes no probe. Raises CircuitOpen."""
        ...


@contextmanager
def guarded(breaker: Breaker, cloud: str) -> Iterator[None]:
    """One call. Raises CircuitOpen instead of making it, or whatever the call raises."""
    breaker.enter(cloud)
    try:
        yield
    except ClientError as error:
        breaker.leave(cloud, verdict(error), error.code)
        raise
    except BaseException:
        breaker.leave(cloud, Verdict.NOTHING)
        raise
    breaker.leave(cloud, Verdict.ANSWERED)


def _refusal(cloud: str, wait: timedelta) -> CircuitOpen:
    return CircuitOpen(
        f"{CLOUDS.get(cloud, cloud)} has not answered several times in a row, so this is postponed. It is tried again "
        "by itself, removals first.",
        retry_after=max(wait, timedelta(seconds=1)),
        code="CircuitOpen",
    )


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    pauses: int = 0
    open_until: float = 0.0
    probe_until: float = 0.0
    code: str = ""  # of the last failure, for whoever debugs a process


@dataclass(slots=True)
class LocalBreaker:
    """The breaker of one process; safe between threads."""

    now: Callable[[], float] = time.monotonic
    _circuits: dict[str, _Circuit] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, cloud: str) -> None:
        """See Breaker."""
        self._pass(cloud, probe=True)

    def ask(self, cloud: str) -> None:
        """See Breaker."""
        self._pass(cloud, probe=False)

    def _pass(self, cloud: str, *, probe: bool) -> None:
        with self._lock:
            circuit, now = self._circuits.setdefault(cloud, _Circuit()), self.now()
            if not circuit.open_until:
                return
            due = circuit.open_until + (0 if _urgent.get() else REMOVALS_FIRST.total_seconds())
            due = max(due, circuit.probe_until)
            if now < due:
                raise _refusal(cloud, timedelta(seconds=due - now))
            if probe:
                circuit.probe_until = now + PROBE.total_seconds()

    def leave(self, cloud: str, said: Verdict, code: str = "") -> None:
        """See Breaker."""
        with self._lock:
            circuit, now = self._circuits.setdefault(cloud, _Circuit()), self.now()
            if said is Verdict.ANSWERED:
                self._circuits[cloud] = _Circuit()
            elif said is Verdict.NOTHING:
                circuit.probe_until = 0.0
            else:
                circuit.failures, circuit.code = circuit.failures + 1, code
                half_open = 0 < circuit.open_until <= now
                if half_open or (not circuit.open_until and circuit.failures >= FAILURES):
                    pause = min(FIRST_PAUSE * 2 ** min(circuit.pauses, 16), LONGEST_PAUSE)
                    circuit.pauses += 1
                    circuit.open_until, circuit.probe_until = now + pause.total_seconds(), 0.0


# KEYS[1] circuit; ARGV: moments for removals (0 for a removal), length of a probe (0: it is only asked).
# Times are microseconds of Redis's clock. Gives 0, or how long to wait.
_ENTER = """
local now = redis.call('TIME')
now = tonumber(now[1]) * 1000000 + tonumber(now[2])
local open_until = tonumber(redis.call('HGET', KEYS[1], 'open_until') or '0')
if open_until == 0 then return 0 end
local due = math.max(open_until + tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'probe_until') or '0'))
if now < due then return math.ceil(due - now) end
if tonumber(ARGV[2]) > 0 then
  redis.call('HSET', KEYS[1], 'probe_until', string.format('%.0f', now + tonumber(ARGV[2])))
end
return 0
"""

# KEYS[1] circuit; ARGV: verdict, code, failures that open it, first pause, longest pause, seconds to keep. Gives 1
# when it opened.
_LEAVE = """
local now = redis.call('TIME')
now = tonumber(now[1]) * 1000000 + tonumber(now[2])
local stamp = string.format('%.0f', now)
local opened = 0
if ARGV[1] == 'answered' then
  redis.call('HSET', KEYS[1], 'failures', 0, 'pauses', 0, 'open_until', 0, 'probe_until', 0, 'answered_at', stamp)
elseif ARGV[1] == 'nothing' then
  redis.call('HSET', KEYS[1], 'probe_until', 0)
else
  local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
  redis.call('HSET', KEYS[1], 'failed_at', stamp, 'code', ARGV[2])
  local open_until = tonumber(redis.call('HGET', KEYS[1], 'open_until') or '0')
  if (open_until > 0 and open_until <= now) or (open_until == 0 and failures >= tonumber(ARGV[3])) then
    local pauses = redis.call('HINCRBY', KEYS[1], 'pauses', 1)
    local pause = math.min(tonumber(ARGV[4]) * 2 ^ math.min(pauses - 1, 16), tonumber(ARGV[5]))
    redis.call('HSET', KEYS[1], 'open_until', string.format('%.0f', now + pause), 'probe_until', 0)
    opened = 1
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[6])
return opened
"""


def _microseconds(span: timedelta) -> int:
    return round(span.total_seconds() * 1_000_000)


class SharedBreaker:
    """Circuits in Redis, and a process's own while Redis is away."""

    def __init__(self, connection: redis.Redis, *, prefix: str = "clients:breaker:") -> None:
        self._prefix = prefix
        self._enter = connection.register_script(_ENTER)
        self._leave = connection.register_script(_LEAVE)
        self._alone = LocalBreaker()
        self._away_until = 0.0

    def enter(self, cloud: str) -> None:
        """See Breaker."""
        self._pass(cloud, _microseconds(PROBE), self._alone.enter)

    def ask(self, cloud: str) -> None:
        """See Breaker."""
        self._pass(cloud, 0, self._alone.ask)

    def _pass(self, cloud: str, probe: int, alone: Callable[[str], None]) -> None:
        first = 0 if _urgent.get() else _microseconds(REMOVALS_FIRST)
        wait = self._run(self._enter, cloud, [first, probe])
        if wait is None:
            alone(cloud)
        elif wait:
            raise _refusal(cloud, timedelta(microseconds=wait))

    def leave(self, cloud: str, said: Verdict, code: str = "") -> None:
        """See Breaker."""
        self._alone.leave(cloud, said)
        pauses = [_microseconds(FIRST_PAUSE), _microseconds(LONGEST_PAUSE)]
        arguments = [said.value, code[:64], FAILURES, *pauses, round(_KEEP.total_seconds())]
        if self._run(self._leave, cloud, arguments):
            _log.warning("circuit_opened", cloud=cloud, code=code)

    def _run(self, script: Callable[..., Any], cloud: str, arguments: Sequence[int | str]) -> int | None:
        if time.monotonic() < self._away_until:
            return None
        try:
            return int(script(keys=[self._prefix + cloud], args=arguments))
        except redis.RedisError as error:
            self._away_until = time.monotonic() + _REDIS_PAUSE_SECONDS
            _log.warning("breaker_without_redis", reason=type(error).__name__)
            return None


@dataclass(frozen=True, slots=True)
class CircuitState:
    """What is known about one cloud; instants are real time, None where nothing was seen since Redis began."""

    cloud: str
    name: str
    open: bool
    failures: int
    answered_at: datetime | None
    failed_at: datetime | None
    code: str


def circuit_states(connection: redis.Redis, *, prefix: str = "clients:breaker:") -> Sequence[CircuitState]:
    """Every cloud's circuit, for pages. Raises redis.RedisError."""
    pipe = connection.pipeline(transaction=False)
    for cloud in CLOUDS:
        pipe.hgetall(prefix + cloud)
    found = []
    for (cloud, name), kept in zip(CLOUDS.items(), pipe.execute(), strict=True):
        facts = {_text(key): _text(value) for key, value in kept.items()}
        found.append(
            CircuitState(
                cloud=cloud,
                name=name,
                open=float(facts.get("open_until", "0")) > 0,
                failures=int(facts.get("failures", "0")),
                answered_at=_instant(facts.get("answered_at", "")),
                failed_at=_instant(facts.get("failed_at", "")),
                code=facts.get("code", ""),
            )
        )
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _instant(microseconds: str) -> datetime | None:
    return datetime.fromtimestamp(float(microseconds) / 1_000_000, UTC) if microseconds else None


def build_breaker(environ: Mapping[str, str]) -> Breaker:
    """The breaker of this process: shared through REDIS_URL, or its own where none is configured."""
    url = setting(environ, "REDIS_URL")
    if not url:
        return LocalBreaker()
    return SharedBreaker(
        redis.Redis.from_url(
            url, socket_timeout=_REDIS_TIMEOUT_SECONDS, socket_connect_timeout=_REDIS_TIMEOUT_SECONDS
        )
    )


__all__ = [
    "CLOUDS",
    "Breaker",
    "CircuitOpen",
    "CircuitState",
    "LocalBreaker",
    "SharedBreaker",
    "Verdict",
    "build_breaker",
    "circuit_states",
    "guarded",
    "removals_first",
    "verdict",
]
