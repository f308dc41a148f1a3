"""Many events at once, spread over the past year: written as the owner, because nobody else may set a time."""

from __future__ import annotations

import psycopg

from tests.support.servers import PostgresServer

PEOPLE, GROUPS, REQUESTS = 200, 30, 2_000
_EVENTS = """
INSERT INTO audit_event (at, canon)
SELECT moment, jsonb_build_object(
    'v', 1,
    'type', CASE WHEN n %% 1000 = 0 THEN 'trial.refused' WHEN n %% 10 = 0 THEN 'trial.asked' ELSE 'trial.noted' END,
    'outcome', CASE WHEN n %% 1000 = 0 THEN 'refused' ELSE 'done' END,
    'business_at', to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'actor', jsonb_build_object('kind', 'person', 'oid', 'person-' || (n * 7919 %% %(people)s),
                                'ip', '192.0.2.' || (n * 37 %% 250)),
    'about', 'person-' || (n * 104729 %% %(people)s),
    'group', 'group-' || (n * 31 %% %(groups)s),
    'request', md5('request' || (n * 17 %% %(requests)s))::uuid,
    'grant', md5('grant' || (n * 17 %% %(requests)s))::uuid,
    'fields', jsonb_build_object('note', 'number ' || n)
)::text
FROM generate_series(1, %(many)s::bigint) AS n, -- of four bytes, its multiples would not fit
LATERAL (SELECT now() - (%(many)s - n + 1) * (interval '360 days' / %(many)s) AS moment) AS at
"""


def fill(server: PostgresServer, database: str, many: int) -> None:
    """Write `many` events by 200 people on 30 groups and 2,000 requests, oldest first, and ANALYZE."""
    counts = {"people": PEOPLE, "groups": GROUPS, "requests": REQUESTS, "many": many}
    with psycopg.connect(server.conninfo("portal_owner", database), autocommit=True) as owner:
        owner.execute(_EVENTS, counts)
        owner.execute("ANALYZE audit_event")
