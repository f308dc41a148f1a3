"""What an event says, in whatever shape somebody wrote it: one that can't be read is shown as its text, and stops nothing.

Postgres refuses such events (`audit.ledger.sql`, FORM). What was there before stays, and is read with the others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.models.expressions import Expression
from django.db.models.fields.json import KeyTransform

UNREADABLE = "unreadable"  # the one fact of an event that isn't of an event's shape: its whole text
# Of a number; beyond, it is its own text: Python reads no longer ones, and prints no larger ones.
MOST_DIGITS = 300
MOST_DEEP = 100


def read_event(text: str) -> dict[str, Any]:
    """The event of this text, with `fields` and `commitments` as every reader expects them."""
    try:
        found = json.loads(text, parse_int=_whole, parse_float=_broken)
    except (ValueError, RecursionError):
        found = None
    if not _shaped(found) or _deep(text, found):
        return {"fields": {UNREADABLE: text}}
    event: dict[str, Any] = found
    return event


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= MOST_DIGITS else text


def _broken(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


def _shaped(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and isinstance(found.get("fields", {}), dict)
        and isinstance(promised := found.get("commitments", {}), dict)
        and all(isinstance(each, str) for each in promised.values())
    )


def _deep(text: str, found: Any) -> bool:
    """Whether it is nested deeper than what walks through it can go."""
    if text.count("[") + text.count("{") <= MOST_DEEP:
        return False  # as nearly every event
    level: Sequence[Any] = [found]
    for _ in range(MOST_DEEP):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]
        if not level:
            return False
    return True


class SaidField(models.JSONField):
    """The parsed text of an event: whole, as `read_event` has it; a part of it as it is."""

    def from_db_value(self, value: Any, expression: Expression, connection: Any) -> Any:
        """Called by Django for each value that it read."""
        if isinstance(expression, KeyTransform) or not isinstance(value, str):
            return super().from_db_value(value, expression, connection)
        return read_event(value)
