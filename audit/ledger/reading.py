"""Reading the trail: newest first, by keyset, in bounded time. Filters are an allow-list, never free names.

A page is found by walking one index: the filter's rarest kind of value chooses which, one short walk per
value, and the walks are merged. Nothing here counts beyond 10,001.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import accumulate
from typing import Any, Self
from uuid import UUID

import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import OperationalError, connection
from django.db.models import F, Func, IntegerField, Q, QuerySet, Sum
from django_subatomic.db import transaction

from audit.ledger.canonical import commitment
from audit.ledger.gathering import Once, Requests, among, over_candidates
from audit.ledger.models import Event, Outcome, PersonalWords
from audit.ledger.wording import (
    COMMON,
    MOST_NAMED,
    SAMPLE,
    likely_rare,
    terms_of,
    try_words,
    with_words,
    worded_types,
)
from base.clock import business_clock, business_now
from base.errors import Invalid

PAGE = 50
MOST_COUNTED = 10_000
MOST_VALUES = 40  # values of one kind in one filter
MOST_OF_A_CASE = 2_000
# Events that are tried for common words or many requests, and of those that match so many as facets count.
MOST_TRIED = 10_000
MOST_TRIED_BY_INDEX = 50_000  # where the index alone says whose request each is
MOST_WORDED = 500
MOST_TRIED_WORDED = (
    100  # where each that is tried is read for its words, and may lie among hundreds of others
)
FACETS = ("type", "outcome", "actor_oid", "group_oid")
MOST_OF_A_FACET = 10  # values of each, the most frequent first
STATEMENT_TIMEOUT = timedelta(seconds=3)
ROOM = "64MB"  # that one sort or hash of a statement may take
# The two clocks that stamp an event are of different machines; so far apart may they be.
_SKEW = timedelta(minutes=10)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the trail, for "older than this"."""

    at: datetime
    id: int

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // _MICROSECOND}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The position that str() wrote, or None for anything else."""
        micros, _, number = text.partition("-")
        if not (micros.isdecimal() and number.isdecimal() and len(text) < 40):
            return None
        try:
            return cls(_EPOCH + int(micros) * _MICROSECOND, int(number))
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What to look for; kinds are joined by "and", values of one kind by "or". Empty means any.

    `requests` are request ids, or a subquery of them where there are many: sliced when it may be gathered at once.
    `since` and `until` are business time, `until` exclusive.
    """

    people: tuple[str, ...] = ()  # object ids, as actor or as the person whom it is about
    actors: tuple[str, ...] = ()  # object ids, as actor only
    groups: tuple[str, ...] = ()  # object ids
    types: tuple[str, ...] = ()
    outcome: str = ""
    requests: Requests | None = None
    since: datetime | None = None
    until: datetime | None = None
    address: str = ""  # from which somebody acted, in its shortest form
    words: str = ""  # words and beginnings of words, all of which somebody wrote in one text

    def __post_init__(self) -> None:
        # Blanks look for nothing, as no text does.
        object.__setattr__(self, "words", self.words.strip())
        terms_of(self.words)
        # Whatever can have words may be named at once.
        for values in (self.people, self.actors, self.groups, {*self.types} - {*worded_types(())}):
            if len(values) > MOST_VALUES:
                raise Invalid("audit.too_many", f"At most {MOST_VALUES} values at once. Be more precise.")
        if self.outcome and self.outcome not in Outcome.values:
            raise Invalid("audit.outcome", "There is no such outcome.", field="outcome")


@dataclass(frozen=True, slots=True)
class Entry:
    """An event and what is kept beside it."""

    event: Event
    texts: Mapping[str, str] = field(default_factory=dict)  # words and names that are what was committed to
    erased: frozenset[str] = frozenset()  # committed to, and no longer kept

    @property
    def fields(self) -> Mapping[str, Any]:
        """The facts of the event, as its type declares them."""
        found: Mapping[str, Any] = self.event.data.get("fields", {})
        return found


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the trail; `older` is where the next one begins."""

    entries: Sequence[Entry]
    older: Position | None


def events(
    wanted: EventFilter, *, before: Position | None = None, limit: int = PAGE, most_bytes: int | None = None
) -> Page:
    """The newest events that match, older than `before`; with `most_bytes`, no more than have so many together.

    Raises:
        Invalid: the search took longer than it may; the sentence says what to do.
    """
    with bounded():
        return _page(_keys(wanted, before, limit + 1), limit, most_bytes)


