"""Who is away at an instant, and for whom somebody stands in. `at` is business time throughout."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Exists, OuterRef, Q, QuerySet, Value

from base.readymade import Readymade
from identity.absences.models import Absence
from identity.humans import MARK, is_human, same_human
from identity.models import Person

# Somebody who stands in for more at a time is no help to any of them; the rest is not looked at.
MOST_STOOD_IN_FOR = 20
MOST_LISTED = 50
LISTED_FOR = timedelta(days=90)


def standing_at(at: datetime) -> QuerySet[Absence]:
    """The absences in force."""
    return Absence.objects.filter(
        Q(withdrawn_at=None) | Q(withdrawn_at__gt=at), begins_at__lte=at, ends_at__gt=at
    )


def away_at(at: datetime) -> Q:
    """As a condition on people: those who are away, by whatever account they said so."""
    absent = standing_at(at)
    marked = absent.exclude(**{f"person__{MARK}": ""})
    return Q(pk__in=absent.values("person")) | Q(**{f"{MARK}__in": marked.values(f"person__{MARK}")})


def delegates_at(at: datetime, absent: QuerySet[Person]) -> Q:
    """As a condition on people: those who stand in for any of these, and may. Nobody stands in for oneself."""
    return Q(
        pk__in=standing_at(at).filter(person__in=absent).values("delegate"), enabled=True, guest=False
    ) & ~away_at(at)


def was_away(person: str, at: str) -> Exists:
    """Whether the account in the column `person` of a row was away at the instant in its column `at`."""
    then = OuterRef(at)
    rows = Absence.objects.filter(person=OuterRef(person), begins_at__lte=then, ends_at__gt=then)
    return Exists(rows.filter(Q(withdrawn_at=None) | Q(withdrawn_at__gt=then)))


def own_absence(person: Person, at: datetime) -> Absence | None:
    """The absence in force of this human, or None. One query."""
    if person.mark:
        return _OF_THE_HUMAN.first(at, person.pk, person.mark)
    return _OF_THE_ACCOUNT.first(at, person.pk)


def _newest(at: datetime, person: Person) -> QuerySet[Absence]:
    rows = standing_at(at).filter(is_human(person, "person")).select_related("delegate", "person")
    return rows.order_by("-ends_at", "pk")[:1]


_OF_THE_ACCOUNT = Readymade(lambda at, key: _newest(at, Person(pk=key)), datetime, int)
_OF_THE_HUMAN = Readymade(
    lambda at, key, mark: _newest(at, Person(pk=key, employee_id=mark)), datetime, int, str
)


def stood_in_for(person: Person, at: datetime) -> Sequence[Absence]:
    """The absences in which this account stands in, the oldest first; none for who may not. One query."""
    if not person.enabled or person.guest:
        return ()
    return [each for each in _STOOD_IN_FOR.rows(at, person.pk) if not same_human(person, each.person)]


_STOOD_IN_FOR = Readymade(
    lambda at, delegate: (
        standing_at(at)
        .filter(delegate=delegate)
        .select_related("person")
        .order_by("begins_at", "pk")[:MOST_STOOD_IN_FOR]
    ),
    datetime,
    int,
)


def in_whose_right(person: Person, at: datetime) -> Sequence[tuple[Person, frozenset[str]]]:
    """This account and those in whose right it may decide, each with the ids of its directory groups. One query.

    Of the people, only what says who may decide is read.
    """
    whose = Q(pk=person.pk)
    if person.enabled and not person.guest:
        whose |= Q(pk__in=standing_at(at).filter(delegate=person).values("person"))
    rows = (
        Person.objects.filter(whose)
        .only("object_id", "employee_id", "enabled", "guest")
        .annotate(group_ids=ArrayAgg("directory_groups__object_id", default=Value([])))
        .order_by("pk")
    )
    return [
        (each, frozenset(filter(None, each.group_ids)))
        for each in rows[: MOST_STOOD_IN_FOR + 1]
        if each.pk == person.pk or not same_human(person, each)
    ]


def absences_of(person: Person, now: datetime) -> Sequence[Absence]:
    """This account's absences, the latest first: what stands or comes, and what ended lately. One query."""
    rows = Absence.objects.filter(person=person, ends_at__gt=now - LISTED_FOR)
    return list(
        rows.select_related("person", "delegate", "declared_by", "withdrawn_by").order_by("-begins_at", "pk")[
            :MOST_LISTED
        ]
    )


def delegations_of(person: Person, now: datetime) -> Sequence[Absence]:
    """The absences in which this account is the delegate, that stand or come, the next first. One query."""
    rows = Absence.objects.filter(delegate=person, withdrawn_at=None, ends_at__gt=now)
    return list(rows.select_related("person").order_by("begins_at", "pk")[:MOST_LISTED])


def absences_ahead(now: datetime) -> Sequence[Absence]:
    """Everybody's that stand or come, the next first, for operators. One query."""
    rows = Absence.objects.filter(withdrawn_at=None, ends_at__gt=now)
    return list(rows.select_related("person", "delegate").order_by("begins_at", "pk")[:MOST_LISTED])
