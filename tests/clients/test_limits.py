"""The rate limit that all workers share, and what holds while Redis is away."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import timedelta

import pytest
import redis

from clients.errors import NotPermitted, Throttled
from clients.limits import RATES, Limiter, LocalLimiter, Rate, SharedLimiter, build_limiter, rates_from

RATE = {"test": Rate(10, burst=2)}


class Time:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.at += seconds


def local(rates: dict[str, Rate] | None = None) -> tuple[LocalLimiter, Time]:
    clock = Time()
    return LocalLimiter(rates or RATE, now=clock.now, sleep=clock.sleep), clock


def test_a_burst_passes_and_then_the_pace_holds() -> None:
    limiter, clock = local()

    for _ in range(5):
        limiter.acquire("test")

    assert clock.slept == [0.1, 0.1, 0.1]


def test_cost_counts() -> None:
    limiter, clock = local()

    limiter.acquire("test", cost=5)
    limiter.acquire("test")

    assert clock.slept == [0.4]


def test_operations_of_a_family_have_buckets_of_their_own() -> None:
    limiter, clock = local()

    for operation in ("a", "b", "c"):
        limiter.acquire(f"test:{operation}", cost=2)

    assert clock.slept == []


def test_a_wait_beyond_five_seconds_is_refused_and_costs_nothing() -> None:
    limiter, clock = local({"test": Rate(0.1)})
    limiter.acquire("test")

    for _ in range(2):
        with pytest.raises(Throttled) as caught:
            limiter.acquire("test")
        assert caught.value.retry_after == timedelta(seconds=10)

    clock.at += 10
    limiter.acquire("test")
    assert clock.slept == []


def test_hold_stops_the_whole_bucket() -> None:
    limiter, clock = local()
    limiter.hold("test", timedelta(seconds=3))

    limiter.acquire("test")

    assert clock.slept == [3.0]


def shared(url: str, rates: dict[str, Rate], prefix: str, clock: Time) -> SharedLimiter:
    connection = redis.Redis.from_url(url, socket_timeout=30)
    return SharedLimiter(rates, connection, prefix=prefix, now=clock.now, sleep=clock.sleep)


def test_limiters_of_several_processes_share_one_bucket(redis_url: str) -> None:
    prefix, slow = f"test:{uuid.uuid4()}:", {"test": Rate(1, burst=2)}
    first, second = Time(), Time()
    one, other = shared(redis_url, slow, prefix, first), shared(redis_url, slow, prefix, second)

    one.acquire("test")
    one.acquire("test")
    other.acquire("test")
    one.acquire("test")

    assert first.slept == [pytest.approx(2, abs=0.5)]
    assert second.slept == [pytest.approx(1, abs=0.5)]


def test_a_hold_reaches_the_other_processes(redis_url: str) -> None:
    prefix = f"test:{uuid.uuid4()}:"
    one, other = (shared(redis_url, RATE, prefix, Time()) for _ in range(2))

    one.hold("test", timedelta(seconds=60))
    with pytest.raises(Throttled) as caught:
        other.acquire("test")

    assert caught.value.retry_after.total_seconds() == pytest.approx(60, abs=2)


def test_many_threads_get_what_the_rate_allows_and_no_more(redis_url: str) -> None:
    connection = redis.Redis.from_url(redis_url, socket_timeout=30)
    limiter = SharedLimiter({"test": Rate(50, burst=1)}, connection, prefix=f"test:{uuid.uuid4()}:")
    passed: list[float] = []

    def work() -> None:
        for _ in range(5):
            limiter.acquire("test")
            passed.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    connection.close()

    assert len(passed) == 30
    assert max(passed) - min(passed) >= 29 / 50 - 0.05


def test_without_redis_each_process_goes_on_slower() -> None:
    clock = Time()
    limiter = shared("redis://127.0.0.1:1/0", {"test": Rate(4, burst=1)}, "test:", clock)

    for _ in range(3):
        limiter.acquire("test")

    assert clock.slept == [1.0, 1.0]  # a quarter of four per second


def test_redis_is_asked_again_after_a_pause(redis_url: str) -> None:
    clock = Time()
    limiter = shared("redis://127.0.0.1:1/0", RATE, f"test:{uuid.uuid4()}:", clock)
    limiter.acquire("test")
    healthy = redis.Redis.from_url(redis_url)
    asked: list[int] = []

    def script(keys: list[str], args: list[int]) -> int:
        asked.append(1)
        return 0

    limiter._acquire = script  # type: ignore[assignment]  # the script of a server that came back
    limiter.acquire("test")
    assert asked == []
    clock.at += 6
    limiter.acquire("test")
    assert asked == [1]
    healthy.close()


def test_rates_come_from_the_environment() -> None:
    rates = rates_from({"CLIENT_RATE_ORGANIZATIONS": "20/40", "CLIENT_RATE_SSO_ADMIN": "200"})

    assert rates["organizations"] == Rate(20, burst=40)
    assert rates["sso-admin"] == Rate(200, burst=100)
    assert rates["identitystore"] == RATES["identitystore"]


@pytest.mark.parametrize("text", ["0", "-1", "fast", "5/0", "nan", "inf"])
def test_a_rate_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(NotPermitted, match="CLIENT_RATE_GRAPH is"):
        rates_from({"CLIENT_RATE_GRAPH": text})


def test_the_kind_of_limiter_follows_redis_url() -> None:
    kinds: list[Limiter] = [build_limiter({}), build_limiter({"REDIS_URL": "redis://127.0.0.1:1/0"})]

    assert [type(each) for each in kinds] == [LocalLimiter, SharedLimiter]
