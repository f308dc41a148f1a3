"""When access that the portal gave was last used in AWS, as far as CloudTrail was read: beside eligibilities."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Max

from base.words import duration_words
from requests_app.activity.models import ActivityLook
from requests_app.activity.planning import is_on


@dataclass(frozen=True, slots=True)
class RecordedUse:
    """What is known of somebody's use of a PIM group's access: read or not, and if so the newest use, None for none."""

    read: bool
    at: datetime | None = None  # business time


UNREAD = RecordedUse(read=False)


def recorded_uses(people: Collection[int], groups: Collection[int]) -> Mapping[tuple[int, int], RecordedUse]:
    """By person and PIM group; a pair that isn't there was never read. One query."""
    looks = ActivityLook.objects.filter(
        grant__person__in=people, grant__group__in=groups, read_at__isnull=False
    )
    newest = looks.order_by().values_list("grant__person", "grant__group")
    return {
        (person, group): RecordedUse(read=True, at=at)
        for person, group, at in newest.annotate(at=Max("places__uses__last_at"))
    }


def coverage_words() -> str:
    """What a recorded use can show and what not, in sentences."""
    said = (
        "“Last use” is the newest event in CloudTrail of access that this portal gave: management events only, in "
        f"{', '.join(settings.ACTIVITY_REGIONS) or 'no Region'}, kept for {duration_words(settings.ACTIVITY_KEEP)}. "
        "That none was read is no proof that there was none."
    )
    return said if is_on() else f"{said} CloudTrail isn't read now: ACTIVITY is off."
