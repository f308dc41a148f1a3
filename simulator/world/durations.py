"""ISO-8601 durations as Graph and AWS write them: `PT2H`, `P180D`, `PT30M`."""

import re
from datetime import timedelta

_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+)W|(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<days>\d+)D)?"
    r"(?P<time>T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?)"
)


def parse_duration(text: str) -> timedelta:
    """The timedelta of an ISO-8601 duration; a year counts 365 days. Raises ValueError.

    Months have no fixed length and are refused, as is anything that isn't ISO-8601, `2:00:00` included.
    """
    match = _DURATION.fullmatch(text)
    if match is None or text in ("P", "PT") or match["time"] == "T":
        raise ValueError(f"'{text}' is not an ISO-8601 duration")
    if match["months"]:
        raise ValueError(f"'{text}' counts in months, which have no fixed length")
    number = {name: float(value) for name, value in match.groupdict().items() if value and name != "time"}
    return timedelta(
        weeks=number.get("weeks", 0),
        days=number.get("days", 0) + 365 * number.get("years", 0),
        hours=number.get("hours", 0),
        minutes=number.get("minutes", 0),
        seconds=number.get("seconds", 0),
    )


def format_duration(value: timedelta) -> str:
    """The shortest usual spelling: whole days as `P7D`, otherwise hours, minutes, seconds."""
    seconds = int(value.total_seconds())
    if seconds and seconds % 86_400 == 0:
        return f"P{seconds // 86_400}D"
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n]
    return "PT" + ("".join(parts) or "0S")
