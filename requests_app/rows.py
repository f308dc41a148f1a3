"""What lists show of requests: a row for each item, what it opens in words, and a fingerprint of what can change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.urls import reverse

from base.clock import business_now
from catalog.models import PimGroup
from requests_app.deliberation.models import Attention
from requests_app.deliberation.reading import attention_to
from requests_app.models import Grant, GrantInterval, RequestItem, RequestScope
from requests_app.overdue import overdue
from requests_app.presentation import Standing, queued_until, standing
from requests_app.targets import due_at


def fingerprint(*parts: object) -> str:
    """A short name for what a live region shows: while it stays, nothing needs to be sent."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def fingerprint_of(grant: Grant) -> tuple[object, ...]:
    """What a page shows of a grant that can change by itself."""
    late = overdue(grant)
    return (
        late and late.hop,
        grant.version,
        grant.revision,
        grant.sure_until,
        grant.problem,
        queued_until(grant),
        grant.extension_problem,
    )


def part_of_request(name: str, item: RequestItem) -> str:
    """An address of a request's pages, for this one of its items."""
    address = reverse(name, args=[item.request_id])
    return f"{address}?item={item.pk}" if item.request.item_count > 1 else address


@dataclass(frozen=True, slots=True)
class Row:
    """One item in a list."""

    item: RequestItem
    grant: Grant | None = None
    thread: str = ""  # "open": a question waits for its answer; "answered"

    @property
    def standing(self) -> Standing:
        return standing(self.item.status, self.grant)

    @property
    def attention(self) -> Attention | None:
        return attention_to(self.item)

    @property
    def address(self) -> str:
        return part_of_request("request", self.item)

    @property
    def decide_address(self) -> str:
        return reverse("decision", args=[self.item.pk])

    @property
    def due_at(self) -> datetime:
        """By when a decision is wanted."""
        return due_at(self.item)

    @property
    def past_due(self) -> bool:
        return self.due_at <= business_now()

    @property
    def request_address(self) -> str:
        return reverse("request_access", args=[self.item.group.object_id])

    @property
    def again_address(self) -> str:
        return f"{self.request_address}?again={self.item.request_id}"

    @property
    def hours_and_minutes(self) -> tuple[int, int]:
        """The length that was asked for, as the fields of the form take any."""
        return divmod(int(self.item.duration.total_seconds()) // 60, 60)


def rows(items: Sequence[RequestItem]) -> list[Row]:
    """Items with the grants that followed from them. One query."""
    intervals = GrantInterval.objects.filter(item__in=[item.pk for item in items]).select_related("grant")
    grants = {interval.item_id: interval.grant for interval in intervals}
    return [Row(item, grants.get(item.pk)) for item in items]


@dataclass(frozen=True, slots=True)
class ScopeSet:
    """One permission set of a request, and where."""

    name: str
    session_duration: object
    accounts: Sequence[RequestScope]

    @property
    def account_count(self) -> int:
        return len(self.accounts)


def scope_sets(scope: Iterable[RequestScope]) -> list[ScopeSet]:
    """A scope, read in order of permission set, by permission set."""
    sets = []
    for name, members in groupby(scope, key=lambda row: row.permission_set_name):
        accounts = list(members)
        sets.append(ScopeSet(name, accounts[0].session_duration, accounts))
    return sets


def scope_words(group: PimGroup) -> str:
    """What a group opens, counted."""
    sets, accounts = group.permission_set_count, group.account_count
    return f"{sets} permission set{'' if sets == 1 else 's'} on {accounts} AWS account{'' if accounts == 1 else 's'}"


def scope_words_of(sets: Sequence[ScopeSet], count: int) -> str:
    """A request's scope, counted; `count` rows in all, of which `sets` may be a part."""
    names = ", ".join(group.name for group in sets[:3]) + (" and more" if len(sets) > 3 else "")
    accounts = len({row.account_id for group in sets for row in group.accounts})
    if count > sum(group.account_count for group in sets):
        return f"{names} on more than {accounts} AWS accounts"
    return f"{names} on {accounts} AWS account{'' if accounts == 1 else 's'}"
