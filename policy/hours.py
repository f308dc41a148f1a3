"""Hours of a week in a place, as rules name them: working hours, and times at which a rule applies. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from base.errors import Invalid
from policy.fields import refuse_unknown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Hours:
    """From `opens` until `closes` on these days (0 is Monday) in a time zone; past midnight when it closes earlier."""

    days: frozenset[int]
    opens: time
    closes: time
    zone: str

    def hold(self, moment: datetime) -> bool:
        """Whether an aware instant lies within; `closes` itself doesn't. A night belongs to the day it began on."""
        local = moment.astimezone(ZoneInfo(self.zone))
        clock = local.time()
        if self.opens < self.closes:
            return local.weekday() in self.days and self.opens <= clock < self.closes
        began = local.weekday() if clock >= self.opens else (local.weekday() - 1) % 7
        return began in self.days and (clock >= self.opens or clock < self.closes)

    @property
    def words(self) -> str:
        names = ", ".join(DAYS[day].capitalize() for day in sorted(self.days))
        return f"{names} {self.opens:%H:%M} to {self.closes:%H:%M} ({self.zone})"


def parse_hours(raw: Mapping[str, Any], field: str) -> Hours:
    """Read hours such as `{days: [mon, tue], from: "08:00", to: "18:00", zone: Europe/Berlin}`.

    Raises:
        Invalid: a day, time or zone that isn't one, or a member that is missing.
    """
    refuse_unknown(raw, {"days", "from", "to", "zone"}, field)
    days = raw.get("days", list(DAYS))
    if not isinstance(days, list) or not days or not set(map(str, days)) <= set(DAYS):
        raise Invalid("rule.hours", f"{field}: days are some of {', '.join(DAYS)}.", field=field)
    zone = raw.get("zone", "UTC")
    if not isinstance(zone, str) or not _known(zone):
        raise Invalid("rule.hours", f"{field}: {zone!r} is no time zone such as Europe/Berlin.", field=field)
    opens, closes = _clock(raw.get("from"), field), _clock(raw.get("to"), field)
    if opens == closes:
        raise Invalid("rule.hours", f"{field}: it opens and closes at the same time.", field=field)
    return Hours(frozenset(DAYS.index(day) for day in days), opens, closes, zone)


def serialise_hours(hours: Hours) -> dict[str, Any]:
    """The form that `parse_hours` reads."""
    return {
        "days": [DAYS[day] for day in sorted(hours.days)],
        "from": f"{hours.opens:%H:%M}",
        "to": f"{hours.closes:%H:%M}",
        "zone": hours.zone,
    }


def _known(zone: str) -> bool:
    try:
        return bool(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _clock(value: object, field: str) -> time:
    try:
        if not isinstance(value, str) or len(value) != len("08:00"):
            raise ValueError(value)
        return time.fromisoformat(value)
    except ValueError as error:
        raise Invalid(
            "rule.hours",
            f'{field}: {value!r} is not a time such as "08:00", in quotation marks.',
            field=field,
        ) from error
