"""What the operator's pages about incidents show: what is frozen, what could be, and what would end. Bounded queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import Count, Q
from django.urls import reverse

from base.errors import Missing
from catalog.models import AccountAssignment, AwsAccount, PermissionSet, PimGroup
from identity.models import Person
from requests_app.freezes.holding import (
    closed_under,
    ended_under,
    grants_under,
    groups_under,
    items_under,
    leaving_under,
    standing,
)
from requests_app.freezes.models import Freeze
from requests_app.models import Grant, RequestItem
from requests_app.rows import scope_words

PAGE = 25
MOST_STANDING = 100
MOST_FOUND = 10  # of each kind
MOST_GROUPS = 25
MOST_GRANTS = 50
MOST_OPENED = 1000  # rows of what those groups open


@dataclass(frozen=True, slots=True)
class IncidentsPage:
    """What holds, and a page of what was lifted, newest first."""

    standing: Sequence[Freeze]
    past: Page[Freeze]


def incidents_page(number: str) -> IncidentsPage:
    """Three queries."""
    rows = Freeze.objects.select_related("frozen_by", "lifted_by").order_by("-frozen_at", "pk")
    return IncidentsPage(
        standing=list(rows.filter(lifted_at=None)[:MOST_STANDING]),
        past=Paginator(rows.exclude(lifted_at=None), PAGE).get_page(number),
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody or something that can be frozen."""

    kind: str
    subject: str
    name: str
    detail: str
    incident: UUID | None  # the freeze that holds for it already

    @property
    def kind_words(self) -> str:
        return str(Freeze.Kind(self.kind).label)

    @property
    def address(self) -> str:
        if self.incident:
            return reverse("operations_incident", args=[self.incident])
        named = urlencode({"kind": self.kind, "subject": self.subject})
        return f"{reverse('operations_incident_confirm')}?{named}"


@dataclass(frozen=True, slots=True)
class Found:
    """What fits a search; `more` when a kind had more than fit here."""

    candidates: Sequence[Candidate]
    more: bool


def candidates(query: str) -> Found:
    """People, AWS accounts and permission sets whose name or id has the words in it. Four queries."""
    if not query:
        return Found([], more=False)
    people = Person.objects.filter(
        Q(display_name__icontains=query)
        | Q(user_principal_name__icontains=query)
        | Q(object_id__iexact=query)
    ).order_by("display_name", "pk")[: MOST_FOUND + 1]
    accounts = AwsAccount.objects.filter(
        Q(name__icontains=query) | Q(account_id__startswith=query), present=True
    ).order_by("name", "pk")[: MOST_FOUND + 1]
    sets = PermissionSet.objects.filter(
        Q(name__icontains=query) | Q(arn__iexact=query), present=True
    ).order_by("name", "pk")[: MOST_FOUND + 1]
    kinds = [
        [(Freeze.Kind.PERSON, one.object_id, one.display_name, one.user_principal_name) for one in people],
        [(Freeze.Kind.ACCOUNT, one.account_id, one.name, one.account_id) for one in accounts],
        [(Freeze.Kind.PERMISSION_SET, one.arn, one.name, one.description) for one in sets],
    ]
    shown = [row for rows in kinds for row in rows[:MOST_FOUND]]
    held = {
        (kind, subject): key
        for kind, subject, key in standing()
        .filter(subject__in=[row[1] for row in shown])
        .values_list("kind", "subject", "pk")
    }
    return Found(
        [Candidate(*row, held.get((row[0], row[1]))) for row in shown],
        more=any(len(rows) > MOST_FOUND for rows in kinds),
    )


@dataclass(frozen=True, slots=True)
class OpenedSet:
    """One permission set that a group opens, and on which accounts."""

    name: str
    accounts: Sequence[str]


@dataclass(frozen=True, slots=True)
class GroupEnds:
    """One group in which grants end, with the whole of what it opens."""

    group: PimGroup
    grants: int
    opened: Sequence[OpenedSet]

    @property
    def scope_words(self) -> str:
        return scope_words(self.group)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a freeze would end and close, before anybody confirms it."""

    grants: int
    people: int
    requests: int
    groups_frozen: int  # that open the account or permission set, with grants or without
    groups: Sequence[GroupEnds]
    more_groups: int
    holders: Sequence[Grant]

    @property
    def more_holders(self) -> int:
        return self.grants - len(self.holders)

    @property
    def nothing_open(self) -> bool:
        return not self.grants and not self.requests


def preview(row: Freeze) -> Preview:
    """Read what is concerned. At most eleven queries."""
    grants = grants_under(row)
    counted = list(grants.values_list("group").annotate(n=Count("pk")).order_by("-n", "group"))
    shown = dict(counted[:MOST_GROUPS])
    groups = PimGroup.objects.in_bulk(list(shown))
    opened = _opened(list(shown))
    return Preview(
        grants=sum(n for _, n in counted),
        people=grants.values("person").distinct().count(),
        requests=items_under(row).count(),
        groups_frozen=groups_under(row).count(),
        groups=[GroupEnds(groups[key], n, opened[key]) for key, n in shown.items()],
        more_groups=len(counted) - len(shown),
        holders=list(
            grants.select_related("person", "group").order_by("person__display_name", "ends_at")[:MOST_GRANTS]
        ),
    )


def _opened(groups: Sequence[int]) -> dict[int, list[OpenedSet]]:
    rows = (
        AccountAssignment.objects.filter(group__in=groups)
        .order_by("group", "permission_set__name", "account__name")
        .values_list("group", "permission_set__name", "account__name", "account__account_id")
    )
    found: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for group, made, account, account_id in rows[:MOST_OPENED]:
        found[group][made].append(f"{account} ({account_id})")
    sets = {group: [OpenedSet(name, names) for name, names in each.items()] for group, each in found.items()}
    return defaultdict(list, sets)


@dataclass(frozen=True, slots=True)
class Incident:
    """One freeze, what is still open under it, what is on its way out, and what was ended and closed."""

    freeze: Freeze
    open_grants: int
    leaving: Sequence[Grant]
    leaving_count: int
    ended: Sequence[Grant]
    closed: Sequence[RequestItem]

    @property
    def holds(self) -> bool:
        return self.freeze.lifted_at is None

    @property
    def more_leaving(self) -> int:
        return self.leaving_count - len(self.leaving)

    @property
    def more_ended(self) -> int:
        return max(0, self.freeze.grants_ended - len(self.ended))

    @property
    def more_closed(self) -> int:
        return max(0, self.freeze.items_closed - len(self.closed))


def incident_or_missing(freeze_id: UUID) -> Incident:
    """One incident; at most nine queries. Raises Missing."""
    row = Freeze.objects.select_related("frozen_by", "lifted_by").filter(pk=freeze_id).first()
    if row is None:
        raise Missing("freeze.missing", "There is no such incident.")
    ended = list(
        ended_under(row)
        .select_related("person", "group", "revocation")
        .order_by("-revocation__revoked_at", "pk")[:MOST_GRANTS]
    )
    closed = list(
        closed_under(row)
        .select_related("requester", "group", "request")
        .order_by("-decided_at", "pk")[:MOST_GRANTS]
    )
    if row.lifted_at is not None:
        return Incident(row, 0, [], 0, ended, closed)
    leaving = leaving_under(row)
    return Incident(
        row,
        grants_under(row).count(),
        list(
            leaving.select_related("person", "group").order_by("status", "person__display_name")[:MOST_GRANTS]
        ),
        leaving.count(),
        ended,
        closed,
    )
