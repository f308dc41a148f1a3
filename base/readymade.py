"""Statements that workers run again and again: their SQL is put together once, and then only given other values.

Django puts a query's SQL together anew each time that it is run, which takes a worker longer than PostgreSQL takes to
answer most of them. What is built here is built with marks in place of the values; whoever runs it gives the values in
the order of the marks. They have to be such that the SQL is the same whichever they are: a value may not be None, nor a
list, and what comes from a setting is a value, too (ADR 0097).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from types import SimpleNamespace
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models import Model, QuerySet
from django.db.models.sql import UpdateQuery
from django.db.transaction import TransactionManagementError, mark_for_rollback_on_error
from psycopg import sql

# Values that stand nowhere else in a query: the nth of each type.
_MARKS: Mapping[type, Callable[[int], Any]] = {
    uuid.UUID: lambda number: uuid.UUID(int=(0x5EAD << 112) + number),
    datetime: lambda number: datetime(1913, 7, 29, tzinfo=UTC) + timedelta(days=number),
    int: lambda number: 31_000 + number,
    str: lambda number: f"~{number}~",
}


class _Statement(NamedTuple):
    """SQL with its parameters, and at which of them which value stands."""

    text: str
    params: Sequence[Any]
    places: Sequence[tuple[int, int]]
    many: int  # values

    def with_values(self, values: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
        """Raises ValueError for None, with which the statement would find nothing and seem to have looked."""
        if len(values) != self.many or any(value is None for value in values):
            raise ValueError(f"{self.many} values, and not {values}, belong to: {self.text}")
        params = list(self.params)
        for place, number in self.places:
            value, mark = values[number], params[place]
            # Numbers are wrapped in the type of their column.
            params[place] = type(mark)(value) if isinstance(mark, int) else value
        return self.text, tuple(params)


def _marks(kinds: Iterable[type]) -> list[Any]:
    return [_MARKS[kind](number) for number, kind in enumerate(kinds)]


def _statement(made: tuple[str, Sequence[Any]], marks: Sequence[Any]) -> _Statement:
    """Raises ValueError when a mark isn't among the parameters: its value would be built in."""
    text, params = made
    places = [
        (place, number)
        for number, mark in enumerate(marks)
        for place, param in enumerate(params)
        if param == mark
    ]
    if {number for _, number in places} != set(range(len(marks))):
        raise ValueError(f"not every value is a parameter of: {text}")
    return _Statement(text, params, places, len(marks))


class Readymade[Row]:
    """A query: `build` gives it for the marks of these types. What it gives is what the query would have given."""

    def __init__(self, build: Callable[..., QuerySet[Any, Row]], *kinds: type) -> None:
        self._build = build
        self._kinds = kinds

    def rows(self, *values: Any) -> list[Row]:
        """The rows that the query finds with these values. Raises TransactionManagementError when it locks them outside
        a transaction."""
        queryset, made, statement = self._made
        compiler: Any = copy(made)
        compiler.connection = connections[made.using]
        if queryset.query.select_for_update and compiler.connection.get_autocommit():
            raise TransactionManagementError("Rows are locked in a transaction only.")
        bound = statement.with_values(values)
        compiler.as_sql = lambda *_, **__: bound
        found = SimpleNamespace(
            model=queryset.model,
            db=made.using,
            query=_Made(queryset.query, compiler),
            _fetch_mode=queryset._fetch_mode,
            _known_related_objects={},
            _fields=queryset._fields,
        )
        return list(queryset._iterable_class(found))

    def first(self, *values: Any) -> Row | None:
        """The first of them, None when there is none."""
        return next(iter(self.rows(*values)), None)

    @cached_property
    def _made(self) -> tuple[Any, Any, _Statement]:
        marks = _marks(self._kinds)
        queryset: Any = self._build(*marks)
        compiler = queryset.query.get_compiler(using=queryset.db)
        statement = _statement(compiler.as_sql(), marks)
        converters = compiler.get_converters([column[0] for column in compiler.select])
        compiler.get_converters = lambda _expressions: converters
        compiler.connection = None  # each run has that of its own thread
        return queryset, compiler, statement


