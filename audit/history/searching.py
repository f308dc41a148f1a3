"""The timeline's search: names become ids, the filter goes to the ledger, rows come back ready to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from audit.history.naming import groups_named, people_named, scope_named
from audit.history.presentation import Row, rows
from audit.history.words import action_words
from audit.ledger import reading
from audit.ledger.models import Outcome
from audit.ledger.reading import EventFilter, Facets, Position
from catalog.models import PimGroup
from identity.selectors import people

# Requests up to which a filter names each. Rows of scope up to which their requests are gathered once a search and the
# newest events tried against them; beyond, what it looks for is so common that each event is looked up.
MOST_NAMED = 500
MOST_GATHERED = 10_000


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a facet: the filter that it would be, in words, and how many of the newest matches have it."""

    field: str  # of the form
    value: str
    words: str
    number: int


@dataclass(frozen=True, slots=True)
class Facet:
    """One way to narrow the search down."""

    title: str
    choices: Sequence[Choice]


@dataclass(frozen=True, slots=True)
class Timeline:
    """One page of the timeline."""

    rows: Sequence[Row]
    older: Position | None
    counted: int | None  # only on the first page
    facets: Sequence[Facet] = ()  # likewise
    cut: bool = False  # whether there are, or may be, more than were counted
    total: int | None = None  # how many there are with those, where it is known

    @property
    def facet_words(self) -> str:
        """Over what the facets are counted."""
        if self.cut and self.total is not None:
            return f"counted over the newest {self.counted:,} of {self.total:,} matches"
        if self.cut:
            return f"counted over the newest {self.counted:,} matches; there may be more"
        return "counted over all matches"

    @property
    def count_words(self) -> str:
        """How many there are, as far as it was counted."""
        if self.counted is None:
            return ""
        if self.cut and self.total is None:
            return f"{self.counted:,} events or more"
        number = self.counted if self.total is None else self.total
        return f"{number:,} event{'' if number == 1 else 's'}"


def timeline(wanted: Mapping[str, Any], before: Position | None) -> Timeline:
    """The page of the timeline that a cleaned `TimelineForm` asks for.

    Raises:
        Invalid: a name fits nobody or too many (with the field it was written in), or the search took too long.
    """
    chosen = event_filter(wanted)
    if before is not None:
        page = reading.events(chosen, before=before)
        return Timeline(rows(page.entries), page.older, None)
    page, found = reading.opening(chosen)
    facets = _named(found, wanted)
    return Timeline(rows(page.entries), page.older, found.counted, facets, found.cut, found.total)


def event_filter(wanted: Mapping[str, Any]) -> EventFilter:
    """The ledger's filter for a cleaned form. Raises Invalid for names that fit nothing or too much."""
    return EventFilter(
        people=people_named(wanted["person"]),
        actors=people_named(wanted.get("by", ""), "by"),
        groups=groups_named(wanted["group"]),
        types=wanted["types"],
        outcome=wanted["outcome"],
        requests=_requests(wanted),
        address=wanted.get("address", ""),
        since=wanted["since"],
        until=wanted["until"],
        words=wanted["words"],
    )


def _named(found: Facets, wanted: Mapping[str, Any]) -> Sequence[Facet]:
    """The facets with names, without those that the search is narrowed by already. Two queries at most."""
    actors, groups = found.values["actor_oid"], found.values["group_oid"]
    names = dict(
        people().filter(object_id__in=[key for key, _ in actors]).values_list("object_id", "display_name")
    )
    called = dict(
        PimGroup.objects.filter(object_id__in=[key for key, _ in groups]).values_list(
            "object_id", "display_name"
        )
    )
    facets = (
        Facet(
            "Action",
            [Choice("action", kind, action_words(kind), number) for kind, number in found.values["type"]],
        ),
        Facet(
            "Outcome",
            [
                Choice("outcome", key, str(Outcome(key).label), number)
                for key, number in found.values["outcome"]
            ],
        ),
        Facet("By", [Choice("by", key, names.get(key, key), number) for key, number in actors]),
        Facet("PIM group", [Choice("group", key, called.get(key, key), number) for key, number in groups]),
    )
    narrowed = {name for name in ("outcome", "by", "group") if wanted.get(name)}
    if len(wanted["types"]) == 1:
        narrowed.add("action")
    return [each for each in facets if len(each.choices) > 1 and each.choices[0].field not in narrowed]


def _requests(wanted: Mapping[str, Any]) -> Sequence[UUID] | QuerySet[Any, Any] | None:
    """The requests whose scope, as it was when they were made, holds what the form names of account, OU and permission set.

    A few are named, so that their events are looked up; some stay a subquery of bounded length, and very many one
    without a bound, so that the newest events are tried against it. Any way a page reads little.
    """
    scope = scope_named(wanted)
    if scope is None:
        return None
    found = scope.values_list("item__request_id", flat=True)
    if scope[: MOST_GATHERED + 1].count() > MOST_GATHERED:
        return found
    few = list(found.distinct()[: MOST_NAMED + 1])
    return few if len(few) <= MOST_NAMED else found[:MOST_GATHERED]
