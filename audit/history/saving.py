"""Saved searches: keeping one, removing it, and listing an auditor's own and the shared ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Q
from django.urls import reverse
from django_subatomic.db import savepoint, transaction

from audit.history.events import SEARCH
from audit.history.models import SavedSearch
from audit.ledger.recorder import Actor, record
from base.clock import business_now
from base.errors import Conflict, Invalid, Missing
from identity.models import Person

MOST_SAVED = 50  # by one auditor
MOST_LISTED = 200
LONGEST_QUERY = 4096


@dataclass(frozen=True, slots=True)
class Saved:
    """One search of the list."""

    search: SavedSearch
    address: str
    own: bool


def saved_searches(person: Person, fields: Iterable[str]) -> Sequence[Saved]:
    """This auditor's own searches and those that others share, by name; at most MOST_LISTED. One query.

    An address holds only parameters of `fields`, whatever was kept.
    """
    allowed = frozenset(fields)
    rows = SavedSearch.objects.filter(Q(owner=person) | Q(shared=True)).select_related("owner")
    return [
        Saved(row, _address(row.query, allowed), row.owner_id == person.pk)
        for row in rows.order_by("name", "pk")[:MOST_LISTED]
    ]


def _address(query: str, allowed: frozenset[str]) -> str:
    kept = [(name, value) for name, value in parse_qsl(query) if name in allowed]
    return f"{reverse('audit_timeline')}?{urlencode(kept)}"


def save_search(*, owner: Person, name: str, kept: Mapping[str, str], shared: bool, actor: Actor) -> UUID:
    """Keep the parameters of an address under a name of the owner's; gives its id.

    Raises:
        Invalid: no name, nothing to keep, or too long.
        Conflict: the owner has one of that name already, or MOST_SAVED of them.
    """
    name, query = " ".join(name.split()), urlencode(kept)
    if not kept:
        raise Invalid(
            "search.empty", "Search for something first: without a filter there is nothing to keep."
        )
    if not name or len(name) > 80 or not name.isprintable():
        raise Invalid("search.name", "Give it a name of at most 80 characters.", field="name")
    if len(query) > LONGEST_QUERY:
        raise Invalid("search.long", "This search is too long to be kept. Take a filter away.")
    search = SavedSearch(owner=owner, name=name, query=query, shared=shared, saved_at=business_now())
    with transaction():
        # Locks the owner, so that two at once can't pass the limit together.
        Person.objects.select_for_update(no_key=True).get(pk=owner.pk)
        if SavedSearch.objects.filter(owner=owner).count() >= MOST_SAVED:
            raise Conflict("search.many", f"You keep {MOST_SAVED} searches already. Remove one first.")
        try:
            with savepoint():
                search.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(
                "search.taken",
                "You keep a search of that name already. Choose another, or remove that one first.",
            ) from error
        record(
            "search.saved",
            actor=actor,
            fields={"search_id": search.pk, "shared": shared},
            words={"name": name, "filter": query},
            rows=(SEARCH.stands(search),),
        )
    return search.pk


def remove_search(*, search_id: UUID, owner: Person, actor: Actor) -> None:
    """Remove one of the owner's searches. Raises Missing for one of anybody else's, or none."""
    with transaction():
        search = SavedSearch.objects.filter(pk=search_id, owner=owner).first()
        # Whoever comes second deletes nothing, and so records nothing.
        if search is None or not SavedSearch.objects.filter(pk=search_id).delete()[0]:
            raise Missing("search.missing", "There is no such search.")
        record(
            "search.removed",
            actor=actor,
            fields={"search_id": search.pk, "shared": search.shared},
            words={"name": search.name},
            rows=(SEARCH.gone(search_id),),
        )
