"""By when a decision is wanted: half of the time that a request waits at most, or as long as DECISION_TARGET says.

Both forms say the same instant (business time): one for rows, one for the database, which orders by it.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Value
from django.db.models.expressions import Combinable, Expression
from django.db.models.functions import Least

from requests_app.models import RequestItem


def due_at(item: RequestItem) -> datetime:
    """By when somebody should have decided on it."""
    if settings.DECISION_TARGET:
        return min(item.created_at + settings.DECISION_TARGET, item.lapses_at)
    return item.created_at + (item.lapses_at - item.created_at) / 2


def due() -> Expression:
    """The same, of the items of a query."""
    if settings.DECISION_TARGET:
        wanted: Combinable = F("created_at") + Value(settings.DECISION_TARGET, output_field=DurationField())
        return Least(ExpressionWrapper(wanted, output_field=DateTimeField()), F("lapses_at"))
    waits = ExpressionWrapper(F("lapses_at") - F("created_at"), output_field=DurationField())
    half = ExpressionWrapper(waits / 2, output_field=DurationField())
    return ExpressionWrapper(F("created_at") + half, output_field=DateTimeField())