def newest_tried(wanted: EventFilter, *, most_bytes: int | None = None) -> Sequence[Entry]:
    """The matches of common words among the newest events that are tried, where all of them take too long; none of others.

    With `most_bytes`, no more than have so many together.

    Raises:
        Invalid: the search took longer than it may.
    """
    with bounded():
        common = _common(wanted, None, MOST_TRIED)
        return _entries(_by_keys(_within(common.rows, most_bytes))) if common is not None else ()


def _page(keys: Sequence[Mapping[str, Any]], limit: int, most_bytes: int | None = None) -> Page:
    """The page of these keys, of which one more than it holds says that there are older ones."""
    shown = _within(keys[:limit], most_bytes)
    last = shown[-1] if len(keys) > len(shown) else None
    return Page(_entries(_by_keys(shown)), Position(last["at"], last["id"]) if last else None)


def _within(keys: Sequence[Mapping[str, Any]], most_bytes: int | None) -> Sequence[Mapping[str, Any]]:
    """The first of these, one at least, whose texts and words have no more bytes together. Postgres counts them."""
    if most_bytes is None or not keys:
        return keys
    length = partial(Func, function="octet_length", output_field=IntegerField())
    ids, times = [key["id"] for key in keys], [key["at"] for key in keys]
    of_events = Event.objects.filter(id__in=ids, at__gte=min(times), at__lte=max(times))
    lengths = Counter(dict(of_events.values_list("id", length(F("canon")))))
    words = PersonalWords.objects.filter(event_id__in=ids).values_list("event_id").order_by()
    lengths.update(dict(words.annotate(long=Sum(length(F("words"))))))
    so_far = accumulate(lengths[number] for number in ids)
    return keys[: max(1, sum(1 for each in so_far if each <= most_bytes))]


def count(wanted: EventFilter) -> int:
    """How many events match, up to 10,001, which means "more than 10,000".

    Raises:
        Invalid: the search took longer than it may.
    """
    most = MOST_COUNTED + 1
    with bounded():
        return _newest(wanted, None, most).count()


@dataclass(frozen=True, slots=True)
class Facets:
    """How the newest matches divide: for each of FACETS its most frequent values, counted over at most 10,000 events.

    Of rare words, and of very many requests, at most 500, and fewer of common words. `cut`: older matches were not counted.
    `total`: how many matches there are with those, where it is known.
    """

    counted: int
    values: Mapping[str, Sequence[tuple[str, int]]]
    cut: bool = False
    total: int | None = None


# The newest matches are found once, as a page's are, and then counted by each of the four.
_FACETS = """
WITH matches AS MATERIALIZED ({matches}), newest AS (SELECT * FROM matches LIMIT %s)
SELECT place, value, number FROM (
    SELECT GROUPING(type, outcome, actor_oid, group_oid) AS place, COUNT(*) AS number,
           coalesce(type, outcome, actor_oid, group_oid) AS value,
           row_number() OVER (PARTITION BY GROUPING(type, outcome, actor_oid, group_oid)
                              ORDER BY COUNT(*) DESC, coalesce(type, outcome, actor_oid, group_oid)) AS rank
    FROM newest GROUP BY GROUPING SETS ((type), (outcome), (actor_oid), (group_oid))
) AS ranked WHERE rank <= %s
UNION ALL SELECT 0, '', COUNT(*) FROM matches
"""
# What GROUPING says of each: a bit for every column that the row is not grouped by.
_PLACES = {7: "type", 11: "outcome", 13: "actor_oid", 14: "group_oid"}


def opening(wanted: EventFilter) -> tuple[Page, Facets]:
    """The newest page, and what the newest matches consist of. Matches that are found by trying are found once for both.

    Raises:
        Invalid: the search took longer than it may.
    """
    with bounded():
        most = MOST_TRIED_WORDED if wanted.words else MOST_WORDED
        tried = _common(wanted, None, most + 1, FACETS)
        if tried is None and not wanted.words and isinstance(wanted.requests, QuerySet):
            tried = _of_many_requests(wanted, wanted.requests, FACETS)
        if tried is None:
            worded = with_words(wanted.words) if wanted.words else None
            if worded is not None and len(worded) == 1:
                return _of_rare_words(wanted, worded)
            return _page(list(_newest(wanted, None, PAGE + 1, worded=worded)), PAGE), _divided(wanted, worded)
        enough = tried.whole or len(tried.rows) > PAGE
        keys = tried.rows[: PAGE + 1] if enough else list(_newest(wanted, None, PAGE + 1))
        return _page(keys, PAGE), _counted(tried.rows[:most], cut=not tried.whole)


