"""How each person is told: language, time zone, together or at once, and what not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings

from identity.models import Person
from notifications.kinds import MANNERS, Kind
from notifications.languages import LANGUAGES, Language
from notifications.models import Digest, Preference

DAILY_AT = 8  # o'clock, in the person's time zone


@dataclass(frozen=True, slots=True)
class Taste:
    """One person's preferences, or what holds where they have none."""

    language: Language
    zone: ZoneInfo
    digest: Digest = Digest.NEVER
    off: frozenset[str] = frozenset()

    def wants(self, kind: Kind) -> bool:
        """Whether this kind is told at all. What may not be off is told whatever the row says."""
        return not (MANNERS[kind].may_be_off and kind in self.off)

    def waits_until(self, kind: Kind, now: datetime) -> datetime | None:
        """When a digest tells what happened at `now`; None where it is told at once."""
        if self.digest == Digest.NEVER or not MANNERS[kind].may_wait:
            return None
        there = now.astimezone(self.zone)
        if self.digest == Digest.HOURLY:
            return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        today = there.replace(hour=DAILY_AT, minute=0, second=0, microsecond=0)
        # Adding a day to a local time keeps its hour, also where clocks are changed in between.
        return (today if today > there else today + timedelta(days=1)).astimezone(now.tzinfo)


def taste_of(person: Person | None) -> Taste:
    """One query."""
    row = Preference.objects.filter(person=person).first() if person else None
    if row is None:
        return default_taste()
    return Taste(
        language=LANGUAGES.get(row.language, default_taste().language),
        zone=_zone(row.time_zone),
        digest=Digest(row.digest),
        off=frozenset(row.off),
    )


def default_taste() -> Taste:
    """What holds for whoever has said nothing: this installation's language and time zone."""
    return Taste(LANGUAGES[settings.NOTIFY_LANGUAGE], _zone(settings.NOTIFY_TIME_ZONE))


def time_zones() -> list[str]:
    """Names to choose from: places, and UTC."""
    places = (
        "Africa/",
        "America/",
        "Antarctica/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
    )
    return ["UTC", *sorted(each for each in available_timezones() if each.startswith(places))]


def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name if name in available_timezones() else "UTC")
