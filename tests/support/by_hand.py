"""Watched rows that a test writes past the application: the trail says that they stand so, and no more."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Model
from django_subatomic.db import transaction_if_not_already

from audit.ledger.rows import Watched
from audit.ledger.watched import know


def known(watched: Watched, rows: Iterable[Model]) -> None:
    """In the transaction that wrote them."""
    with transaction_if_not_already():
        know([watched.stands(row) for row in rows])
