"""The languages that people may be told in, with their words for instants and spans (docs/adr/ says why not gettext)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Language:
    """One language: texts are in templates/notifications/CODE/."""

    code: str
    name: str  # in itself
    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    moment_pattern: str
    units: tuple[str, str, str, str]  # a day, days, hours, minutes

    def moment(self, instant: datetime, zone: ZoneInfo) -> str:
        """An instant with day, time and zone, e.g. "Thu 26 Nov 2026, 14:30 (Europe/Berlin)"."""
        there = instant.astimezone(zone)
        return self.moment_pattern.format(
            weekday=self.weekdays[there.weekday()],
            day=there.day,
            month=self.months[there.month - 1],
            year=there.year,
            time=f"{there:%H:%M}",
            zone=zone.key,
        )

    def span(self, span: timedelta) -> str:
        """A duration in whole minutes, e.g. "1 h 30 min"."""
        minutes = max(1, round(span.total_seconds() / 60))
        days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
        a_day, more_days, hour, minute = self.units
        parts = ((days, a_day if days == 1 else more_days), (hours, hour), (rest, minute))
        return " ".join(f"{number} {unit}" for number, unit in parts if number)


ENGLISH = Language(
    code="en",
    name="English",
    weekdays=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    moment_pattern="{weekday} {day} {month} {year}, {time} ({zone})",
    units=("day", "days", "h", "min"),
)
GERMAN = Language(
    code="de",
    name="Deutsch",
    weekdays=("Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So."),
    months=(
        "Januar", "Februar", "März", "April", "Mai", "Juni",
        "Juli", "August", "September", "Oktober", "November", "Dezember",
    ),
    moment_pattern="{weekday} {day}. {month} {year}, {time} Uhr ({zone})",
    units=("Tag", "Tage", "Std.", "Min."),
)  # fmt: skip
LANGUAGES = {each.code: each for each in (ENGLISH, GERMAN)}