class _Made:
    """In place of a query, for what makes rows of an answer."""

    def __init__(self, query: Any, compiler: Any) -> None:
        self._query, self._compiler = query, compiler

    def get_compiler(self, *_: Any, **__: Any) -> Any:
        return self._compiler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._query, name)


class ReadymadeUpdate:
    """An update: `build` gives for the marks which rows it is of, and what it sets."""

    def __init__(
        self, build: Callable[..., tuple[QuerySet[Any, Any], Mapping[str, Any]]], *kinds: type
    ) -> None:
        self._build = build
        self._kinds = kinds

    def run(self, *values: Any) -> int:
        """Set it with these values; gives how many rows were changed."""
        using, statement = self._made
        with mark_for_rollback_on_error(using=using), connections[using].cursor() as cursor:
            cursor.execute(*statement.with_values(values))
            return int(cursor.rowcount)

    @cached_property
    def _made(self) -> tuple[str, _Statement]:
        marks = _marks(self._kinds)
        queryset, values = self._build(*marks)
        query: Any = queryset.query.chain(UpdateQuery)
        query.add_update_values(values)
        return queryset.db, _statement(query.get_compiler(using=queryset.db).as_sql(), marks)


def set_columns(model: type[Model], where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
    """Set these columns of the rows in which others have these values; gives how many. No expressions.

    Raises ValueError for nothing to set, nothing to find rows by, or None to find them by.
    """
    if not values or not where or any(value is None for value in where.values()):
        raise ValueError(f"nothing to set, or none to find it by: {where}")
    statement, fields = _setting(model, tuple(values), tuple(where))
    using = router.db_for_write(model)
    with mark_for_rollback_on_error(using=using), (connection := connections[using]).cursor() as cursor:
        given = zip(fields, (*values.values(), *where.values()), strict=True)
        cursor.execute(statement, [_stored(field, value, connection) for field, value in given])
        return int(cursor.rowcount)


def _stored(field: Any, value: Any, connection: Any) -> Any:
    key = value.prepare_database_save(field) if isinstance(value, Model) else value
    return field.get_db_prep_save(key, connection)


@cache
def _setting(model: type[Model], names: tuple[str, ...], where: tuple[str, ...]) -> tuple[str, list[Any]]:
    meta = model._meta
    fields: list[Any] = [meta.pk if name == "pk" else meta.get_field(name) for name in (*names, *where)]
    columns = [sql.SQL("{} = {}").format(sql.Identifier(each.column), sql.Placeholder()) for each in fields]
    statement = sql.SQL("UPDATE {} SET {} WHERE {}").format(
        sql.Identifier(meta.db_table),
        sql.SQL(", ").join(columns[: len(names)]),
        sql.SQL(" AND ").join(columns[len(names) :]),
    )
    return statement.as_string(), fields


def insert(row: Model) -> None:
    """Insert a row that has all its values, its key among them. Nobody listens for rows of such a model.

    Raises ValueError for a model of which PostgreSQL gives a value.
    """
    statement, fields = _inserting(type(row))
    using = router.db_for_write(type(row))
    with mark_for_rollback_on_error(using=using), (connection := connections[using]).cursor() as cursor:
        cursor.execute(
            statement, [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields]
        )
    row._state.adding, row._state.db = False, using


@cache
def _inserting(model: type[Model]) -> tuple[str, Sequence[Any]]:
    fields: Sequence[Any] = model._meta.local_concrete_fields
    given = any(field.generated or (field.has_db_default() and not field.has_default()) for field in fields)
    if model._meta.auto_field or model._meta.parents or given:
        raise ValueError(f"PostgreSQL gives {model.__name__} values of its own.")
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(model._meta.db_table),
        sql.SQL(", ").join(sql.Identifier(each.column) for each in fields),
        sql.SQL(", ").join([sql.Placeholder()] * len(fields)),
    )
    return statement.as_string(), fields
