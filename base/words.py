"""Times, spans and bounded counts in words, in UTC: as pages say them before any script has run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def duration_words(span: timedelta) -> str:
    """A span rounded to whole minutes (to seconds below one), largest two units, e.g. "1 h 30 min"."""
    seconds = max(0, round(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return _joined((days, "day" if days == 1 else "days"), (hours, "h"))
    return _joined((hours, "h"), (rest, "min"))


def relative_words(distance: timedelta) -> str:
    """How far an instant is from now: "in 12 min", "3 h ago", "now"."""
    if abs(distance) < timedelta(seconds=30):
        return "now"
    words = duration_words(max(abs(distance), timedelta(minutes=1)))
    return f"in {words}" if distance > timedelta(0) else f"{words} ago"


def moment_words(moment: datetime, now: datetime) -> str:
    """An instant in UTC with its zone; the date only where it isn't today."""
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    clock = f"{moment:%H:%M} UTC"
    if moment.date() == now.date():
        return clock
    year = "" if moment.year == now.year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year}, {clock}"


def count_words(number: int, most: int) -> str:
    """A number that was counted to one more than `most` at most."""
    return f"more than {most:,}" if number > most else f"{number:,}"


def _joined(*parts: tuple[int, str]) -> str:
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
