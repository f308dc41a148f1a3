"""The demo's business clock goes on where it was left and never goes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

from stack import business_clock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_a_first_run_begins_with_real_time(tmp_path: Path) -> None:
    with time_machine.travel(NOON, tick=False):
        anchors = business_clock.begin(tmp_path / "clock.json", 20)
    assert anchors.at(NOON) == NOON
    assert anchors.at(NOON + timedelta(minutes=3)) == NOON + timedelta(hours=1)


def test_it_stands_still_between_runs_and_goes_on_at_another_speed(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    with time_machine.travel(NOON, tick=False) as travel:
        first = business_clock.begin(path, 20)
        travel.shift(timedelta(minutes=30))
        business_clock.mark(path, first, stopped=True)
        left = first.at(datetime.now(UTC))
        travel.shift(timedelta(minutes=5))
        second = business_clock.begin(path, 1)
        assert second.at(datetime.now(UTC)) == left == NOON + timedelta(hours=10)


def test_it_is_never_behind_real_time(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    with time_machine.travel(NOON, tick=False) as travel:
        business_clock.mark(path, business_clock.begin(path, 20), stopped=True)
        travel.shift(timedelta(days=9))
        assert business_clock.begin(path, 20).at(datetime.now(UTC)) == NOON + timedelta(days=9)


def test_it_does_not_go_back_after_a_demo_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    with time_machine.travel(NOON, tick=False) as travel:
        first = business_clock.begin(path, 20)
        travel.shift(business_clock.MARK_EVERY)
        business_clock.mark(path, first, stopped=False)
        travel.shift(business_clock.MARK_EVERY)
        seen = first.at(datetime.now(UTC))
        assert business_clock.begin(path, 20).at(datetime.now(UTC)) >= seen


def test_product_and_simulator_are_told_the_same(tmp_path: Path) -> None:
    anchors = business_clock.begin(tmp_path / "clock.json", 2.5)
    words = anchors.arguments()
    told = dict(zip(words[::2], words[1::2], strict=True))
    variables = anchors.variables()
    assert told["--clock-factor"] == variables["BUSINESS_CLOCK_FACTOR"] == "2.5"
    assert told["--clock-anchor-real"] == variables["BUSINESS_CLOCK_ANCHOR_REAL"]
    assert told["--clock-anchor-business"] == variables["BUSINESS_CLOCK_ANCHOR_BUSINESS"]
