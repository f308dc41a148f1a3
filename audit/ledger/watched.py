"""Rows without versions are held to the trail by what they say: each stands as the newest event that names it.

`audit_require_event` counts the changes of a thing. A setting has no changes that anybody would count, and its event says
how it stands now (`rows`). At commit Postgres compares both: a row that came, changed or went needs an event of the same
transaction that names it and says so, and no event says of a row what isn't so. Each app has its tables watched, in a
migration with `Watch`; `audit_verify` compares every row with its newest event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.utils import CursorWrapper
from django.db.migrations.operations import RunPython
from django.db.migrations.state import StateApps
from django.db.transaction import atomic

from audit.ledger.events import ROWS_KNOWN
from audit.ledger.findings import Finding
from audit.ledger.recorder import Actor, record
from audit.ledger.registry import registered
from audit.ledger.rows import Row, Watched
from base.migration_operations import SEALER, WEB, WORKER

_AT_ONCE = 200  # rows that one event tells of when watching begins
_MOST = 10_000  # rows of one table that are named

# Definer's functions: whoever changes a setting need not be allowed to read the trail, and the other way round. What is
# looked up is looked up at commit, so that a row that changes twice in a transaction needs its last word only.
REQUIRE_ROWS = """
CREATE FUNCTION public.audit_require_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('SELECT public.%I($1)', 'audit_told_' || TG_TABLE_NAME)
        USING CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END::text;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.audit_require_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said record;
BEGIN
    FOR said IN SELECT each ->> 'table' AS place, each ->> 'id' AS thing
                FROM jsonb_array_elements(NEW.data -> 'rows') AS each LOOP
        IF to_regprocedure(format('public.%I(text)', 'audit_told_' || said.place)) IS NULL THEN
            RAISE EXCEPTION 'Event % tells of a row of %, which is not watched; the event is refused.',
                NEW.id, said.place USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        EXECUTE format('SELECT public.%I($1)', 'audit_told_' || said.place) USING said.thing;
    END LOOP;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION public.audit_require_row(), public.audit_require_rows() FROM PUBLIC;
CREATE CONSTRAINT TRIGGER audit_event_rows AFTER INSERT ON public.audit_event
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.data ? 'rows')
    EXECUTE FUNCTION public.audit_require_rows();
