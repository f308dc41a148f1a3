"""Which freezes hold for whom, and what they concern.

A group is concerned by an account or a permission set when it opens it now, or when what was approved included it: a
catalogue that was read a while ago hides nothing. A person stands for the human: every account of the same employee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django_subatomic.db import transaction_required

from base.once import once_a_page
from base.readymade import Readymade
from catalog.models import AccountAssignment, PimGroup
from identity.humans import accounts_of, is_human
from identity.models import Person
from requests_app.freezes.models import Freeze
from requests_app.lifecycle import ENDABLE, MAY_HOLD_ACCESS, ItemStatus
from requests_app.models import Grant, RequestItem, RequestScope

# The advisory lock between a freeze and what it forbids.
LOCK = 0x66726565
# More at a time would no longer be an incident; a page reads no more. Actions look at all.
MOST_STANDING = 500
# Columns that name the subject, in the catalogue and in what was approved.
_OPENED = {Freeze.Kind.ACCOUNT: "account__account_id", Freeze.Kind.PERMISSION_SET: "permission_set__arn"}
_APPROVED = {Freeze.Kind.ACCOUNT: "account_id", Freeze.Kind.PERMISSION_SET: "permission_set_arn"}


def standing() -> QuerySet[Freeze]:
    """The freezes that hold."""
    return Freeze.objects.filter(lifted_at=None)


@once_a_page
def held() -> Sequence[Freeze]:
    """The freezes that hold, the newest first, as many as a page looks at. One query."""
    return _HELD.rows()


_HELD = Readymade(lambda: standing().order_by("-frozen_at", "pk")[:MOST_STANDING])


@transaction_required
def keep_freezes_out() -> None:
    """No freeze begins before this transaction ends: what is judged after this is true at the commit.

    Shared among all who ask, and released with the transaction. Taken before the judgement, not before row locks: a
    freeze holds none that others wait for.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LOCK])


@transaction_required
def begin_to_freeze() -> None:
    """Wait for everybody who was let through by `keep_freezes_out`, and hold up who comes after, to the commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def freeze_for(
    person: Person, group: PimGroup, approved: QuerySet[RequestScope] | None = None
) -> Freeze | None:
    """The oldest freeze that holds for this person or for what the group opens, or was approved to.

    One query while nothing is frozen, which is nearly always, else two.
    """
    if not held():
        return None
    opened = AccountAssignment.objects.filter(group=group)
    accounts = Q(kind=Freeze.Kind.PERSON, subject__in=_accounts_of(person))
    for kind, column in _OPENED.items():
        accounts |= Q(kind=kind, subject__in=opened.values(column))
        if approved is not None:
            accounts |= Q(kind=kind, subject__in=approved.values(_APPROVED[kind]))
    return standing().filter(accounts).order_by("frozen_at", "pk").first()


def freeze_for_item(item: RequestItem) -> Freeze | None:
    """The freeze that holds for a request, or None."""
    return freeze_for(item.requester, item.group, RequestScope.objects.filter(item=item))


def freeze_for_grant(grant: Grant) -> Freeze | None:
    """The freeze that holds for a grant, or None."""
    return freeze_for(grant.person, grant.group, RequestScope.objects.filter(item__interval__grant=grant))


def freezes_by_group(person: Person, groups: Sequence[PimGroup]) -> Mapping[int, Freeze]:
    """The freezes that hold for this person's asking, by the group's row. One query while nothing is frozen, else three."""
    known = sorted(held(), key=lambda each: (each.frozen_at, each.pk))
    if not known:
        return {}
    people = {each.subject: each for each in known if each.kind == Freeze.Kind.PERSON}
    for object_id in _accounts_of(person).filter(object_id__in=people):
        return dict.fromkeys((group.pk for group in groups), people[object_id])
    found: dict[int, Freeze] = {}
    wanted = {(each.kind, each.subject): each for each in known}
    named = [subject for _, subject in wanted]
    rows = AccountAssignment.objects.filter(
        Q(account__account_id__in=named) | Q(permission_set__arn__in=named), group__in=groups
    ).values_list("group_id", "account__account_id", "permission_set__arn")
    for group_id, account, arn in rows:
        freeze = wanted.get((Freeze.Kind.ACCOUNT, account)) or wanted.get((Freeze.Kind.PERMISSION_SET, arn))
        if freeze is not None:
            found.setdefault(group_id, freeze)
    return found


def _accounts_of(person: Person) -> QuerySet[Person, str]:
    """The object ids of this human's accounts."""
    return Person.objects.filter(accounts_of(person)).values_list("object_id", flat=True)


