"""Rows that came to their version or status in a way of which the trail doesn't tell, and versions of no row.

Postgres refuses both, whoever asks and however. What is found here was done by somebody who switched that off, or put
back another state of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from audit.ledger.findings import Finding

_MOST = 10_000  # rows of one kind that are named
_ATTACHED = """
SELECT substr(tgname, length('subject_') + 1), tgargs
FROM pg_trigger WHERE tgfoid = to_regproc('public.audit_require_subject') AND NOT tgisinternal
ORDER BY tgname
"""
_VERSIONS = """
SELECT coalesce(told.subject_id, thing.id)::text, thing.{version}, coalesce(told.newest, 0), coalesce(told.many, 0)
FROM (SELECT subject_id, max(version) AS newest, min(version) AS oldest, count(*) AS many FROM public.audit_version
      WHERE subject_kind = %(kind)s GROUP BY subject_id) told
FULL JOIN public.{table} thing ON thing.id = told.subject_id
WHERE {wrong}
ORDER BY 1 LIMIT %(most)s
"""
_EVERY_ONE = "told.newest IS DISTINCT FROM thing.{version} OR told.many IS DISTINCT FROM thing.{version}"
# Nothing told at all is as well, for one that never moved since it began.
_FROM_SOMEWHERE = (
    "thing.id IS NULL OR told.newest <> thing.{version} OR told.many <> told.newest - told.oldest + 1"
)
_STATUSES = """
SELECT thing.id::text, thing.{status}, event.data #>> '{{fields,target}}', event.id
FROM public.{table} thing
JOIN public.audit_version told ON told.subject_kind = %(kind)s AND told.subject_id = thing.id
     AND told.version = thing.{version}
JOIN public.audit_event event ON event.id = told.event_id
WHERE event.data #>> '{{fields,target}}' IS DISTINCT FROM thing.{status}
ORDER BY 1 LIMIT %(most)s
"""


# What an app holds to the trail that has no versions of this kind: it is given the first instant (real time) that is in
# no removed month, or None, reads in the caller's snapshot, and gives a finding for whatever no event explains.
type Further = Callable[[datetime | None], Iterator[Finding]]
_FURTHER: list[Further] = []


def register_further(check: Further) -> None:
    """Have `audit_verify` ask that too; the same again is harmless."""
    if check not in _FURTHER:
        _FURTHER.append(check)


def may_read(*tables: str) -> bool:
    """Whether this process's database role may read of all these: whole tables where it is `audit_pii`, else some column."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT bool_and(CASE name WHEN 'audit_pii' THEN has_table_privilege('public.' || name, 'SELECT') "
            "ELSE has_any_column_privilege('public.' || name, 'SELECT') END) FROM unnest(%s::text[]) AS name",
            [list(tables)],
        )
        ((may,),) = cursor.fetchall()
    return bool(may)


def further() -> tuple[Further, ...]:
    """What apps have registered."""
    return tuple(_FURTHER)


@dataclass(frozen=True, slots=True)
class Attached:
    """A kind of subject, and the table and columns that its versions are held to."""

    kind: str
    table: str
    version: str
    status: str  # "" when the events don't say one
    counts_from_one: bool


def attached() -> list[Attached]:
    """The kinds that `subjects.AttachSubject` has attached, by name."""
    with connection.cursor() as cursor:
        cursor.execute(_ATTACHED)
        rows = cursor.fetchall()
    return [_attached(kind, bytes(arguments)) for kind, arguments in rows]


def _attached(kind: str, arguments: bytes) -> Attached:
    """Postgres keeps a trigger's arguments as bytes, each ended by a NUL."""
    table, version, status, counts_from_one, _ = arguments.decode().split("\0")
    return Attached(kind, table, version, status, counts_from_one == "1")


def unexplained() -> Iterator[Finding]:
    """A finding for each row whose version or status isn't the one that its events tell."""
    for each in attached():
        yield from _versions(each)
        if each.status:
            yield from _statuses(each)


def _versions(of: Attached) -> Iterator[Finding]:
    wrong = _EVERY_ONE if of.counts_from_one else _FROM_SOMEWHERE
    for thing, version, newest, many in _rows(_VERSIONS.replace("{wrong}", wrong), of):
        if version is None:
            sentence = f"{many} events tell of {of.kind} {thing}, which isn't there: deleted, or never made."
            yield Finding("subject_missing", sentence)
        elif newest > version:
            sentence = (
                f"{of.kind} {thing} is at version {version}, and events tell of it up to version {newest}."
            )
            yield Finding("subject_set_back", sentence)
        else:
            sentence = (
                f"{of.kind} {thing} is at version {version}, and {many} events tell of it, up to {newest}."
            )
            yield Finding("change_unexplained", sentence)


def _statuses(of: Attached) -> Iterator[Finding]:
    for thing, status, told, event_id in _rows(_STATUSES, of):
        sentence = f"{of.kind} {thing} says {status!r}, and the event that brought it there says {told!r}."
        yield Finding("status_unexplained", sentence, None, event_id)


def _rows(statement: str, of: Attached) -> list[tuple[Any, ...]]:
    """The names in the statement are those that a migration has given, and are quoted."""
    names = {
        name: connection.ops.quote_name(getattr(of, name) or "id") for name in ("table", "version", "status")
    }
    with connection.cursor() as cursor:
        cursor.execute(statement.format(**names), {"kind": of.kind, "most": _MOST})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
