"""Who had access to what at a minute: from the grants' own spans and from what each request's scope froze.

All times are business time. A minute is the sixty seconds that begin with it: whoever had access at any moment of
it is found. Where nothing was read back, the answer is "possible", never "no".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import Concat, Lower, RowNumber

from audit.history.forms import MINUTE
from audit.history.naming import groups_named, people_named, scope_named
from audit.ledger.reading import MOST_COUNTED, bounded
from oversight.selectors import FindingRow, widened_between
from requests_app.held import HELD
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant, GrantInterval, RequestScope

PAGE = 50
MOST_SCOPE = 20  # account assignments that a row names; beyond, it says how many more there are
# Nothing of these was ever sent to a cloud, or PIM refused it.
_NEVER_HELD = (GrantStatus.SCHEDULED, GrantStatus.CANCELLED, GrantStatus.NOT_GRANTED)

# In lower case, which no index has: else Postgres would rather walk everybody by name than find the few of the minute.
_NAME = Lower("person__display_name")


class Held(StrEnum):
    """What is known about one of the three: membership in Entra, membership in AWS, sessions."""

    YES = "yes"
    POSSIBLE = "possible"  # not read back
    NO = "no"


_TONES = {Held.YES: "live", Held.POSSIBLE: "waiting", Held.NO: "ended"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the three, with the time from which and until which it is so; `until` None: its end wasn't known yet."""

    held: Held
    words: str
    since: datetime | None
    until: datetime | None

    @property
    def tone(self) -> str:
        return _TONES[self.held]


@dataclass(frozen=True, slots=True)
class Access:
    """One person's access through one PIM group at the minute."""

    grant: Grant
    entra: Answer
    aws: Answer
    sessions: Answer
    scope: Sequence[RequestScope]  # at most MOST_SCOPE
    opened: int  # account assignments in all
    requests: Sequence[UUID]  # whose approval it rests on, in their order

    @property
    def left_out(self) -> int:
        return self.opened - len(self.scope)


@dataclass(frozen=True, slots=True)
class AsOf:
    """One page of those who had access at `at`; `after` is the grant behind which the next page begins."""

    at: datetime
    accesses: Sequence[Access]
    after: UUID | None
    counted: int | None  # only on the first page
    # Looked for by what it opens: only in what requests had been shown, and beside it is what was seen to open more.
    scoped: bool = False
    widened: Sequence[FindingRow] = ()

    @property
    def count_words(self) -> str:
        if self.counted is None:
            return ""
        if self.counted > MOST_COUNTED:
            return f"More than {MOST_COUNTED:,} accesses"
        return f"{self.counted:,} access{'' if self.counted == 1 else 'es'}"


def as_of(wanted: Mapping[str, Any], after: UUID | None = None) -> AsOf:
    """Who had access at the minute that a cleaned `AsOfForm` names, by name of the person.

    Raises:
        Invalid: a name fits nothing or too much (with the field it was written in), or it took too long.
    """
    at: datetime = wanted["at"]
    with bounded():
        scope, who = scope_named(wanted), named(wanted)
        holding = holding_at(at, who, scope)
        page = holding.select_related("person", "group").alias(name=_NAME).order_by("name", "pk")
        found = list(_behind(page, after)[: PAGE + 1])
        shown = found[:PAGE]
        counted = None
        if after is None:
            counted = len(found)
            if counted > PAGE:
                counted = holding.order_by()[: MOST_COUNTED + 1].count()
        accesses = accesses_of(shown, at, scope)
        widened = opened_more(at, at + MINUTE, who, scope)
    following = shown[-1].pk if len(found) > PAGE else None
    return AsOf(at, accesses, following, counted, scope is not None, widened)


@dataclass(frozen=True, slots=True)
class Named:
    """Whose access, and through which PIM groups: object ids, none for any."""

    people: tuple[str, ...]
    groups: tuple[str, ...]


def named(wanted: Mapping[str, Any]) -> Named:
    """The people and groups of a cleaned form. Raises Invalid for names that fit nothing or too much."""
    return Named(people_named(wanted["person"]), groups_named(wanted["group"]))


def holding_at(at: datetime, who: Named, scope: QuerySet[RequestScope] | None) -> QuerySet[Grant]:
    """The grants that may have given access in the minute that begins at `at`, to something of `scope`."""
    rows = Grant.objects.alias(held=HELD).filter(held__overlap=(at, at + MINUTE))
    rows = rows.exclude(status__in=_NEVER_HELD)
    if who.people:
        rows = rows.filter(person__object_id__in=who.people)
    if who.groups:
        rows = rows.filter(group__object_id__in=who.groups)
    if scope is not None:
        opened = scope.filter(item__interval__grant=OuterRef("pk")).filter(
            _begun("item__interval__", at, OuterRef("starts_at"))
        )
        rows = rows.filter(Exists(opened))
    return rows


def opened_more(
    since: datetime, until: datetime, who: Named, scope: QuerySet[RequestScope] | None
) -> Sequence[FindingRow]:
    """What was seen meanwhile to open more than its request had been shown, which a search by scope can't find."""
    if scope is None:
        return ()
    return widened_between(since, until, people=who.people, groups=who.groups)


