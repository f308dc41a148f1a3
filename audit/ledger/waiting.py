"""What waits for its seal: counted from the place that the sealer has come to, so that a sealer that is gone looks it.

Of what was committed late, before that place, only the newest 1,000 events of two days are looked at: a late one behind more
of them isn't counted. The sealer finds it in its longer looks. Nor is more than 10,001 events after that place looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

MOST_WAITING = 10_000
# Events of before the newest sealed one that are looked at: one that was committed late stands among them.
_MOST_LATE = 1_000

# The sealer takes the oldest first: what is newer than all that it has sealed waits. A batch may hold nothing but what was
# committed late, so the newest is sought among many leaves, and not among those whose events say a time that isn't yet: they
# would hide all that comes before it. Either leaves sealed events behind that place, so each event's leaf is looked up, by
# itself: left to join, Postgres may read all leaves while its statistics say that there are few.
_WAITING = """
WITH sealed AS MATERIALIZED (
    SELECT CASE WHEN count(*) > 0 THEN coalesce(max(at) FILTER (WHERE at <= clock_timestamp()), clock_timestamp()) END AS at
    FROM (SELECT at FROM audit_leaf ORDER BY batch DESC, idx DESC LIMIT %(late)s) newest
), after AS MATERIALIZED (
    SELECT id, at, business_at FROM audit_event WHERE at > (SELECT coalesce(at, '-infinity') FROM sealed)
    ORDER BY at LIMIT %(most)s
), before AS MATERIALIZED (
    SELECT id, at, business_at FROM audit_event
    WHERE at <= (SELECT at FROM sealed) AND at > (SELECT at FROM sealed) - interval '2 days'
    ORDER BY at DESC LIMIT %(late)s
)
SELECT count(*), min(at), min(business_at) FROM (SELECT * FROM after UNION ALL SELECT * FROM before) looked_at
WHERE (SELECT event_id FROM audit_leaf WHERE event_id = looked_at.id) IS NULL
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Events without a seal. `number` is MOST_WAITING + 1 where there are more; `since`: business time of the oldest."""

    number: int
    lag: timedelta  # of the oldest, real time
    since: datetime | None


def waiting_for_seal(real: datetime) -> Waiting:
    """As of now. One bounded statement."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, {"most": MOST_WAITING + 1, "late": _MOST_LATE})
        ((number, oldest, since),) = cursor.fetchall()
    return Waiting(number, max(real - oldest, timedelta(0)) if oldest else timedelta(0), since)
