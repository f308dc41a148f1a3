"""The world's clock and its durations."""

from datetime import UTC, datetime, timedelta

import pytest

from simulator.world.clock import WorldClock
from simulator.world.durations import format_duration, parse_duration

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_a_stepped_clock_stands_until_it_is_stepped() -> None:
    clock = WorldClock.stepping(START)
    assert clock.now() == clock.now() == START
    assert clock.step(timedelta(minutes=40)) == START + timedelta(minutes=40)


def test_a_clock_never_goes_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        WorldClock.stepping(START).step(timedelta(seconds=-1))


def test_a_scaled_clock_follows_the_business_clocks_formula() -> None:
    real = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    clock = WorldClock.scaled(60, anchor_real=real, anchor_world=START)
    clock.real = lambda: real + timedelta(seconds=10)
    assert clock.now() == START + timedelta(minutes=10)


def test_a_real_clock_shows_real_time() -> None:
    before = datetime.now(UTC)
    assert before <= WorldClock().now() <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("PT2H", timedelta(hours=2)),
        ("PT1H30M", timedelta(minutes=90)),
        ("P365D", timedelta(days=365)),
        ("P1Y", timedelta(days=365)),
        ("P1DT2H", timedelta(hours=26)),
        ("PT5M15S", timedelta(seconds=315)),
        ("P2W", timedelta(days=14)),
    ],
)
def test_durations_are_read(text: str, value: timedelta) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["2:00:00", "", "P", "PT", "P1DT", "2H", "P6M", "PT-1H"])
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["PT2H", "PT30M", "P180D", "PT1H30M", "PT0S"])
def test_durations_are_written_as_they_were_read(text: str) -> None:
    assert format_duration(parse_duration(text)) == text
