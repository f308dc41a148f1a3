"""Finding events by the words that people wrote, and by references. Words and beginnings of words; all have to be there.

A text is parted into words by `audit_words` in the database (`sql.WORDS`), a search in the same way here.
"""

from __future__ import annotations

import string

from django.contrib.postgres.search import SearchQuery, SearchVectorExact, SearchVectorField
from django.db.models import F, Func, Q

from audit.ledger.models import Event, PersonalWords
from audit.ledger.sql import SEARCHED_WORDS
from base.errors import Invalid

# Events up to which a search names each; beyond, what it looks for is common.
MOST_NAMED = 500
MOST_TERMS = 10
_APART = str.maketrans(dict.fromkeys(string.punctuation, " "))


def terms_of(text: str) -> list[str]:
    """The words to look for; none for no text. Raises Invalid when there is no word in it, or too many."""
    terms = text.translate(_APART).split()
    if text.strip() and not terms:
        raise Invalid("audit.no_word", "Write a word, or the beginning of one.", field="words")
    if len(terms) > MOST_TERMS:
        raise Invalid("audit.too_many_words", f"At most {MOST_TERMS} words at once.", field="words")
    return terms


def with_words(text: str) -> list[Q]:
    """Conditions on events, of which one has to hold: these words are in what somebody wrote, or in a reference.

    Reads the database: a few events are named, so that they are looked up. Many stay two conditions, each with its
    own index. To be called where statements are bounded in time.
    """
    # Nothing that a query's syntax knows is left in a term; so quoted, each is taken as a word.
    wanted = SearchQuery(
        " & ".join(f"'{term}':*" for term in terms_of(text)), config="simple", search_type="raw"
    )
    written = PersonalWords.objects.filter(
        SearchVectorExact(_vector("words", "audit_words"), wanted), field__in=SEARCHED_WORDS
    ).values_list("event_id", flat=True)
    referred = Q(SearchVectorExact(_vector("data", "audit_reference_words"), wanted))
    few = set(written[: MOST_NAMED + 1])
    few.update(Event.objects.filter(referred).values_list("id", flat=True)[: MOST_NAMED + 1])
    return [Q(id__in=sorted(few))] if len(few) <= MOST_NAMED else [Q(id__in=written), referred]


def _vector(column: str, function: str) -> Func:
    return Func(F(column), function=f"public.{function}", output_field=SearchVectorField())
