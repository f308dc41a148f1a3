"""What changed between two minutes: who gained access, who lost it, and who had it at both.

Compared is one person's access through one PIM group; "had" means the same as in `as_of`: at any moment of the minute,
and possible counts. What came and went in between isn't seen here; the timeline has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

from audit.history.as_of import PAGE, Access, Named, accesses_of, holding_at, named, opened_more
from audit.history.forms import MINUTE
from audit.history.naming import scope_named
from audit.ledger.reading import bounded
from base.errors import Invalid
from oversight.selectors import FindingRow
from requests_app.models import Grant, RequestScope

# Grants in force at one minute that are compared; beyond, the search has to be narrower.
MOST_HELD = 10_000


class Change(StrEnum):
    """How the second minute differs from the first."""

    GAINED = "gained"
    LOST = "lost"
    SAME = "same"


_TONES = {Change.GAINED: "live", Change.LOST: "ending", Change.SAME: "ended"}
_SHAPES = {Change.GAINED: "plus-circle", Change.LOST: "minus-circle", Change.SAME: "equals"}
SHOWN: Mapping[str, frozenset[Change]] = {
    "": frozenset({Change.GAINED, Change.LOST}),
    **{change: frozenset({change}) for change in Change},
    "all": frozenset(Change),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One person's access through one PIM group, with the grants that gave it at each minute."""

    person: str
    group: str
    before: tuple[UUID, ...]
    after: tuple[UUID, ...]

    @property
    def change(self) -> Change:
        if not self.before:
            return Change.GAINED
        return Change.SAME if self.after else Change.LOST


@dataclass(frozen=True, slots=True)
class Row:
    """A pair, ready to show."""

    pair: Pair
    before: Sequence[Access]
    after: Sequence[Access]

    @property
    def tone(self) -> str:
        return _TONES[self.pair.change]

    @property
    def shape(self) -> str:
        return _SHAPES[self.pair.change]

    @property
    def words(self) -> str:
        return self.pair.change.title()


@dataclass(frozen=True, slots=True)
class Changes:
    """One page of what changed from `since` to `until`; `counts` are of all pages and all kinds of change."""

    since: datetime
    until: datetime
    counts: Mapping[str, int]
    page: Page[Pair]
    rows: Sequence[Row]
    scoped: bool = False  # as in `AsOf`
    widened: Sequence[FindingRow] = ()


def changes(wanted: Mapping[str, Any], number: str = "1") -> Changes:
    """What changed between the minutes that a cleaned `ChangesForm` names, by name of the person and the group.

    Raises:
        Invalid: a name fits nothing or too much, more than MOST_HELD grants were in force, or it took too long.
    """
    since, until = wanted["since"], wanted["until"]
    with bounded():
        scope, who = scope_named(wanted), named(wanted)
        pairs = compare(_held(since, who, scope), _held(until, who, scope))
        shown = [pair for pair in pairs if pair.change in SHOWN[wanted["show"]]]
        page = Paginator(shown, PAGE).get_page(number)
        at_first = _accesses((pk for pair in page for pk in pair.before), since, scope)
        at_second = _accesses((pk for pair in page for pk in pair.after), until, scope)
        widened = opened_more(since, until + MINUTE, who, scope)
    rows = [
        Row(pair, [at_first[pk] for pk in pair.before], [at_second[pk] for pk in pair.after]) for pair in page
    ]
    counts = {change.value: sum(1 for pair in pairs if pair.change is change) for change in Change}
    return Changes(since, until, counts, page, rows, scope is not None, widened)


@dataclass(frozen=True, slots=True)
class Holding:
    """One grant in force: of whom, through which group, and how they are called."""

    grant: UUID
    person: int
    group: int
    person_name: str
    group_name: str


def compare(before: Iterable[Holding], after: Iterable[Holding]) -> list[Pair]:
    """The pairs of either minute, by name. Pure."""
    grants: dict[tuple[int, int], tuple[list[UUID], list[UUID]]] = {}
    names: dict[tuple[int, int], tuple[str, str]] = {}
    for place, held in enumerate((before, after)):
        for each in held:
            key = each.person, each.group
            grants.setdefault(key, ([], []))[place].append(each.grant)
            names[key] = each.person_name, each.group_name
    order = sorted(grants, key=lambda key: (*(name.lower() for name in names[key]), key))
    return [Pair(*names[key], tuple(grants[key][0]), tuple(grants[key][1])) for key in order]


def _held(at: datetime, who: Named, scope: QuerySet[RequestScope] | None) -> list[Holding]:
    rows = holding_at(at, who, scope).order_by("starts_at", "pk")
    columns = ("pk", "person", "group", "person__display_name", "group__display_name")
    found = [Holding(*row) for row in rows.values_list(*columns)[: MOST_HELD + 1]]
    if len(found) > MOST_HELD:
        sentence = f"More than {MOST_HELD:,} accesses at {at:%Y-%m-%d %H:%M} fit. Name a person, an account or a group."
        raise Invalid("audit.too_many_held", sentence)
    return found


def _accesses(
    grants: Iterable[UUID], at: datetime, scope: QuerySet[RequestScope] | None
) -> Mapping[UUID, Access]:
    rows = list(Grant.objects.filter(pk__in=list(grants)).select_related("person", "group"))
    return {access.grant.pk: access for access in accesses_of(rows, at, scope)} if rows else {}
