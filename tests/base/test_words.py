"""Times and spans in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from base.words import duration_words, moment_words, relative_words

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(minutes=90), "1 h 30 min"),
        (timedelta(hours=8), "8 h"),
        (timedelta(minutes=59, seconds=45), "1 h"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=2, hours=3, minutes=20), "2 days 3 h"),
    ],
)
def test_duration(span: timedelta, words: str) -> None:
    assert duration_words(span) == words


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (timedelta(seconds=29), "now"),
        (timedelta(seconds=-29), "now"),
        (timedelta(seconds=40), "in 1 min"),
        (timedelta(minutes=-12), "12 min ago"),
        (timedelta(hours=3), "in 3 h"),
    ],
)
def test_relative(distance: timedelta, words: str) -> None:
    assert relative_words(distance) == words


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (NOW + timedelta(minutes=32), "14:32 UTC"),
        (NOW + timedelta(hours=12), "24 Nov, 02:00 UTC"),
        (NOW.replace(year=2025), "23 Nov 2025, 14:00 UTC"),
        (datetime(2026, 11, 23, 16, 5, tzinfo=timezone(timedelta(hours=2))), "14:05 UTC"),
    ],
)
def test_moments_are_said_in_utc(moment: datetime, words: str) -> None:
    assert moment_words(moment, NOW) == words
