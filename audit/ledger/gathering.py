"""Conditions on an event's request, and statements over candidates for which many requests are gathered first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, Case, F, Func, Q, QuerySet, Value, When

from audit.ledger.models import Event


@dataclass(frozen=True, slots=True)
class Once:
    """Many requests that a statement gathers before its walks, of which each would gather them anew."""

    rows: QuerySet[Any, Any]


type Requests = Sequence[UUID] | QuerySet[Any, Any] | Once


class _AmongGathered(Func):
    """Whether it is one of those that the statement has gathered; as CASE for the reason that `among` gives."""

    template = "(CASE WHEN %(expressions)s IN (SELECT request_id FROM gathered) THEN TRUE ELSE FALSE END)"
    arity = 1
    output_field = BooleanField()


def among(requests: Requests) -> Q:
    """The event's request is one of these.

    Of a sliced subquery Postgres makes one hash, which each event of a walk is tried against in the walk's order. As a
    condition that it may join by, it would look each event's request up instead, or sort all there are.
    """
    if isinstance(requests, Once):
        return Q(_AmongGathered(F("request_id")))
    condition = Q(request_id__in=requests)
    if isinstance(requests, QuerySet) and requests.query.is_sliced:
        return Q(Case(When(condition, then=Value(value=True)), default=Value(value=False)))
    return condition


def over_candidates(
    statement: str, candidates: QuerySet[Event, Any], once: Once | None, parameters: Sequence[Any] = ()
) -> list[Any]:
    """The rows of a statement that reads `candidates` by that name; their requests, where given, are gathered once."""
    gathered, named = "", tuple[Any, ...]()
    try:
        if once is not None:
            rows, named = once.rows.query.sql_with_params()
            gathered = f"gathered (request_id) AS MATERIALIZED ({rows}), "
        inner, walked = candidates.query.sql_with_params()
    except EmptyResultSet:  # whatever else is asked for fits nothing
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH {gathered}candidates AS MATERIALIZED ({inner}) {statement}", [*named, *walked, *parameters]
        )
        return list(cursor.fetchall())
