"""The period that the page is about: whole days in UTC, named in the address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.urls import reverse

from base.clock import business_now
from base.inputs import NO_DAY, DayInput

USUAL_DAYS = 30
MOST_DAYS = 366
MOST_DAILY = 31  # days up to which each is a part of its own; beyond, a part is a week
_NO_SUCH_DAY = "Write a day between the years 2000 and 2200."
_EARLIEST, _LATEST = date(2000, 1, 1), date(2200, 1, 1)
_DAYS = ["%Y-%m-%d"]
DAY, WEEK = timedelta(days=1), timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Period:
    """From the beginning of `first` to the end of `last` (business time, days in UTC)."""

    first: date
    last: date

    @property
    def since(self) -> datetime:
        return datetime.combine(self.first, time(), tzinfo=UTC)

    @property
    def until(self) -> datetime:
        """Exclusive."""
        return datetime.combine(self.last + DAY, time(), tzinfo=UTC)

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def step(self) -> timedelta:
        """How long one part of it is, in charts and their tables."""
        return DAY if self.days <= MOST_DAILY else WEEK

    @property
    def step_words(self) -> str:
        return "Day" if self.step == DAY else "Week from"

    def parts(self) -> Iterator[date]:
        """The first day of each part."""
        day = self.first
        while day <= self.last:
            yield day
            day += self.step

    def timeline(self, action: str) -> str:
        """The address of the events of that type within the period."""
        last = self.until - timedelta(minutes=1)  # there a minute that is named is meant to its end
        moments = {"since": f"{self.since:%Y-%m-%dT%H:%M}", "until": f"{last:%Y-%m-%dT%H:%M}"}
        return f"{reverse('audit_timeline')}?{urlencode({'action': action, **moments})}"


def _day(label: str) -> forms.DateField:
    return forms.DateField(
        label=label,
        required=False,
        input_formats=_DAYS,
        widget=DayInput(_DAYS),
        validators=[MinValueValidator(_EARLIEST, _NO_SUCH_DAY), MaxValueValidator(_LATEST, _NO_SUCH_DAY)],
        error_messages=NO_DAY,
    )


class PeriodForm(forms.Form):
    """First and last day. Without them, the last thirty days; at most a year. Unknown parameters are ignored."""

    since = _day("First day (UTC)")
    until = _day("Last day (UTC)")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        last: date = cleaned["until"] or business_now().date()
        first: date = cleaned["since"] or last - (USUAL_DAYS - 1) * DAY
        if first > last:
            self.add_error("until", "This is before the first day. Swap the two, or clear one.")
        elif (last - first).days >= MOST_DAYS:
            self.add_error("since", f"At most {MOST_DAYS} days at once. Choose a later day.")
        else:
            cleaned["period"] = Period(first, last)
        return cleaned
