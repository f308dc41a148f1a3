"""What is kept beside the events must be what was committed to, and what isn't kept any more must have been erased.

An erasure is an event of a worker: it names the types and the time of the events whose words went.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from audit.ledger.events import WORDS_ERASED
from audit.ledger.findings import Finding

_MOST = 10_000
_ALTERED = """
SELECT kept.event_id, kept.field FROM audit_pii kept
LEFT JOIN audit_event event ON event.id = kept.event_id
WHERE encode(sha256(kept.salt || convert_to(kept.words, 'UTF8')), 'hex')
      IS DISTINCT FROM event.data #>> ARRAY['commitments', kept.field]
ORDER BY kept.event_id, kept.field LIMIT %s
"""
_ERASURES = """
SELECT id, data -> 'fields' FROM audit_event
WHERE type = %s AND actor_kind IN ('worker', 'system') ORDER BY id
"""
_GONE = """
WITH erased AS (
    SELECT told.since, told.before, told.types::jsonb AS types
    FROM unnest(%s::timestamptz[], %s::timestamptz[], %s::text[]) AS told (since, before, types)
)
SELECT event.id, promised.field
FROM (SELECT id, at, type, data FROM audit_event WHERE jsonb_typeof(data -> 'commitments') = 'object') event
CROSS JOIN LATERAL jsonb_object_keys(event.data -> 'commitments') AS promised (field)
LEFT JOIN audit_pii kept ON kept.event_id = event.id AND kept.field = promised.field
WHERE kept.event_id IS NULL AND NOT EXISTS (
    SELECT FROM erased WHERE event.at < erased.before AND (erased.since IS NULL OR event.at >= erased.since)
    AND erased.types ? event.type)
ORDER BY event.id, promised.field LIMIT %s
"""


def words_are_readable() -> bool:
    """Whether this database role may read what people wrote. The sealer may not, and only sees that it is there."""
    return _may("has_table_privilege('audit_pii', 'SELECT')")


def words_findings() -> Iterator[Finding]:
    """What is wrong with the words, as far as this database role may look: what they say, and whether they are there."""
    if words_are_readable():
        for event_id, name in _rows(_ALTERED, [_MOST]):
            sentence = f"The kept words {name!r} of event {event_id} aren't those that were written."
            yield Finding("words_altered", sentence, None, event_id)
    if _may("has_column_privilege('audit_pii', 'event_id', 'SELECT')"):
        yield from _gone()


def _gone() -> Iterator[Finding]:
    erasures: list[tuple[datetime | None, datetime, str]] = []
    for event_id, fields in _rows(_ERASURES, [WORDS_ERASED.name]):
        try:
            erasures.append(_erasure(json.loads(fields) if isinstance(fields, str) else fields))
        except (KeyError, TypeError, ValueError, AttributeError):
            sentence = f"Event {event_id} tells of an erasure, but not of which words."
            yield Finding("erasure_unreadable", sentence, None, event_id)
    columns = [list(column) for column in zip(*erasures, strict=True)] or [[], [], []]
    for event_id, name in _rows(_GONE, [*columns, _MOST]):
        sentence = (
            f"The words {name!r} of event {event_id} are gone, and no event says that they were erased."
        )
        yield Finding("words_gone", sentence, None, event_id)


def _erasure(fields: dict[str, Any]) -> tuple[datetime | None, datetime, str]:
    since = datetime.fromisoformat(fields["since"]) if "since" in fields else None
    types = [str(name) for name in fields["types"]]
    return since, datetime.fromisoformat(fields["before"]), json.dumps(types)


def _may(privilege: str) -> bool:
    return bool(_rows(f"SELECT {privilege}")[0][0])


def _rows(statement: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
