"""Fields of dates and times that take their values from an address, which somebody may have written by hand.

A browser shows nothing of a value that isn't in its one form, and complains about it in its console: a search would go
by a day that its field doesn't show. So whatever a field reads is written in that form, and what it can't read isn't.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.utils.dateparse import parse_datetime

# For a field of days: how one is written.
NO_DAY = dict.fromkeys(("required", "invalid"), "Write a day, such as 2026-05-01.")


class DayInput(forms.DateTimeInput):
    """A day; `reads` are the forms in which the field takes it."""

    kind = "date"

    def __init__(self, reads: Sequence[str]) -> None:
        super().__init__(attrs={"type": self.kind})
        self.reads = tuple(reads)

    def format_value(self, value: Any) -> str | None:
        """See Django."""
        text = str(value or "").strip()
        for each in self.reads:
            try:
                return self.written(datetime.strptime(text, each).replace(tzinfo=UTC))
            except ValueError:
                continue
        return None

    def written(self, value: datetime) -> str:
        """As browsers read it."""
        return value.date().isoformat()


class MomentInput(DayInput):
    """A minute in UTC; `reads` as there, beside ISO 8601, which Django's field takes in any case."""

    kind = "datetime-local"

    def format_value(self, value: Any) -> str | None:
        """See Django."""
        try:
            found = parse_datetime(str(value or "").strip())
            return self.written(found) if found else super().format_value(value)
        except (ValueError, OverflowError):  # no day of any calendar, or none in UTC
            return None

    def written(self, value: datetime) -> str:
        """As browsers read it."""
        there = value.astimezone(UTC) if value.tzinfo else value
        return there.replace(tzinfo=None).isoformat(timespec="minutes")
