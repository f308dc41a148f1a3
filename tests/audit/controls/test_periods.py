"""The span of days that the controls page is asked for."""

from __future__ import annotations

from datetime import date

import pytest

from audit.controls.periods import MOST_DAYS, Period, PeriodForm
from base.clock import business_now


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"since": "2026-01-02", "until": "2026-01-01"}, "until"),
        ({"since": "2024-01-01", "until": "2026-01-01"}, "since"),
        ({"since": "1066-10-14"}, "since"),
        ({"until": "9999-12-31"}, "until"),
        ({"since": "yesterday"}, "since"),
    ],
)
def test_what_is_no_period_is_refused_with_its_field(asked: dict[str, str], refused: str) -> None:
    form = PeriodForm(asked)
    assert not form.is_valid()
    assert list(form.errors) == [refused]


def test_a_period_is_thirty_days_up_to_now_unless_it_is_named() -> None:
    form = PeriodForm({})
    assert form.is_valid()
    period = form.cleaned_data["period"]
    assert period.last == business_now().date()
    assert period.days == 30
    longest = PeriodForm({"since": "2025-01-01", "until": "2026-01-01"})
    assert longest.is_valid()
    assert longest.cleaned_data["period"].days == MOST_DAYS
    assert (
        Period(date(2026, 1, 1), date(2026, 1, 31))
        .timeline("grant.overdue")
        .endswith("/audit/?action=grant.overdue&since=2026-01-01T00%3A00&until=2026-01-31T23%3A59")
    )
