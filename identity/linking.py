"""Which accounts the directory links: those that share a value of any attribute that ENTRA_PERSON_ATTRIBUTE names.

Linking carries on: where one account shares a value with a second and that another with a third, all three are one human's.
So that every comparison, in Python, queries and guards, is of one column, each account keeps beside its own values
(`Person.marks`) the one that all accounts of its human have in common (`employee_id`): the least of all their values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import connection
from django.db.models import Q
from django_subatomic.db import transaction_required

from clients.types import DirectoryUser
from identity.humans import MARK
from identity.models import Person, normal

_LOCK = 0x6C696E6B  # of whoever joins accounts: two at once would each miss what the other joins
LONGEST = 64  # what is kept of a value; longer ones are linked by that much


def marks_of(user: DirectoryUser) -> frozenset[str]:
    """Every value that links this account to others, as the directory says it."""
    values = (user.employee_id, *user.further_marks)
    return frozenset(normal(value[:LONGEST]) for value in values) - {""}


def known_by(marks: Collection[str]) -> frozenset[str]:
    """These marks, and by what the accounts that carry any of them are known here. One query."""
    if not marks:
        return frozenset()
    known = Person.objects.filter(_carrying(marks))
    return frozenset(marks).union(person.mark for person in known.only("employee_id"))


@transaction_required
def begin_to_link(users: Iterable[DirectoryUser]) -> bool:
    """Whether any account has several values, here or among these; if so, nobody else joins any before the commit."""
    several = any(len(marks_of(user)) > 1 for user in users)
    if not several and not Person.objects.filter(marks__len__gt=1).exists():
        return False  # each is known by its one value
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    return True


@transaction_required
def link(marks: Collection[str]) -> None:
    """Let all accounts that carry one of these marks, and whoever shares one with them, be known by what joins them now.

    After `begin_to_link`. `marks` are those of the accounts that changed, from before and from now, so that accounts come
    apart again, too.
    """
    found: dict[int, Person] = {}
    seen: set[str] = set()
    wanted = set(marks)
    while wanted:
        seen |= wanted
        for person in Person.objects.filter(_carrying(wanted)):
            found[person.pk] = person
        wanted = {mark for person in found.values() for mark in (*_own(person), person.mark)} - seen - {""}
    leader = _joined(found.values())
    for person in sorted(found.values(), key=lambda each: each.pk):
        known = leader[next(iter(_own(person)))] if _own(person) else ""
        if person.mark != known:
            Person.objects.filter(pk=person.pk).update(employee_id=known)


def _own(person: Person) -> frozenset[str]:
    """The account's own values; a row that no sync has written since they are kept has the one it is known by."""
    return frozenset(person.marks) or frozenset({person.mark} - {""})


def _carrying(marks: Collection[str]) -> Q:
    wanted = sorted(marks)
    return Q(marks__overlap=wanted) | Q(**{f"{MARK}__in": wanted})


def _joined(people: Iterable[Person]) -> dict[str, str]:
    """For each mark the least one that it is joined with."""
    above: dict[str, str] = {}

    def top(mark: str) -> str:
        while above.setdefault(mark, mark) != mark:
            mark = above[mark]
        return mark

    for person in people:
        tops = sorted(top(mark) for mark in _own(person))
        for each in tops[1:]:
            above[each] = tops[0]
    return {mark: top(mark) for mark in list(above)}
