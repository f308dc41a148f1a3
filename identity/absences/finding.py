"""Finding the colleague whom somebody means: by a whole address or id, else by a part of the name."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q

from identity.models import Person

MOST_FOUND = 10


def colleagues(words: str) -> Sequence[Person]:
    """People who could decide for somebody and whom these words may mean, by name; at most MOST_FOUND and one."""
    words = words.strip()
    if not words:
        return ()
    able = Person.objects.filter(enabled=True, guest=False)
    exact = Q(user_principal_name__iexact=words) | Q(mail__iexact=words) | Q(object_id__iexact=words)
    if named := list(able.filter(exact).order_by("pk")[:2]):
        return named
    return list(able.filter(display_name__icontains=words).order_by("display_name", "pk")[: MOST_FOUND + 1])


def anybody(words: str) -> Sequence[Person]:
    """People whose name or address has the words in it, for operators; at most MOST_FOUND and one."""
    if not words:
        return ()
    fits = (
        Q(display_name__icontains=words)
        | Q(user_principal_name__icontains=words)
        | Q(object_id__iexact=words)
    )
    return list(Person.objects.filter(fits).order_by("display_name", "pk")[: MOST_FOUND + 1])
