"""When access that the portal gave was last used in AWS, as far as CloudTrail was read: beside eligibilities."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from base.clock import business_now
from base.words import duration_words
from requests_app.activity.planning import MOST_ACCOUNTS, is_on
from requests_app.activity.whole import WHOLE


@dataclass(frozen=True, slots=True)
class RecordedUse:
    """What is known of somebody's use of a PIM group's access. None found is none only where it was read whole."""

    whole: bool  # every access of theirs was read to its end, without a gap
    at: datetime | None = None  # business time; the newest use that was found


UNREAD = RecordedUse(whole=False)

# Access whose summary is past its keeping time isn't asked for: pages say for how long it is kept.
_RECORDED = f"""
SELECT given.person_id, given.group_id, bool_and(coalesce({WHOLE}, false)),
       max((SELECT max(used.last_at) FROM requests_app_activityplace place
            JOIN requests_app_activityuse used ON used.place_id = place.id WHERE place.look_id = look.id))
FROM requests_app_grant given LEFT JOIN requests_app_activitylook look ON look.grant_id = given.id
WHERE given.person_id = ANY(%(people)s) AND given.group_id = ANY(%(groups)s)
  AND (look.id IS NOT NULL OR given.arrived_at IS NOT NULL
       AND coalesce(given.last_possible_use_at, given.ends_at) >= %(kept_since)s)
GROUP BY 1, 2
"""  # noqa: S608 - names of this product only


def recorded_uses(people: Collection[int], groups: Collection[int]) -> Mapping[tuple[int, int], RecordedUse]:
    """By person and PIM group; a pair that isn't there was never read. One query."""
    wanted: dict[str, list[Any] | int | datetime] = {
        "people": list(people),
        "groups": list(groups),
        "asked": MOST_ACCOUNTS - 1,
        "kept_since": business_now() - settings.ACTIVITY_KEEP,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RECORDED, wanted)
        return {(person, group): RecordedUse(whole, at) for person, group, whole, at in cursor.fetchall()}


def coverage_words() -> str:
    """What a recorded use can show and what not, in sentences."""
    said = (
        "“Last use” is the newest event in CloudTrail of access that this portal gave: management events only, in "
        f"{', '.join(settings.ACTIVITY_REGIONS) or 'no Region'}, kept for {duration_words(settings.ACTIVITY_KEEP)}. "
        "That none was read is no proof that there was none."
    )
    return said if is_on() else f"{said} CloudTrail isn't read now: ACTIVITY is off."