def _of_rare_words(wanted: EventFilter, worded: Sequence[Q]) -> tuple[Page, Facets]:
    """The page and the facets of words that few events have: all their keys are in an index, and no more rows are read than
    are counted."""
    keys = list(_newest(wanted, None, MOST_NAMED, worded=worded))
    counted = _columns_by_keys(keys[:MOST_WORDED], FACETS)
    facets = _counted(counted, cut=len(keys) > len(counted))
    return _page(keys[: PAGE + 1], PAGE), replace(facets, total=len(keys))


def _divided(wanted: EventFilter, worded: Sequence[Q] | None = None) -> Facets:
    """The facets of what indexes find; one statement."""
    values: dict[str, list[tuple[str, int]]] = {name: [] for name in FACETS}
    counted = 0
    try:
        newest = _newest(wanted, None, MOST_COUNTED + 1, FACETS, worded=worded)
        matches, parameters = newest.query.sql_with_params()
    except EmptyResultSet:
        return Facets(0, values)
    with connection.cursor() as cursor:
        cursor.execute(_FACETS.format(matches=matches), [*parameters, MOST_COUNTED, MOST_OF_A_FACET + 1])
        for place, value, number in cursor.fetchall():
            if place == 0:
                counted = number
            elif value and len(values[_PLACES[place]]) < MOST_OF_A_FACET:
                values[_PLACES[place]].append((value, number))
    return Facets(
        min(counted, MOST_COUNTED),
        {name: sorted(each, key=lambda one: (-one[1], one[0])) for name, each in values.items()},
        cut=counted > MOST_COUNTED,
    )


def _counted(rows: Sequence[Mapping[str, Any]], *, cut: bool) -> Facets:
    """The facets of rows that were read."""
    values = {
        name: sorted(
            Counter(row[name] for row in rows if row[name]).items(), key=lambda one: (-one[1], one[0])
        )
        for name in FACETS
    }
    return Facets(len(rows), {name: each[:MOST_OF_A_FACET] for name, each in values.items()}, cut)


def events_of_request(
    request_id: UUID, *, grant_ids: Sequence[UUID] = (), limit: int = MOST_OF_A_CASE
) -> Sequence[Entry]:
    """Everything about one request and its grants, oldest first; the newest `limit` of it."""
    with bounded():
        rows = Event.objects.filter(_reachable())
        keys = rows.filter(request_id=request_id).order_by("-at", "-id").values("at", "id")[:limit]
        if grant_ids:
            of_grants = rows.filter(grant_id__in=grant_ids).order_by("-at", "-id").values("at", "id")[:limit]
            keys = keys.union(of_grants).order_by("-at", "-id")[:limit]
        return _entries(reversed(_by_keys(list(keys))))


def events_at(keys: Sequence[Position]) -> Sequence[Entry]:
    """The events at these places, in that order; one that is no longer in the trail is left out."""
    if not keys:
        return ()
    times = [key.at for key in keys]
    found = Event.objects.filter(id__in=[key.id for key in keys], at__gte=min(times), at__lte=max(times))
    by_id = {event.id: event for event in found.defer("canon")}
    return _entries([by_id[key.id] for key in keys if key.id in by_id])


@contextmanager
def bounded(*, roomy: bool = False) -> Iterator[None]:
    """A transaction whose statements end after the limit, with a sentence for people instead of an error.

    `roomy` ones sort half a million rows where they are, and not on a disk.
    """
    bounds = {"statement_timeout": str(int(STATEMENT_TIMEOUT.total_seconds() * 1000))}
    if roomy:
        bounds["work_mem"] = ROOM
    try:
        with transaction(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS bound (name, value)",
                [list(bounds), list(bounds.values())],
            )
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise Invalid(
                "audit.too_slow",
                f"This search took longer than {STATEMENT_TIMEOUT.seconds} seconds and was stopped. "
                "Name a person, or a shorter time.",
            ) from error
        raise


def _reachable() -> Q:
    """Bounds that leave the partitions of the future alone."""
    return Q(at__lt=_machine_now() + timedelta(days=1))


def _machine_now() -> datetime:
    """As near as can be to the clock that stamps `at`, the database's, which nobody scales or steps."""
    return datetime.now(UTC)


def _keys(wanted: EventFilter, before: Position | None, most: int) -> Sequence[Mapping[str, Any]]:
    """Keys (at, id) of the newest `most` matches."""
    common = _common(wanted, before, most)
    if common is not None and (len(common.rows) == most or common.whole):
        return common.rows
    return list(_newest(wanted, before, most))


