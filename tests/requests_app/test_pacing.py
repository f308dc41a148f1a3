"""How long a worker waits: within its bounds, whatever happened before."""

from __future__ import annotations

from datetime import timedelta

import pytest

from requests_app.actions.steps.pacing import LONGEST_BACK_OFF, back_off


@pytest.mark.parametrize("failures", [0, 1, 6, 100, 5000])
def test_the_back_off_stays_within_its_bounds(failures: int) -> None:
    wait = back_off(failures)
    assert timedelta(seconds=0.75) <= wait <= LONGEST_BACK_OFF * 1.25


def test_a_cloud_that_stays_away_is_asked_once_a_minute_or_so() -> None:
    assert back_off(2000) >= LONGEST_BACK_OFF * 0.75