def _begun(interval: str, at: datetime, first: Any) -> Q:
    """Of a grant's intervals those that counted at the minute: the first, and each extension that had begun."""
    return Q(**{f"{interval}starts_at__lt": at + MINUTE}) | Q(**{f"{interval}starts_at": first})


def _behind(rows: QuerySet[Grant], after: UUID | None) -> QuerySet[Grant]:
    """The rows that follow the grant `after` in the order of the page; all for a grant that isn't there."""
    if after is None:
        return rows
    last = Grant.objects.filter(pk=after).values_list(_NAME, flat=True).first()
    if last is None:
        return rows
    return rows.filter(Q(name__gt=last) | Q(name=last, pk__gt=after))


def accesses_of(grants: Sequence[Grant], at: datetime, scope: QuerySet[RequestScope] | None) -> list[Access]:
    """What each of these grants, with person and group, gave at the minute.

    Two queries, and one more where an extension counted.
    """
    begun = GrantInterval.objects.filter(
        _begun("", at, F("grant__starts_at")), grant__in=[grant.pk for grant in grants]
    )
    requests: dict[UUID, list[UUID]] = {grant.pk: [] for grant in grants}
    items: dict[UUID, list[UUID]] = {grant.pk: [] for grant in grants}
    for grant_id, item_id, request_id in begun.order_by("starts_at", "pk").values_list(
        "grant_id", "item_id", "item__request_id"
    ):
        requests[grant_id].append(request_id)
        items[grant_id].append(item_id)
    opened = _opened(RequestScope.objects.all() if scope is None else scope, items)
    return [
        Access(
            grant,
            _entra(grant, at),
            _aws(grant, at),
            _sessions(grant, at),
            *opened.get(grant.pk, ([], 0)),
            list(dict.fromkeys(requests[grant.pk])),
        )
        for grant in grants
    ]


def _opened(
    scope: QuerySet[RequestScope], items: Mapping[UUID, Sequence[UUID]]
) -> dict[UUID, tuple[list[RequestScope], int]]:
    """The first few account assignments that the items of each grant opened, by name, and how many there are in all.

    What several of its items opened counts once.
    """
    of_item = {item: grant for grant, its in items.items() for item in its}
    place = Window(
        RowNumber(), partition_by="item", order_by=["permission_set_name", "account_name", "account_id"]
    )
    number = Window(Count("*"), partition_by="item")
    rows = scope.filter(item__in=list(of_item)).annotate(place=place, number=number)
    found: dict[UUID, dict[tuple[str, str, str, str], RequestScope]] = {}
    numbers: dict[UUID, int] = {}
    for row in rows.filter(place__lte=MOST_SCOPE):
        key = (row.permission_set_name, row.account_name, row.account_id, row.permission_set_arn)
        grant = of_item[row.item_id]
        found.setdefault(grant, {})[key] = row
        numbers[grant] = row.number
    extended = {grant: its for grant, its in items.items() if len(its) > 1}
    if extended:
        numbers |= _distinct(scope.filter(item__in=[item for its in extended.values() for item in its]))
    return {
        grant: ([row for _, row in sorted(each.items())][:MOST_SCOPE], numbers[grant])
        for grant, each in found.items()
    }


def _distinct(opened: QuerySet[RequestScope]) -> dict[UUID, int]:
    """How many different account assignments each grant opened."""
    one = Concat("account_id", "permission_set_arn")
    rows = opened.order_by().values("item__interval__grant").annotate(number=Count(one, distinct=True))
    return dict(rows.values_list("item__interval__grant", "number"))


def _over(moment: datetime | None, at: datetime) -> bool:
    """Whether it had ended when the minute began."""
    return moment is not None and moment <= at


def _entra(grant: Grant, at: datetime) -> Answer:
    since, until = grant.assigned_at or grant.starts_at, grant.out_of_entra_at
    if _over(until, at):
        return Answer(Held.NO, "out by then", since, until)
    if grant.assigned_at is None:
        return Answer(Held.POSSIBLE, "never read back", since, until)
    return Answer(Held.YES, "member", since, until)


def _aws(grant: Grant, at: datetime) -> Answer:
    since, until = grant.arrived_at, grant.out_of_aws_at
    if _over(until, at):
        return Answer(Held.NO, "out by then", since, until)
    if since is not None and since < at + MINUTE:
        return Answer(Held.YES, "member", since, until)
    if since is not None:
        return Answer(Held.POSSIBLE, "on its way", since, until)
    return Answer(Held.POSSIBLE, "never read back", None, grant.ended_at)


def _sessions(grant: Grant, at: datetime) -> Answer:
    """Sessions may be opened while the membership is in AWS, and last until the last possible use."""
    aws = _aws(grant, at)
    until = grant.last_possible_use_at or grant.ended_at
    if aws.held is Held.POSSIBLE:
        return Answer(Held.POSSIBLE, "if it had arrived", None, until)
    return Answer(Held.YES, "possible", grant.arrived_at, until)
