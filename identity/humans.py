"""Which accounts are one human's: the same row, or the same mark from the directory.

The mark is what accounts are known by that share a value of any of the attributes that ENTRA_PERSON_ATTRIBUTE names, the
employee id by default (`identity.linking`), in lower case and without blanks around it, so that no spelling makes two
humans of one. `Person.mark` and the lookup `employee_id__mark` are the same.
"""

from __future__ import annotations

from django.db.models import CharField, F, Q, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Lower, NullIf, Trim

from identity.models import Person

CharField.register_lookup(Lower)
CharField.register_lookup(Trim)
# The mark in a query: `f"{field}__{MARK}"` of rows whose `field` is a person.
MARK = "employee_id__trim__lower"


def same_human(one: Person, other: Person) -> bool:
    """Two accounts of one person count as one: the same row, or the same mark."""
    return one.pk == other.pk or (one.mark != "" and one.mark == other.mark)


def is_human(person: Person, field: str) -> Q:
    """`same_human` as a condition on rows whose `field` is a person."""
    same = Q(**{field: person})
    return same | Q(**{f"{field}__{MARK}": person.mark}) if person.mark else same


def accounts_of(person: Person) -> Q:
    """`same_human` as a condition on people."""
    same = Q(pk=person.pk)
    return same | Q(**{MARK: person.mark}) if person.mark else same


def human_key(person: Person) -> str:
    """What tells this human from others: the mark, or the object id where there is none."""
    return person.mark or person.object_id


def human_expression() -> Combinable:
    """`human_key` as an expression on people."""
    return Coalesce(NullIf(Lower(Trim("employee_id")), Value("")), F("object_id"))


def same_human_sql(one: str, other: str) -> str:
    """`same_human` of two aliases of the table of people, for guards."""
    mark = "lower(btrim({}.employee_id))".format
    return f"({other}.id = {one}.id OR ({mark(other)} <> '' AND {mark(other)} = {mark(one)}))"