@dataclass(frozen=True, slots=True)
class _Common:
    """The newest matches of common words; `whole`: nothing older was left untried."""

    rows: Sequence[Mapping[str, Any]]
    whole: bool


def _common(
    wanted: EventFilter, before: Position | None, most: int, more: Sequence[str] = ()
) -> _Common | None:
    """The newest `most` matches of common words, found by trying the newest MOST_TRIED events that can have some.

    None without words, and where they are too rare for that.
    """
    types = worded_types(wanted.types) if wanted.words else ()
    if not types or likely_rare(wanted.words):
        return None
    bare = replace(wanted, words="", types=types)
    once = None
    if isinstance(wanted.requests, QuerySet) and wanted.requests.query.is_sliced:
        once = Once(wanted.requests)
        bare = replace(bare, requests=once)
    candidates = _newest(bare, before, MOST_TRIED)
    tried = try_words(candidates, wanted.words, most, sample=SAMPLE, common=COMMON, once=once)
    if tried is None:
        return None
    keys = [{"at": at, "id": event_id} for at, event_id in tried.rows]
    whole = tried.candidates is not None and tried.candidates < MOST_TRIED
    return _Common(_columns_by_keys(keys, more) if more else keys, whole)


_OF_REQUESTS = "SELECT at, id FROM candidates WHERE {condition} LIMIT %s"


def _of_many_requests(
    wanted: EventFilter, requests: QuerySet[Any, Any], more: Sequence[str]
) -> _Common | None:
    """The matches among the newest events, of which so many are tried as an index shows quickly.

    None when there are no more events than that, or no requests.
    """
    sliced = requests.query.is_sliced
    others = wanted.people or wanted.actors or wanted.groups or wanted.outcome or wanted.address
    by_index = sliced and not others
    tried = MOST_TRIED_BY_INDEX if by_index else MOST_TRIED
    candidates = _newest(replace(wanted, requests=None), None, tried, ("request_id",))
    try:
        these, named = requests.query.sql_with_params()
    except EmptyResultSet:
        return None
    # Neither form may be joined by: a join gives the candidates in its own order, and then not the newest. Read one by
    # one in theirs, no more of them are tried than it takes.
    condition = (
        f"CASE WHEN request_id IN ({these}) THEN TRUE ELSE FALSE END"
        if sliced
        else f"EXISTS (SELECT FROM ({these}) AS those (id) WHERE those.id = candidates.request_id OFFSET 0)"
    )
    statement = _OF_REQUESTS.format(condition=condition)
    found = over_candidates(statement, candidates, None, [*named, MOST_WORDED + 1])
    keys = [{"at": at, "id": event_id} for at, event_id in found]
    if len(keys) <= MOST_WORDED and candidates.count() < tried:
        return None
    return _Common(_columns_by_keys(keys, more), whole=False)


