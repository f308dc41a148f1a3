"""Finding events by the words that people wrote, and by references. Words and beginnings of words; all have to be there.

A text is parted into words by `audit_words` in the database (`sql.WORDS`), a search in the same way here. The index of
words finds rare ones. Common ones it finds all at once and in no order, a million of them before the first page: they are
met soon enough when the newest events are tried one by one (ADR 0067).
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchQuery, SearchVectorExact, SearchVectorField
from django.db import connection
from django.db.models import BigIntegerField, BooleanField, F, Func, Q, QuerySet, Value

from audit.ledger.gathering import Once, over_candidates
from audit.ledger.models import Event, PersonalWords
from audit.ledger.registry import registered
from audit.ledger.sql import SEARCHED_WORDS
from base.errors import Invalid

# Events up to which a search names each; beyond, what it looks for is common.
MOST_NAMED = 1_500
MOST_TERMS = 10
# Words are common when so many of the newest events have them that could have some.
SAMPLE, COMMON = 1_000, 5
_REFERENCE = "reference"
_APART = str.maketrans(dict.fromkeys(string.punctuation, " "))


def terms_of(text: str) -> list[str]:
    """The words to look for; none for no text. Raises Invalid when there is no word in it, or too many."""
    terms = text.translate(_APART).split()
    if text.strip() and not terms:
        raise Invalid("audit.no_word", "Write a word, or the beginning of one.", field="words")
    if len(terms) > MOST_TERMS:
        raise Invalid("audit.too_many_words", f"At most {MOST_TERMS} words at once.", field="words")
    return terms


def likely_rare(text: str) -> bool:
    """Whether there is a number in it: few texts have the same, and the index is asked first."""
    return any(letter.isdigit() for letter in text)


def with_words(text: str) -> list[Q]:
    """Conditions on events, of which one has to hold: these words are in what somebody wrote, or in a reference.

    Reads the database: a few events are named, so that they are looked up. Many stay two conditions, each with its
    own index. To be called where statements are bounded in time.
    """
    few = _few(text)
    if few is not None:
        return [Q(_Among(F("id"), Value(sorted(few), output_field=ArrayField(BigIntegerField()))))]
    wanted = SearchQuery(_query(terms_of(text)), config="simple", search_type="raw")
    written = PersonalWords.objects.filter(
        SearchVectorExact(_vector("words", "audit_words"), wanted), field__in=SEARCHED_WORDS
    ).values_list("event_id", flat=True)
    return [
        Q(id__in=written),
        Q(SearchVectorExact(_vector("data", "audit_reference_words"), wanted)),
    ]


class _Among(Func):
    """A column is one of an array's values, which Postgres looks up in order; of a list it would weigh each first."""

    template = "(%(expressions)s))))"
    arg_joiner = " = ANY(ARRAY(SELECT unnest("
    arity = 2
    output_field = BooleanField()


# What one word was found in has all of one word.
_ALSO = "(%(all)s::text = %(one)s::text OR {vector} @@ to_tsquery('simple', %(all)s))"
# The index looks for one word; the others are looked for in what it finds. A beginning that every text has would else be
# collected a million times before the rare one beside it counts.
_FOUND = f"""
SELECT event_id, has FROM (
    SELECT event_id, {_ALSO.format(vector="public.audit_words(words)")} AS has FROM audit_pii
    WHERE public.audit_words(words) @@ to_tsquery('simple', %(one)s)
      AND field IN ({", ".join(f"'{name}'" for name in SEARCHED_WORDS)}) LIMIT %(most)s
) AS written
UNION ALL
SELECT id, has FROM (
    SELECT id, {_ALSO.format(vector="public.audit_reference_words(data)")} AS has FROM audit_event
    WHERE public.audit_reference_words(data) @@ to_tsquery('simple', %(one)s) LIMIT %(most)s
) AS referred
"""  # noqa: S608 - names of this module only


def _few(text: str) -> set[int] | None:
    """The events with these words, when so few have the one that is likely the rarest; else None."""
    terms = terms_of(text)
    rarest = max(terms, key=lambda term: (any(letter.isdigit() for letter in term), len(term)))
    with connection.cursor() as cursor:
        cursor.execute(_FOUND, {"all": _query(terms), "one": _query([rarest]), "most": MOST_NAMED + 1})
        found: list[tuple[int, bool]] = cursor.fetchall()
    return {event_id for event_id, has in found if has} if len(found) <= MOST_NAMED else None


def worded_types(among: Sequence[str]) -> tuple[str, ...]:
    """Those of these event types, of all for none, that can have words or a reference; one of which nobody knows may."""
    known = registered()
    return tuple(
        name
        for name in among or known
        if name not in known or _REFERENCE in known[name].fields or {*SEARCHED_WORDS} & {*known[name].words}
    )


# Whether an event has the words, tried by itself.
_HAS = """
(EXISTS (SELECT FROM audit_pii kept WHERE kept.event_id = candidates.id AND kept.field = ANY(%s)
         AND public.audit_words(kept.words) @@ to_tsquery('simple', %s) OFFSET 0)
 OR EXISTS (SELECT FROM audit_event event WHERE event.id = candidates.id AND event.at = candidates.at
            AND public.audit_reference_words(event.data) @@ to_tsquery('simple', %s) OFFSET 0))
"""
# The candidates come one by one, in their order, and no more of them than it takes. First some, which say whether it is
# worth going on; those that were tried then are kept. The last row says how many there were, if all of them were tried.
_TRIED = f"""
, sampled AS MATERIALIZED (
    SELECT 1 FROM (SELECT * FROM candidates LIMIT %s) AS candidates WHERE {_HAS} LIMIT %s
), enough AS MATERIALIZED (SELECT count(*) >= %s AS yes FROM sampled), found AS MATERIALIZED (
    SELECT at, id FROM candidates WHERE (SELECT yes FROM enough) AND {_HAS} LIMIT %s
)
SELECT at, id FROM found
UNION ALL
SELECT NULL, CASE WHEN NOT yes THEN NULL WHEN (SELECT count(*) FROM found) = %s THEN -1
             ELSE (SELECT count(*) FROM candidates) END FROM enough
"""  # noqa: S608 - texts of this module only


@dataclass(frozen=True, slots=True)
class Tried:
    """The newest keys (at, id) that have the words; how many candidates there were, None where not all were tried."""

    rows: Sequence[tuple[datetime, int]]
    candidates: int | None


def try_words(
    candidates: QuerySet[Event, Any],
    text: str,
    most: int,
    *,
    sample: int,
    common: int,
    once: Once | None = None,
) -> Tried | None:
    """The first `most` of these keys whose events have the words; one statement.

    None when fewer than `common` of the first `sample` have them.
    """
    query = _query(terms_of(text))
    has = [[*SEARCHED_WORDS], query, query]
    found = over_candidates(_TRIED, candidates, once, [sample, *has, common, common, *has, most, most])
    number = next((number for at, number in found if at is None), None)
    if number is None:
        return None
    rows = sorted(((at, event_id) for at, event_id in found if at is not None), reverse=True)
    return Tried(rows, number if number >= 0 else None)


def _query(terms: Sequence[str]) -> str:
    """Nothing that a query's syntax knows is left in a term; so quoted, each is taken as a word."""
    return " & ".join(f"'{term}':*" for term in terms)


def _vector(column: str, function: str) -> Func:
    return Func(F(column), function=f"public.{function}", output_field=SearchVectorField())
