"""Setting stars, taking them away, and reading them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from base.clock import business_now, real_now
from base.errors import Conflict, Missing
from catalog.models import PimGroup
from catalog.selectors import visible_to
from identity.models import Person
from requests_app.favourites.models import Favourite

# As many as Home shows, so that none is out of sight.
MOST_FAVOURITES = 12


def favourites_of(person: Person) -> Sequence[PimGroup]:
    """The starred PIM groups that the person is or will be eligible for, by name. One query."""
    starred = Favourite.objects.filter(person=person).values("group")
    rows = visible_to(person, business_now()).filter(pk__in=starred)
    return list(rows.defer("search").order_by("display_name", "pk")[:MOST_FAVOURITES])


def starred_among(person: Person, groups: Collection[PimGroup]) -> frozenset[int]:
    """The keys of those of the groups that the person has starred. One query."""
    return frozenset(
        Favourite.objects.filter(person=person, group__in=groups).values_list("group_id", flat=True)
    )


def star(*, person: Person, group_object_id: str) -> PimGroup:
    """Star a group; once is enough. Nothing but Home follows from it, so the trail doesn't hold it.

    Raises:
        Missing: no such group, or no eligibility for it; deliberately the same.
        Conflict: the person has starred as many as Home shows.
    """
    group = _group_for(person, group_object_id)
    if starred_among(person, [group]):
        return group
    if len(favourites_of(person)) >= MOST_FAVOURITES:
        raise Conflict(
            "favourite.full",
            f"You have {MOST_FAVOURITES} favourites, which is as many as Home shows. Take the star off another first.",
        )
    Favourite.objects.get_or_create(person=person, group=group, defaults={"since": real_now()})
    return group


def unstar(*, person: Person, group_object_id: str) -> PimGroup:
    """Take the star off a group; harmless where there is none. Raises Missing as `star` does."""
    group = _group_for(person, group_object_id)
    Favourite.objects.filter(person=person, group=group).delete()
    return group


def _group_for(person: Person, object_id: str) -> PimGroup:
    group = visible_to(person, business_now()).filter(object_id=object_id).defer("search").first()
    if group is None:
        raise Missing("group.missing", "There is no such PIM group, or you are not eligible for it.")
    return group
