"""One instant for each combination of hours that occurs in a week: rules that go by the clock say other things at each.

Pure. What a change does is worked out at every one of them, so that it doesn't matter at which hour somebody proposes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from policy.hours import Hours
from policy.models import RuleVersion


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant (business time), and which of the hours that rules name hold then; "" where they name none."""

    at: datetime
    words: str = ""


def moments(versions: Iterable[RuleVersion], now: datetime) -> Sequence[Moment]:
    """Now first, then one instant for each other combination of hours. Hours of automatic approval are no matter here."""
    named = sorted(set(_named(versions)), key=lambda each: each.words)
    if not named:
        return [Moment(now)]
    found: dict[tuple[bool, ...], datetime] = {}
    for at in (now, *_turns(named, now)):
        found.setdefault(tuple(each.hold(at) for each in named), at)
    return [Moment(at, _words(named, held)) for held, at in found.items()]


def _named(versions: Iterable[RuleVersion]) -> Iterator[Hours]:
    for version in versions:
        scope = version.parsed.applies_to
        yield from (each for each in (scope.during, scope.outside) if each is not None)
        yield from version.parsed.demands.second_approver_outside


def _turns(named: Iterable[Hours], now: datetime) -> Iterator[datetime]:
    """Every instant of a week at which some of these hours begin or end."""
    for hours in named:
        zone = ZoneInfo(hours.zone)
        today = now.astimezone(zone).date()
        for day in range(8):
            for clock in (hours.opens, hours.closes):
                yield datetime.combine(today + timedelta(days=day), clock, tzinfo=zone)


def _words(named: Sequence[Hours], held: Sequence[bool]) -> str:
    return " and ".join(
        f"{'within' if holds else 'outside'} {each.words}" for each, holds in zip(named, held, strict=True)
    )
