"""How often one person may ask for, decide, remark, search and export: what no human does is slowed down (ADR 0045).

One number for each person and act, in Redis, moved by one script on Redis's own clock, so that all web processes count
together. While Redis is away pages go on without: what a page does is held to rights and to the rows' own bounds in any
case, and the limit is there for scripts that ran wild, not for what anybody may do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import redis
import structlog
from django.conf import settings

from base.errors import TooOften
from base.words import duration_words
from identity.models import Person

log = structlog.get_logger(__name__)

_PREFIX = "portal:person:"
_TIMEOUT_SECONDS = 0.5
# After Redis could not be reached, pages don't try it again for this long.
_SILENCE_SECONDS = 15.0
_silent_until = 0.0
_connections: dict[str, redis.Redis] = {}


class Act(StrEnum):
    """What is counted."""

    SUBMIT = "submit"
    DECIDE = "decide"
    REMARK = "remark"
    SEARCH = "search"
    EXPORT = "export"
    BE_REFUSED = "be refused"
    API_REFUSED = "api refused"


@dataclass(frozen=True, slots=True)
class Allowance:
    """`burst` at once, and as many again in `span` (real time). `words`: what there were too many of, and what to do."""

    burst: int
    span: timedelta
    words: str


_MINUTE = timedelta(minutes=1)
ALLOWANCES: Mapping[Act, Allowance] = {
    Act.SUBMIT: Allowance(
        20, _MINUTE, "requests from you in a short time. Nothing was sent; your text is still here."
    ),
    Act.DECIDE: Allowance(60, _MINUTE, "decisions from you in a short time. This one was not taken."),
    Act.REMARK: Allowance(
        20, _MINUTE, "questions and answers from you in a short time. This one was not sent."
    ),
    Act.SEARCH: Allowance(60, _MINUTE, "searches from you in a short time."),
    Act.EXPORT: Allowance(10, 5 * _MINUTE, "copies of the trail from you in a short time. None was made."),
    # So many refused attempts are told in the trail; nobody is told of this bound.
    Act.API_REFUSED: Allowance(60, _MINUTE, "refusals of your tokens in a short time."),
    Act.BE_REFUSED: Allowance(60, _MINUTE, "refused attempts of yours in a short time."),
}

# KEYS[1] the person's number; ARGV: interval, burst. Microseconds of Redis's clock.
# Gives 0 when it may be, else the wait until it may.
_SPEND = """
local now = redis.call('TIME')
now = tonumber(now[1]) * 1000000 + tonumber(now[2])
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = due - interval * (burst - 1) - now
if wait > 0 then return math.ceil(wait) end
due = due + interval
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1000)
return 0
"""


def spend(person: Person, act: Act) -> None:
    """Count one act of this person.

    Raises:
        TooOften: there were too many in a short time; it says when to go on.
    """
    allowance = ALLOWANCES[act]
    wait = _ask(f"{_PREFIX}{act}:{person.pk}", allowance)
    if wait > timedelta(0):
        log.warning("person_slowed_down", act=act.value, person=person.object_id)
        raise TooOften(
            f"limit.{act}",
            f"There were very many {allowance.words} Go on in {duration_words(max(wait, timedelta(seconds=1)))}.",
            wait=wait,
        )


def _ask(key: str, allowance: Allowance) -> timedelta:
    """How long to wait; not at all while Redis is away."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return timedelta(0)
    interval = allowance.span / allowance.burst
    try:
        script = _connection().register_script(_SPEND)
        answer = script(keys=[key], args=[round(interval.total_seconds() * 1_000_000), allowance.burst])
    except redis.RedisError as error:
        _silent_until = time.monotonic() + _SILENCE_SECONDS
        log.warning("person_limits_without_redis", reason=type(error).__name__)
        return timedelta(0)
    return timedelta(microseconds=int(answer))


def _connection() -> redis.Redis:
    url = settings.REDIS_URL
    if url not in _connections:
        _connections[url] = redis.Redis.from_url(
            url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
        )
    return _connections[url]
