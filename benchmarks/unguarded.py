"""Tables without indexes, keys and triggers while they are filled, and with exactly the same ones afterwards.

What is filled in like that has to be as the guards would have left it: whoever fills answers for it, keys are judged
again when they come back, and `audit_verify` reads the rest (`tests/benchmarks/test_loading.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint
WHERE (contype = 'f' AND (conrelid::regclass::text = ANY(%(tables)s) OR confrelid::regclass::text = ANY(%(tables)s)))
   OR (contype IN ('p', 'u') AND conrelid::regclass::text = ANY(%(tables)s))
ORDER BY contype = 'f', conrelid::regclass::text, conname
"""
_INDEXES = """
SELECT index.indexrelid::regclass::text, pg_get_indexdef(index.indexrelid) FROM pg_index index
WHERE index.indrelid::regclass::text = ANY(%(tables)s)
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = index.indexrelid AND contype IN ('p', 'u'))
ORDER BY 1
"""
_TRIGGERS = """
SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger
WHERE NOT tgisinternal AND tgrelid::regclass::text = ANY(%(tables)s) ORDER BY 1, 2
"""
_SWITCH = {
    "O": "ENABLE TRIGGER",
    "A": "ENABLE ALWAYS TRIGGER",
    "R": "ENABLE REPLICA TRIGGER",
    "D": "DISABLE TRIGGER",
}

type Rows = list[tuple[Any, ...]]


@contextmanager
def unguarded(owner: psycopg.Connection[Any], tables: Sequence[str]) -> Iterator[None]:
    """Take indexes, keys and triggers from the tables, and give them back. Raises ValueError when one isn't back.

    `owner` is in autocommit and owns the tables.
    """
    before = _shape(owner, tables)
    constraints, indexes, triggers = before
    for table, name, _, _ in reversed(constraints):
        _alter(owner, table, sql.SQL("DROP CONSTRAINT {}").format(sql.Identifier(name)))
    for name, _ in indexes:
        owner.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    for table in tables:
        _alter(owner, table, sql.SQL("DISABLE TRIGGER USER"))
    yield
    for _, definition in indexes:
        owner.execute(definition)
    for table, name, _, definition in constraints:
        _alter(
            owner, table, sql.SQL("ADD CONSTRAINT {} {}").format(sql.Identifier(name), sql.SQL(definition))
        )
    for table, name, state in triggers:
        _alter(owner, table, sql.SQL("{} {}").format(sql.SQL(_SWITCH[state]), sql.Identifier(name)))
    if differing := _meant(before) ^ _meant(_shape(owner, tables)):
        raise ValueError(f"The guards aren't as they were: {sorted(differing)}")


def _shape(owner: psycopg.Connection[Any], tables: Sequence[str]) -> tuple[Rows, Rows, Rows]:
    wanted = {"tables": list(tables)}
    found = [owner.execute(statement, wanted).fetchall() for statement in (_CONSTRAINTS, _INDEXES, _TRIGGERS)]
    return found[0], found[1], found[2]


def _meant(shape: tuple[Rows, Rows, Rows]) -> set[str]:
    """What the rows say, without casts and brackets: Postgres prints a list's the other way when it has read its own."""
    return {re.sub(r"::[a-z ]+(\[\])?|[()]", "", "|".join(row)) for rows in shape for row in rows}


def _alter(owner: psycopg.Connection[Any], table: str, action: sql.Composable) -> None:
    owner.execute(sql.SQL("ALTER TABLE {} {}").format(sql.Identifier(table), action))