# ------------------------------------------------------------ what a freeze concerns


def grants_under(freeze: Freeze) -> QuerySet[Grant]:
    """The grants that a freeze ends, of a row that need not be stored yet."""
    approved = RequestScope.objects.filter(item__interval__grant=OuterRef("pk"))
    return Grant.objects.filter(_concerned(freeze, "person", approved), status__in=ENDABLE)


def leaving_under(freeze: Freeze) -> QuerySet[Grant]:
    """Grants that the freeze concerns and that are on their way out: memberships, or sessions that may be left."""
    approved = RequestScope.objects.filter(item__interval__grant=OuterRef("pk"))
    return Grant.objects.filter(_concerned(freeze, "person", approved), status__in=MAY_HOLD_ACCESS - ENDABLE)


def ended_under(freeze: Freeze) -> QuerySet[Grant]:
    """Every grant that was ended under the freeze, lifted or not."""
    return Grant.objects.filter(revocation__freeze=freeze)


def closed_under(freeze: Freeze) -> QuerySet[RequestItem]:
    """Every item that was closed under the freeze, lifted or not: of one subject one freeze holds at a time."""
    rows = RequestItem.objects.filter(
        status=ItemStatus.CLOSED, close_reason=freeze.sentence, decided_at__gte=freeze.frozen_at
    )
    if freeze.lifted_at is not None:
        rows = rows.filter(decided_at__lte=freeze.lifted_at)
    if freeze.kind == Freeze.Kind.PERSON:
        rows = rows.filter(_concerned(freeze, "requester", RequestScope.objects.none()))
    return rows


def own_freeze(person: Person) -> Freeze | None:
    """The one that is of this human, or None. One query, and one more where any person is frozen."""
    people = {each.subject: each for each in held() if each.kind == Freeze.Kind.PERSON}
    if not people:
        return None
    own = _accounts_of(person).filter(object_id__in=people).first()
    return people[own] if own else None


def items_under(freeze: Freeze) -> QuerySet[RequestItem]:
    """The pending items that a freeze closes, of a row that need not be stored yet."""
    approved = RequestScope.objects.filter(item=OuterRef("pk"))
    return RequestItem.objects.filter(_concerned(freeze, "requester", approved), status=ItemStatus.PENDING)


def groups_under(freeze: Freeze) -> QuerySet[PimGroup]:
    """The PIM groups that open the account or the permission set; none for a person."""
    if freeze.kind == Freeze.Kind.PERSON:
        return PimGroup.objects.none()
    return PimGroup.objects.filter(pk__in=_opening(freeze), present=True)


def _opening(freeze: Freeze) -> QuerySet[AccountAssignment, int]:
    return AccountAssignment.objects.filter(
        **{_OPENED[Freeze.Kind(freeze.kind)]: freeze.subject}
    ).values_list("group_id", flat=True)


def _concerned(freeze: Freeze, who: str, approved: QuerySet[RequestScope]) -> Q:
    if freeze.kind == Freeze.Kind.PERSON:
        person = Person.objects.filter(object_id=freeze.subject).first()
        return is_human(person, who) if person else Q(**{f"{who}__object_id": freeze.subject})
    covering = approved.filter(**{_APPROVED[Freeze.Kind(freeze.kind)]: freeze.subject})
    return Q(group__in=_opening(freeze)) | Q(Exists(covering))
