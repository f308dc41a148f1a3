"""The same words in rows outside the ledger: erased after the same time, by a worker, with an event that says so.

A request's justification stands beside its event and in its row. Each app attaches the columns of its own with
`AttachWords`; what stands in one is erased when the words of the event that it came with are kept no longer. The row
stays, with a sentence in place of the words, so that pages and guards need to know nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection
from django.db.migrations.operations import RunSQL
from django_subatomic.db import transaction

from audit.ledger.erasure import COUNTED, LOCK, MOST, Due, told_sql
from audit.ledger.events import ROW_WORDS_ERASED
from audit.ledger.recorder import Actor, record
from audit.ledger.registry import LedgerError
from audit.ledger.retention import by_days, parse
from base.migration_operations import WORKER

# Only exactly this is taken for erased: nobody keeps words by beginning them so.
ERASED = r"^\(erased on \d{4}-\d\d-\d\d\)$"


def erased_words(on: date) -> str:
    """What stands in place of the words."""
    return f"(erased on {on:%Y-%m-%d})"


# Which columns there are is the owner's to say: a migration writes it. The worker calls the function, which takes what
# an event of the same transaction names, from a column of the list, and nothing that is young.
CREATE = f"""
CREATE TABLE public.audit_erasable (
    table_name text NOT NULL,
    column_name text NOT NULL,
    at_column text NOT NULL,
    event_type text NOT NULL,
    PRIMARY KEY (table_name, column_name)
);
CREATE FUNCTION public.audit_erase_row_words(told bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    said jsonb;
    place public.audit_erasable;
    gone bigint;
BEGIN{told_sql(ROW_WORDS_ERASED.name)}
    SELECT * INTO place FROM public.audit_erasable
    WHERE table_name = said ->> 'table' AND column_name = said ->> 'column';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Nothing is erased from % of %.', said ->> 'column', said ->> 'table'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('UPDATE public.%1$I SET %2$I = $1 WHERE %3$I < $2 AND %2$I <> '''' AND %2$I !~ $3',
                   place.table_name, place.column_name, place.at_column)
    USING '(erased on ' || to_char(clock_timestamp(), 'YYYY-MM-DD') || ')', (said ->> 'before')::timestamptz,
        '{ERASED}';{COUNTED}
END
$$;
REVOKE ALL ON FUNCTION public.audit_erase_row_words(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.audit_erase_row_words(bigint) TO portal_worker;
GRANT SELECT ON public.audit_erasable TO portal_worker;
"""  # noqa: S608 - a constant
DROP = "DROP FUNCTION public.audit_erase_row_words(bigint); DROP TABLE public.audit_erasable;"

# For the guards of tables whose rows never change: whether a change is an erasure and nothing else. One column's words
# gave way to the sentence, and an event of this very transaction, which no web process can write, says so.
IS_ERASURE = f"""
CREATE FUNCTION public.audit_is_erasure(place text, was jsonb, becomes jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed text[];
BEGIN
    SELECT array_agg(after.key) INTO changed
    FROM jsonb_each_text(becomes) AS after JOIN jsonb_each_text(was) AS before USING (key)
    WHERE after.value IS DISTINCT FROM before.value;
    IF cardinality(changed) IS DISTINCT FROM 1 OR (becomes ->> changed[1]) !~ '{ERASED}' THEN
        RETURN false;
    END IF;
    RETURN EXISTS (
        SELECT FROM public.audit_event event
        WHERE event.at >= transaction_timestamp() AND event.type = '{ROW_WORDS_ERASED.name}'
          AND event.actor_kind IN ('worker', 'system')
          AND event.data #>> '{{fields,table}}' = place AND event.data #>> '{{fields,column}}' = changed[1]
    );
END
$$;
"""  # noqa: S608 - a constant
DROP_IS_ERASURE = "DROP FUNCTION public.audit_is_erasure(text, jsonb, jsonb);"


# PL/pgSQL for a guard, behind what it says of rows that come and go: an erasure passes.
ERASURE_PASSES = """
    IF TG_OP = 'UPDATE' AND public.audit_is_erasure(TG_TABLE_NAME, to_jsonb(OLD), to_jsonb(NEW)) THEN
        RETURN NEW;
    END IF;"""


class AttachWords(RunSQL):
    """Migration operation: what people wrote stands in this column, as with events of that type.

    `at` names the column with the time when it was written. The worker may read both, to count what is over.
    """

    def __init__(self, table: str, column: str, *, at: str, event: str) -> None:
        self._args, self._named = (table, column), {"at": at, "event": event}
        super().__init__(
            f"INSERT INTO public.audit_erasable VALUES ('{table}', '{column}', '{at}', '{event}'); "  # noqa: S608
            f"GRANT SELECT ({column}, {at}) ON public.{table} TO {WORKER};",
            f"DELETE FROM public.audit_erasable WHERE table_name = '{table}' AND column_name = '{column}'; "  # noqa: S608
            f"REVOKE SELECT ({column}, {at}) ON public.{table} FROM {WORKER};",
        )

    def deconstruct(self) -> tuple[str, list[str], dict[str, str]]:
        return self.__class__.__qualname__, list(self._args), dict(self._named)


@dataclass(frozen=True, slots=True)
class Place:
    """A column in which people's words stand."""

    table: str
    column: str
    at: str
    event: str


def places() -> list[Place]:
    """The attached columns, by table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, at_column, event_type FROM audit_erasable ORDER BY 1, 2"
        )
        return [Place(*row) for row in cursor.fetchall()]


def erase_rows_due(text: str, *, dry_run: bool = False) -> list[tuple[Place, Due]]:
    """Erase what the setting's `text` says is over, at most MOST texts a transaction; gives what was erased.

    With `dry_run`, the first such part of each place is only counted. Raises RetentionError.
    """
    done: list[tuple[Place, Due]] = []
    rules = parse(text)
    for place in places() if rules else ():
        for days in by_days(rules, [place.event]):
            while (due := _erase(place, days, dry_run=dry_run)) is not None:
                done.append((place, due))
                if dry_run or due.texts < MOST:
                    break
    return done


def _erase(place: Place, days: int, *, dry_run: bool) -> Due | None:
    """One transaction's part; None when nothing is over, or when somebody else is erasing."""
    with transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        ((locked,),) = cursor.fetchall()
        due = _due(place, days) if locked else None
        if due is None or dry_run:
            return due
        told = record(
            ROW_WORDS_ERASED.name,
            actor=Actor.system(),
            fields={
                "table": place.table,
                "column": place.column,
                "of": place.event,
                "before": due.before,
                "kept_days": days,
                "texts": due.texts,
            },
        )
        cursor.execute("SELECT audit_erase_row_words(%s)", [told])
        ((gone,),) = cursor.fetchall()
        if gone != due.texts:
            raise LedgerError(f"{due.texts} texts were to be erased, and {gone} were.")
    return due


_DUE = """
WITH bounds AS (
    SELECT clock_timestamp() - make_interval(days => %(days)s) AS before
), due AS (
    SELECT {at} AS at FROM public.{table}, bounds
    WHERE {at} < bounds.before AND {column} <> '' AND {column} !~ %(erased)s ORDER BY {at} LIMIT %(most)s + 1
), bound AS (
    SELECT CASE WHEN count(*) > %(most)s THEN max(at) ELSE min(bounds.before) END AS before
    FROM bounds LEFT JOIN due ON true
)
SELECT bound.before, count(due.at) FROM bound LEFT JOIN due ON due.at < bound.before GROUP BY bound.before
"""


def _due(place: Place, days: int) -> Due | None:
    names = {name: connection.ops.quote_name(getattr(place, name)) for name in ("table", "column", "at")}
    with connection.cursor() as cursor:
        cursor.execute(_DUE.format(**names), {"days": days, "erased": ERASED, "most": MOST})
        rows: list[tuple[datetime, int]] = cursor.fetchall()
    ((before, texts),) = rows
    return Due(days, (place.event,), None, before, texts) if texts else None
