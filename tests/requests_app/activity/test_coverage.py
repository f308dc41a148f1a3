"""Every source of CloudTrail's events says what it has, beside what no reading shows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clients.activity_stores import EVENT_HISTORY, SOURCES
from requests_app.activity.models import ActivityLook
from requests_app.activity.reading import COVERAGE, SOURCE_WORDS, Activity
from requests_app.models import Grant


@pytest.mark.parametrize("source", SOURCES)
def test_coverage_names_what_was_asked(source: str) -> None:
    look = ActivityLook(source=source, read_at=datetime(2026, 1, 1, tzinfo=UTC))
    first, *others = Activity(grant=Grant(), look=look).coverage
    assert first == SOURCE_WORDS[source]
    assert tuple(others[: len(COVERAGE)]) == COVERAGE
    assert ("and no others" in first) == (source != EVENT_HISTORY), "a store has only what it records"


def test_what_was_not_read_names_no_source() -> None:
    assert Activity(grant=Grant(), look=None).coverage[0] == COVERAGE[0]
