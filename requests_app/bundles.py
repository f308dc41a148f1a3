"""Requests that are alike, as one row of the inbox: decided together, or one by one.

Alike are requests of different people for the same PIM group, for as long, by the same rule. Only where little can go
wrong: one approval is all that is needed, what the group opens is as it was asked for, nothing of it is judged to be
dangerous or isn't known, and nobody has asked anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from base.clock import business_now
from catalog.selectors import free_of_danger
from requests_app.rows import Row


@dataclass(frozen=True, slots=True)
class Bundle:
    """One row of the inbox: a request, or several that are alike, the most pressing first."""

    rows: Sequence[Row]

    @property
    def first(self) -> Row:
        return self.rows[0]

    @property
    def several(self) -> bool:
        return len(self.rows) > 1

    @property
    def people(self) -> Sequence[str]:
        """Who asks, each once."""
        return list(dict.fromkeys(row.item.requester.display_name for row in self.rows))

    @property
    def together_address(self) -> str:
        """The page on which all of them are decided at once."""
        return together_address(self.rows)


def together_address(rows: Sequence[Row]) -> str:
    """The page on which these are decided at once."""
    named = urlencode([("item", row.item.pk) for row in rows[1:]])
    return f"{reverse('together', args=[rows[0].item.pk])}?{named}"


def bundled(rows: Sequence[Row]) -> list[Bundle]:
    """The rows in their order, those that are alike at the place of the first of them. One query."""
    harmless = free_of_danger({row.item.group_id for row in rows})
    bundles: dict[object, list[Row]] = {}
    for row in rows:
        bundles.setdefault(_alike(row) if row.item.group_id in harmless else row.item.pk, []).append(row)
    return [Bundle(members) for members in bundles.values()]


def _alike(row: Row) -> object:
    """What is the same in requests that are alike; the request itself where it stands alone."""
    item = row.item
    stages = item.terms.parsed.stages
    simple = len(stages) == 1 and stages[0].quorum == 1 and item.scope_hash == item.group.scope_hash
    starts_now = item.wanted_start is None or item.wanted_start <= business_now()
    if not simple or not starts_now or row.thread or row.attention:
        return item.pk
    return (item.group_id, item.duration, item.terms_id)
