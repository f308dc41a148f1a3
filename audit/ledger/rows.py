"""How a row without versions stands, as an event says it: a setting, a token, a review.

An app declares each such table once, as `Watched`, and the event types that tell of its rows name it. Which columns
count is said here; what people wrote isn't among them, since that may be erased.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Model


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a watched table, with the values of its columns; None once it is gone."""

    table: str
    id: str
    stands: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Watched:
    """A table of which each row stands as its newest event says.

    `unless` is a condition in SQL, with {row} for the row, under which nobody need tell of it: what it is by itself.
    """

    table: str
    columns: tuple[str, ...]
    unless: str = "false"

    def stands(self, row: Model) -> Row:
        """The row as it is to stand from this transaction on."""
        attributes = {field.column: field.attname for field in row._meta.concrete_fields}
        values = {name: _plain(getattr(row, attributes[name])) for name in self.columns}
        return Row(self.table, str(row.pk), values)

    def gone(self, key: object) -> Row:
        """The row of that key, which is no more."""
        return Row(self.table, str(key), None)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value
