"""A circuit for each cloud: an outage costs a few calls, one probes at a time, and removals go first."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
import redis

from clients import breaker as module
from clients.breaker import (
    FAILURES,
    Breaker,
    CircuitOpen,
    LocalBreaker,
    SharedBreaker,
    Verdict,
    build_breaker,
    circuit_states,
    guarded,
    removals_first,
    verdict,
)
from clients.errors import (
    ClientError,
    NotFound,
    NotPermitted,
    OutcomeUnknown,
    PolicyRefused,
    Throttled,
    TokenThrottled,
    Unreachable,
)
from clients.types import Receipt

SHORT = timedelta(milliseconds=150)


class Time:
    at = 100.0

    def now(self) -> float:
        return self.at


def fail(breaker: Breaker, times: int = FAILURES, cloud: str = "graph") -> None:
    for _ in range(times):
        with pytest.raises(Unreachable, match="away"), guarded(breaker, cloud):
            raise Unreachable("away", code="503")


def passes(breaker: Breaker, cloud: str = "graph") -> bool:
    try:
        breaker.enter(cloud)
    except CircuitOpen:
        return False
    return True


def test_it_opens_after_some_failures_in_a_row_and_says_how_long() -> None:
    clock = Time()
    breaker = LocalBreaker(clock.now)
    fail(breaker, FAILURES - 1)
    with guarded(breaker, "graph"):
        pass
    fail(breaker)
    with pytest.raises(CircuitOpen, match="Microsoft Graph has not answered") as caught:
        breaker.enter("graph")
    assert caught.value.retry_after == timedelta(seconds=4)
    assert passes(breaker, "identitystore"), "each cloud has its own"


def test_pauses_grow_to_a_bound_and_one_answer_closes_it() -> None:
    clock = Time()
    breaker = LocalBreaker(clock.now)
    fail(breaker)
    waits = []
    for _ in range(8):
        began = clock.at
        while not passes(breaker):
            clock.at += 0.5
        waits.append(clock.at - began)
        assert not passes(breaker), "one probe at a time"
        breaker.leave("graph", Verdict.FAILED)
    assert waits == [4, 6, 10, 18, 34, 62, 62, 62]
    clock.at += 62
    assert passes(breaker)
    breaker.leave("graph", Verdict.ANSWERED)
    assert passes(breaker)
    assert passes(breaker)


def test_removals_probe_first() -> None:
    clock = Time()
    breaker = LocalBreaker(clock.now)
    fail(breaker)
    clock.at += 2.5
    assert not passes(breaker)
    with removals_first():
        assert passes(breaker)
    assert not passes(breaker)


def test_a_probe_that_never_came_back_is_forgotten() -> None:
    clock = Time()
    breaker = LocalBreaker(clock.now)
    fail(breaker)
    clock.at += 10
    assert passes(breaker)
    clock.at += 40
    assert not passes(breaker)
    clock.at += 6
    assert passes(breaker)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, Verdict.ANSWERED),
        (Unreachable("x"), Verdict.FAILED),
        (OutcomeUnknown("x"), Verdict.FAILED),
        (Throttled("x", retry_after=SHORT, code="429"), Verdict.ANSWERED),
        (Throttled("x", retry_after=SHORT, code="LocalRateLimit"), Verdict.NOTHING),
        (TokenThrottled("x", retry_after=SHORT, code="429"), Verdict.NOTHING),
        (NotFound("x", receipt=Receipt("a", "b")), Verdict.ANSWERED),
        (PolicyRefused("x", receipt=Receipt("a", "b")), Verdict.ANSWERED),
        (NotPermitted("no credential at all"), Verdict.NOTHING),
    ],
)
def test_what_an_outcome_says_about_its_cloud(error: ClientError | None, said: Verdict) -> None:
    assert verdict(error) is said


def test_our_own_rate_limit_opens_nothing() -> None:
    breaker = LocalBreaker()
    for _ in range(FAILURES * 2):
        with pytest.raises(Throttled), guarded(breaker, "graph"):
            raise Throttled("wait", retry_after=SHORT, code="LocalRateLimit")
    assert passes(breaker)


# ------------------------------------------------------------ shared


@pytest.fixture
def shared(redis_url: str) -> Callable[[], SharedBreaker]:
    prefix = f"test:{uuid.uuid4()}:"
    return lambda: SharedBreaker(redis.Redis.from_url(redis_url), prefix=prefix)


def test_circuits_are_shared_and_half_open_for_one_at_a_time(shared: Callable[[], SharedBreaker]) -> None:
    one, other = shared(), shared()
    with patch.multiple(module, FIRST_PAUSE=SHORT, REMOVALS_FIRST=SHORT):
        fail(one, 3)
        fail(other, 2)
        assert not passes(one)
        assert not passes(other)
        deadline = time.monotonic() + 30
        with removals_first():
            while not passes(other):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert not passes(one), "the other one probes"
        other.leave("graph", Verdict.ANSWERED)
    assert passes(one)


def test_a_process_opens_it_for_another(redis_url: str) -> None:
    prefix = f"test:{uuid.uuid4()}:"
    program = (
        "import sys, redis\n"
        "from clients.breaker import SharedBreaker, Verdict\n"
        "breaker = SharedBreaker(redis.Redis.from_url(sys.argv[1]), prefix=sys.argv[2])\n"
        "for _ in range(5):\n"
        "    breaker.enter('graph'); breaker.leave('graph', Verdict.FAILED, '503')\n"
    )
    root = Path(module.__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-c", program, redis_url, prefix], cwd=root, check=True, timeout=60)
    connection = redis.Redis.from_url(redis_url)
    breaker = SharedBreaker(connection, prefix=prefix)
    assert not passes(breaker)
    by_cloud = {state.cloud: state for state in circuit_states(connection, prefix=prefix)}
    assert by_cloud["graph"].open
    assert (by_cloud["graph"].failures, by_cloud["graph"].code) == (5, "503")
    assert by_cloud["graph"].failed_at is not None
    assert by_cloud["graph"].answered_at is None
    assert not by_cloud["sso-admin"].open


def test_without_redis_each_process_counts_alone() -> None:
    breaker = SharedBreaker(redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2))
    assert passes(breaker)
    fail(breaker)
    assert not passes(breaker)


def test_the_kind_of_breaker_follows_redis_url(redis_url: str) -> None:
    assert isinstance(build_breaker({}), LocalBreaker)
    assert isinstance(build_breaker({"REDIS_URL": redis_url}), SharedBreaker)