def _columns_by_keys(keys: Sequence[Mapping[str, Any]], more: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """These columns of the events of these keys, in their order."""
    if not keys:
        return ()
    rows = Event.objects.filter(
        id__in=[key["id"] for key in keys], at__gte=keys[-1]["at"], at__lte=keys[0]["at"]
    ).values("at", "id", *more)
    found = {(row["at"], row["id"]): row for row in rows}
    return [found[key["at"], key["id"]] for key in keys]


def _newest(
    wanted: EventFilter,
    before: Position | None,
    most: int,
    more: Sequence[str] = (),
    *,
    worded: Sequence[Q] | None = None,
) -> QuerySet[Event, Any]:
    """Keys (at, id) of the newest `most` matches, one index walk per value of the filter's rarest kind.

    `more` are columns that the rows have besides; `worded` is what `with_words` gave, where it was asked already.
    """
    walks = list(_walks(wanted, worded))
    conditions = _reachable() & _time(wanted)
    if before is not None:
        conditions &= Q(at__lte=before.at) & (Q(at__lt=before.at) | Q(id__lt=before.id))
    parts: list[QuerySet[Event, Any]] = [
        Event.objects.filter(conditions, walk).order_by("-at", "-id").values("at", "id", *more)[:most]
        for walk in walks
    ]
    if not parts:
        return Event.objects.none()
    if len(parts) == 1:
        return parts[0]
    # But for words, walks share no event, and so are merged without looking at all of them.
    apart = not wanted.words
    return parts[0].union(*parts[1:], all=apart).order_by("-at", "-id")[:most]


def _walks(wanted: EventFilter, worded: Sequence[Q] | None = None) -> Iterator[Q]:
    """The filter as conditions of which each is served by one index, together covering it."""
    if wanted.words:
        bare = replace(wanted, words="", types=wanted.types and worded_types(wanted.types))
        if wanted.types and not bare.types:
            return  # none of these can have words
        found = with_words(wanted.words) if worded is None else worded
        if len(found) == 1:  # few are named: whatever else is asked is tried on each
            yield found[0] & _people(wanted) & _rest(bare)
        else:
            yield from (walk & each for walk in _walks(bare) for each in found)
    elif wanted.people:
        rest = _rest(replace(wanted, people=()))
        for person in wanted.people:
            yield Q(actor_oid=person) & rest
            yield Q(about_oid=person) & ~Q(actor_oid__in=wanted.people) & rest
    elif wanted.actors:
        rest = _rest(replace(wanted, actors=()))
        yield from (Q(actor_oid=actor) & rest for actor in wanted.actors)
    elif wanted.requests is not None:
        # Many are tried on the newest events, of each type apart: its index says whose request an event is.
        apart = isinstance(wanted.requests, QuerySet | Once)
        rest = _rest(replace(wanted, types=()) if apart else wanted)
        yield from (Q(type=name) & rest for name in wanted.types) if apart and wanted.types else (rest,)
    elif wanted.groups:
        rest = _rest(replace(wanted, groups=()))
        yield from (Q(group_oid=group) & rest for group in wanted.groups)
    elif wanted.types:
        rest = _rest(replace(wanted, types=()))
        yield from (Q(type=name) & rest for name in wanted.types)
    else:
        yield _rest(wanted)


def _people(wanted: EventFilter) -> Q:
    """Any of the filter's people, as actor or as the one concerned."""
    if not wanted.people:
        return Q()
    return Q(actor_oid__in=wanted.people) | Q(about_oid__in=wanted.people)


def _rest(wanted: EventFilter) -> Q:
    conditions = Q()
    if wanted.requests is not None:
        conditions &= among(wanted.requests)
    if wanted.actors:
        conditions &= Q(actor_oid__in=wanted.actors)
    if wanted.groups:
        conditions &= Q(group_oid__in=wanted.groups)
    if wanted.types:
        conditions &= Q(type__in=wanted.types)
    if wanted.outcome:
        conditions &= Q(outcome=wanted.outcome)
    if wanted.address:
        conditions &= Q(ip=wanted.address)
    return conditions


def _time(wanted: EventFilter) -> Q:
    """Business time decides; where it is real time, the bounds on `at` let the index find it."""
    conditions = Q()
    same = business_clock().factor == 1.0 and abs(business_now() - _machine_now()) < _SKEW
    if wanted.since is not None:
        conditions &= Q(business_at__gte=wanted.since)
        if same:
            conditions &= Q(at__gte=wanted.since - _SKEW)
    if wanted.until is not None:
        conditions &= Q(business_at__lt=wanted.until)
        if same:
            conditions &= Q(at__lt=wanted.until + _SKEW)
    return conditions


def _by_keys(keys: Sequence[Mapping[str, Any]]) -> list[Event]:
    """The events of these keys, in their order."""
    if not keys:
        return []
    times = [key["at"] for key in keys]
    rows = Event.objects.filter(
        id__in=[key["id"] for key in keys], at__gte=min(times), at__lte=max(times)
    ).defer("canon")
    found = {(event.at, event.id): event for event in rows}
    return [found[key["at"], key["id"]] for key in keys]


def _entries(rows: Iterator[Event] | Sequence[Event]) -> list[Entry]:
    """Events with the words and names that are still kept. Words that aren't those committed to are left out."""
    found = list(rows)
    kept: dict[int, dict[str, PersonalWords]] = {}
    for words in PersonalWords.objects.filter(event_id__in=[event.id for event in found]):
        kept.setdefault(words.event_id, {})[words.field] = words
    return [_entry(event, kept.get(event.id, {})) for event in found]


def _entry(event: Event, kept: Mapping[str, PersonalWords]) -> Entry:
    commitments: Mapping[str, str] = event.data.get("commitments", {})
    texts = {
        name: kept[name].words
        for name, promised in commitments.items()
        if name in kept
        and hmac.compare_digest(
            commitment(bytes(kept[name].salt), kept[name].words).encode(), promised.encode()
        )
    }
    return Entry(event, texts, frozenset(set(commitments) - set(kept)))