ALTER TABLE public.audit_event ENABLE ALWAYS TRIGGER audit_event_rows;
"""
REQUIRE_NO_ROWS = """
DROP TRIGGER audit_event_rows ON public.audit_event;
DROP FUNCTION public.audit_require_rows(), public.audit_require_row();
"""

# The newest word of this transaction about one row against the row as it stands. The words are read as the table's own
# types, so that it matters not how a time or a number is written.
_TOLD = """
CREATE OR REPLACE FUNCTION public.audit_told_{table}(thing text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told bigint;
    said jsonb;
    agrees boolean;
BEGIN
    SELECT event.id, each -> 'is' INTO told, said
    FROM public.audit_event event CROSS JOIN LATERAL jsonb_array_elements(event.data -> 'rows') AS each
    WHERE event.at >= transaction_timestamp() AND event.at < transaction_timestamp() + interval '2 days'
      AND event.type IN ({events}) AND (event.type <> '{known}' OR event.actor_kind = 'system')
      AND each ->> 'table' = '{table}' AND each ->> 'id' = thing
    ORDER BY event.at DESC, event.id DESC LIMIT 1;
    IF told IS NULL THEN
        RAISE EXCEPTION 'No audit event says how row % of {table} came to stand as it does; the change is refused.',
            thing USING ERRCODE = 'integrity_constraint_violation',
            HINT = 'Record the event with its rows in the transaction that changes them.';
    END IF;
    SELECT {agrees} INTO agrees
    FROM public.{table} stands,
         jsonb_populate_record(NULL::public.{table}, nullif(said, 'null')) as_told
    WHERE stands.id = thing::{key};
    IF NOT coalesce(agrees, said = 'null', false) THEN
        RAISE EXCEPTION 'Row % of {table} does not stand as event % says; the change is refused.', thing, told
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION public.audit_told_{table}(text) FROM PUBLIC;
"""
_AGREES = "coalesce(said ?& ARRAY[{names}], false) AND ({stands}) IS NOT DISTINCT FROM ({as_told})"
_TRIGGER = """
CREATE CONSTRAINT TRIGGER watched_{what} AFTER {on} ON public.{table}
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ({when})
    EXECUTE FUNCTION public.audit_require_row('{columns}', '{unless}', '{events}');
ALTER TABLE public.{table} ENABLE ALWAYS TRIGGER watched_{what};
"""
TRIGGERS = ("watched_came", "watched_changed", "watched_went")


class Watch(RunPython):
    """Migration operation: from now on each row of `table` stands in `columns` as its newest event of `events` says.

    `unless` is a condition, with {row} for the row, under which none need tell of it: what it is without anybody's word.
    What is there already is told of as known, so that nobody has to explain it later.
    """

    def __init__(
        self,
        table: str,
        *,
        columns: Sequence[str],
        events: Sequence[str],
        unless: str = "false",
        key: str = "bigint",
    ) -> None:
        self.table = table
        self._named: dict[str, Any] = {"columns": columns, "events": events, "unless": unless, "key": key}
        self._told_by = sorted({*events, ROWS_KNOWN.name})
        super().__init__(self._begin, self._end)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return self.__class__.__qualname__, [self.table], dict(self._named)

    def _begin(self, _apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        schema_editor.execute(self._sql(), params=None)
        for rows in _there(self.table, self._named["columns"], self._named["unless"]):
            know(rows)

    def _end(self, _apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        table, columns = self.table, ", ".join(("id", *self._named["columns"]))
        for trigger in TRIGGERS:
            schema_editor.execute(f"DROP TRIGGER {trigger} ON public.{table}", params=None)
        schema_editor.execute(f"DROP FUNCTION public.audit_told_{table}(text)", params=None)
        schema_editor.execute(f"REVOKE SELECT ({columns}) ON public.{table} FROM {SEALER}", params=None)  # noqa: S608 - a migration's names

    def _sql(self) -> str:
        table, columns = self.table, self._named["columns"]
        whole = {row: ", ".join(f"{row}.{name}" for name in ("id", *columns)) for row in ("OLD", "NEW")}
        was, becomes = (f"({self._named['unless'].format(row=row)})" for row in ("OLD", "NEW"))
        triggers = (
            ("came", "INSERT", f"NOT {becomes}"),
            (
                "changed",
                "UPDATE",
                f"({whole['OLD']}) IS DISTINCT FROM ({whole['NEW']}) AND NOT ({was} AND {becomes})",
            ),
            ("went", "DELETE", f"NOT {was}"),
        )
        told = _TOLD.format(
            table=table,
            key=self._named["key"],
            known=ROWS_KNOWN.name,
            events=", ".join(f"'{name}'" for name in self._told_by),
            agrees=agrees_sql(columns),
        )
        made = [
            _TRIGGER.format(
                what=what,
                on=on,
                when=when,
                table=table,
                columns=",".join(columns),
                unless=self._named["unless"].replace("'", "''"),
                events=",".join(self._told_by),
            )
            for what, on, when in triggers
        ]
        read = ", ".join(("id", *columns))
        return f"{told}{''.join(made)}GRANT SELECT ({read}) ON public.{table} TO {SEALER};"


def agrees_sql(columns: Sequence[str]) -> str:
    """SQL for whether the row `stands` is what an event `said`, read as the record `as_told`."""
    return _AGREES.format(
        names=", ".join(f"'{name}'" for name in columns),
        stands=", ".join(f"stands.{name}" for name in columns),
        as_told=", ".join(f"as_told.{name}" for name in columns),
    )


def _values(columns: Sequence[str], row: str) -> str:
    return ", ".join(f"'{name}', {row}.{name}" for name in columns)


def _there(table: str, columns: Sequence[str], unless: str) -> Iterator[list[Row]]:
    """The rows that have to be told of, some at a time."""
    values = _values(columns, "stands")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT stands.id::text, jsonb_build_object({values})::text FROM public.{table} stands "  # noqa: S608
            f"WHERE NOT ({unless.format(row='stands')}) ORDER BY stands.id"
        )
        while found := cursor.fetchmany(_AT_ONCE):
            yield [Row(table, thing, json.loads(stands)) for thing, stands in found]


def know(rows: Sequence[Row]) -> int:
    """Tell how these rows of one table stand, without a word on who had them stand so; gives the event.

    It is compared at once: at commit, each row would be looked for in all the events that told of thousands.
    """
    event = record(
        ROWS_KNOWN.name,
        actor=Actor.system(),
        fields={"table": rows[0].table, "count": len(rows)},
        rows=rows,
    )
    with connection.cursor() as cursor:
        for when in ("IMMEDIATE", "DEFERRED"):
            cursor.execute(f"SET CONSTRAINTS public.audit_event_rows {when}")
    return event


@dataclass(frozen=True, slots=True)
class Watching:
    """A watched table, and the event types that tell of its rows."""

    of: Watched
    events: tuple[str, ...]

    @property
    def arguments(self) -> tuple[str, str, str]:
        """As its triggers have them."""
        return ",".join(self.of.columns), self.of.unless, ",".join(self.events)


def watching() -> list[Watching]:
    """The tables of whose rows a declared event tells, by name."""
    told: dict[Watched, set[str]] = {}
    for event in registered().values():
        for each in event.tells or ():
            told.setdefault(each, {ROWS_KNOWN.name}).add(event.name)
    return [
        Watching(each, tuple(sorted(names)))
        for each, names in sorted(told.items(), key=lambda pair: pair[0].table)
    ]


_STANDING = """
SELECT tgrelid::regclass::text || '.' || tgname, tgargs FROM pg_trigger
WHERE tgfoid = to_regproc('public.audit_require_row') AND tgenabled = 'A'
"""


def unwatched(cursor: CursorWrapper) -> list[str]:
    """Triggers, as table.trigger, that a watched table lacks, that are off, or that hold its rows to something else."""
    cursor.execute(_STANDING)
    standing = {name: bytes(arguments) for name, arguments in cursor.fetchall()}
    return [
        f"{each.of.table}.{trigger}"
        for each in watching()
        for trigger in TRIGGERS
        if standing.get(f"{each.of.table}.{trigger}")
        != "".join(f"{said}\0" for said in each.arguments).encode()
    ]


_TOLD_OF = """
SELECT DISTINCT ON (thing) each ->> 'id' AS thing, event.id AS event_id, each -> 'is' AS said
FROM public.audit_event event CROSS JOIN LATERAL jsonb_array_elements(event.data -> 'rows') AS each
WHERE event.type = ANY (%(events)s) AND (event.type <> %(known)s OR event.actor_kind = 'system')
  AND each ->> 'table' = %(table)s
ORDER BY thing, event.at DESC, event.id DESC
"""
_DIFFERING = """
SELECT coalesce(told.thing, stands.id::text), told.event_id,
       CASE WHEN words.said IS NOT NULL THEN jsonb_build_object({told_values})::text END,
       CASE WHEN stands.id IS NOT NULL THEN jsonb_build_object({values})::text END
FROM ({told}) told FULL JOIN public.{table} stands ON stands.id::text = told.thing
CROSS JOIN LATERAL jsonb_populate_record(NULL::public.{table}, nullif(told.said, 'null')) as_told
CROSS JOIN LATERAL (SELECT nullif(told.said, 'null') AS said) AS words
WHERE CASE WHEN stands.id IS NULL THEN words.said IS NOT NULL
           WHEN told.thing IS NULL THEN NOT ({unless})
           ELSE NOT ({agrees}) END
ORDER BY 1 LIMIT %(most)s
"""


_OUT_OF_SIGHT = """
SELECT name FROM unnest(%s::text[]) AS name
WHERE current_user = ANY (%s) AND NOT has_column_privilege('public.' || name, 'id', 'SELECT')
"""


def unexplained_rows() -> Iterator[Finding]:
    """A finding for each watched row that doesn't stand as its newest event says.

    The sealer and the owner see all of them; a process that may not read a table isn't told of its rows here either.
    """
    tables = watching()
    with connection.cursor() as cursor:
        for trigger in unwatched(cursor):
            yield Finding("row_unwatched", f"Nothing holds rows to what the trail says of them: {trigger}.")
        cursor.execute(_OUT_OF_SIGHT, [[each.of.table for each in tables], [WEB, WORKER]])
        hidden = {name for (name,) in cursor.fetchall()}
    for each in tables:
        if each.of.table in hidden:
            continue
        try:
            with atomic():  # in verification's own transaction: what can't be read must not end that
                found = _differing(each)
        except DatabaseError as error:
            sentence = f"What the trail says of rows of {each.of.table} can't be compared: {error}"
            yield Finding("row_unreadable", " ".join(sentence.split()))
            continue
        for thing, event_id, said, stands in found:
            yield _finding(f"Row {thing} of {each.of.table}", event_id, _read(said), _read(stands))


def _differing(of: Watching) -> list[tuple[Any, ...]]:
    statement = _DIFFERING.format(
        table=of.of.table,
        told=_TOLD_OF,
        values=_values(of.of.columns, "stands"),
        told_values=_values(of.of.columns, "as_told"),
        agrees=agrees_sql(of.of.columns).replace("said ?&", "words.said ?&"),
        unless=of.of.unless.format(row="stands"),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, {**_named(of), "most": _MOST})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _named(of: Watching) -> dict[str, Any]:
    return {"events": list(of.events), "known": ROWS_KNOWN.name, "table": of.of.table}


def _read(value: str | None) -> dict[str, Any] | None:
    read: dict[str, Any] | None = json.loads(value) if value else None
    return read


_LAST_WORDS = """
SELECT told.thing, told.said::text FROM ({told}) told
JOIN public.audit_event event ON event.id = told.event_id AND event.at < %(until)s
WHERE told.said <> 'null' ORDER BY told.event_id
"""


def told_before(until: datetime) -> list[list[Row]]:
    """Rows of which nothing was told since, as they were last told of; some of one table at a time."""
    found: list[list[Row]] = []
    for each in watching():
        with connection.cursor() as cursor:
            cursor.execute(_LAST_WORDS.format(told=_TOLD_OF), {**_named(each), "until": until})
            while rows := cursor.fetchmany(_AT_ONCE):
                found.append([Row(each.of.table, thing, json.loads(said)) for thing, said in rows])
    return found


def _finding(
    thing: str, event_id: int | None, said: dict[str, Any] | None, stands: dict[str, Any] | None
) -> Finding:
    if stands is None:
        return Finding("row_missing", f"{thing} is gone, and no event says so.", None, event_id)
    if event_id is None:
        return Finding("row_unexplained", f"{thing} is there, and no event tells of it.")
    if said is None:
        sentence = f"{thing} is there, and its newest event says that it is gone."
        return Finding("row_unexplained", sentence, None, event_id)
    differing = [
        f"{name} is {json.dumps(value)}, not {json.dumps(said.get(name))}"
        for name, value in stands.items()
        if value != said.get(name)
    ]
    sentence = f"{thing} isn't as its newest event says: {', '.join(differing)}."
    return Finding("row_unexplained", sentence, None, event_id)
