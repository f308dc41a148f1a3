"""Reading the catalogue for pages: bounded queries, keyset pages, no cloud call."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.postgres.search import SearchQuery
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from base.errors import Missing
from catalog.judging.dangers import BY_KEY
from catalog.models import AccountAssignment, AwsAccount, Eligibility, Judgement, PermissionSet, PimGroup
from identity.models import Person

PAGE = 25
LARGEST_PAGE = 100
ACCOUNTS_PER_PAGE = 50
# A group with more permission sets than this shows the first ones and says how many there are.
MOST_PERMISSION_SETS = 100
MOST_WORDS = 8


@dataclass(frozen=True, slots=True)
class EligibleGroup:
    """A PIM group that a person may ask for, with the eligibility that counts among those they hold."""

    group: PimGroup
    eligibility: Eligibility
    others: tuple[Eligibility, ...] = ()

    @property
    def cursor(self) -> str:
        """Where the next page begins after this row."""
        return f"{self.group.pk}"


@dataclass(frozen=True, slots=True)
class GroupPage:
    """One page of groups; `next` is the cursor of the page after it, "" on the last."""

    rows: tuple[EligibleGroup, ...]
    next: str


def eligible_groups(
    person: Person, now: datetime, *, query: str = "", after: str = "", limit: int = PAGE
) -> GroupPage:
    """The PIM groups that a person is or will be eligible for, by name. At most three queries.

    `now` is business time. `query` finds words, and beginnings of words, of the group, its permission
    sets, accounts, organisational units and tags. An unknown cursor begins at the first page.
    """
    limit = max(1, min(limit, LARGEST_PAGE))
    groups = visible_to(person, now)
    if words := search_words(query):
        groups = groups.filter(search=SearchQuery(words, config="simple", search_type="raw"))
    if after.isdecimal() and (last := PimGroup.objects.filter(pk=int(after[:18])).first()):
        groups = groups.filter(
            Q(display_name__gt=last.display_name) | Q(display_name=last.display_name, pk__gt=last.pk)
        )
    found = list(groups.defer("search").order_by("display_name", "pk")[: limit + 1])
    page, more = found[:limit], len(found) > limit
    held = eligibilities_of(person, page, now)
    rows = tuple(_row(group, held[group.pk], now) for group in page if group.pk in held)
    return GroupPage(rows, next=str(page[-1].pk) if more else "")


def visible_to(person: Person, now: datetime) -> QuerySet[PimGroup]:
    """The PIM groups that a person is or will be eligible for; `now` is business time."""
    held = Eligibility.objects.filter(_not_over(now), person=person, group=OuterRef("pk"))
    return PimGroup.objects.filter(Exists(held), present=True)


def _not_over(now: datetime) -> Q:
    return Q(ends_at=None) | Q(ends_at__gt=now)


def eligibilities_of(
    person: Person, groups: Iterable[PimGroup], now: datetime
) -> dict[int, list[Eligibility]]:
    """The person's eligibilities that aren't over, by group. One query; `now` is business time."""
    rows = (
        Eligibility.objects.filter(_not_over(now), person=person, group__in=list(groups))
        .select_related("through")
        .order_by("pk")
    )
    held: dict[int, list[Eligibility]] = {}
    for row in rows:
        held.setdefault(row.group_id, []).append(row)
    return held


def _row(group: PimGroup, held: Sequence[Eligibility], now: datetime) -> EligibleGroup:
    best = best_eligibility(held, now)
    return EligibleGroup(group, best, tuple(each for each in held if each is not best))


def best_eligibility(held: Sequence[Eligibility], now: datetime) -> Eligibility:
    """The one that lets the person in longest: begun before not begun, permanent before ending, direct first.

    Raises ValueError when there is none. `now` is business time.
    """

    def rank(each: Eligibility) -> tuple[bool, float, bool]:
        begun = each.starts_at is None or each.starts_at <= now
        if not begun and each.starts_at is not None:
            return (False, -(each.starts_at - now).total_seconds(), each.through_id is None)
        left = (each.ends_at - now).total_seconds() if each.ends_at else float("inf")
        return (True, left, each.through_id is None)

    return max(held, key=rank)


def search_words(query: str) -> str:
    """The query as Postgres reads it: every word must begin some indexed word; "" when there is no word."""
    words = re.findall(r"\w+", query.replace("_", " ").lower())[:MOST_WORDS]
    return " & ".join(f"'{word}':*" for word in words)


def free_of_danger(groups: Collection[int]) -> frozenset[int]:
    """Those of the groups (keys) of whose permission sets everything is known, and nothing is dangerous. One query.

    A permission set that nobody has judged, or whose content has changed since, isn't known.
    """
    harmless = Judgement.objects.filter(
        permission_set=OuterRef("permission_set"),
        content_hash=F("permission_set__content_hash"),
        findings=[],
        unknown=[],
    )
    open_questions = AccountAssignment.objects.filter(group=OuterRef("pk")).exclude(Exists(harmless))
    found = PimGroup.objects.filter(pk__in=groups).exclude(Exists(open_questions))
    return frozenset(found.values_list("pk", flat=True))


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of what a group allows: its dangers in plain words, and whether that is all there is to say."""

    dangers: tuple[str, ...]
    complete: bool


def known_of(groups: Collection[int]) -> dict[int, Known]:
    """What is known of each of the groups (keys), by the judgements of their permission sets. Two queries."""
    opened: dict[int, set[int]] = {key: set() for key in groups}
    pairs = AccountAssignment.objects.filter(group__in=groups).order_by().distinct()
    for group, permission_set in pairs.values_list("group_id", "permission_set_id"):
        opened[group].add(permission_set)
    judged = Judgement.objects.filter(
        permission_set__in=set().union(*opened.values()), content_hash=F("permission_set__content_hash")
    )
    found = {row.permission_set_id: row for row in judged.only("permission_set", "findings", "unknown")}
    return {group: _known([found.get(key) for key in sets]) for group, sets in opened.items()}


def _known(rows: Sequence[Judgement | None]) -> Known:
    judged = [row for row in rows if row is not None]
    named = {str(each["danger"]) for row in judged for each in row.findings}
    complete = len(judged) == len(rows) and not any(row.unknown for row in judged)
    # Of an earlier release's danger there are no words any more; it is one all the same.
    words = tuple(danger.words for key, danger in BY_KEY.items() if key in named)
    return Known(words, complete and named <= set(BY_KEY))


# --- One group


@dataclass(frozen=True, slots=True)
class OpenedAccount:
    """An AWS account and the permission sets that a group opens on it."""

    account: AwsAccount
    permission_sets: tuple[PermissionSet, ...]


@dataclass(frozen=True, slots=True)
class OpenedPermissionSet:
    """A permission set that a group opens, and on how many accounts."""

    permission_set: PermissionSet
    accounts: int


@dataclass(frozen=True, slots=True)
class GroupDetail:
    """All that a request for a group would open: permission sets in full, accounts by page."""

    row: EligibleGroup
    permission_sets: tuple[OpenedPermissionSet, ...]
    accounts: tuple[OpenedAccount, ...]
    next_accounts: str  # cursor, "" on the last page

    @property
    def group(self) -> PimGroup:
        return self.row.group

    @property
    def eligibility(self) -> Eligibility:
        return self.row.eligibility


def eligible_group(person: Person, object_id: str, now: datetime) -> EligibleGroup:
    """One PIM group that the person is or will be eligible for. Two queries.

    Raises:
        Missing: no such group, or not for this person: the same answer.
    """
    group = visible_to(person, now).filter(object_id=object_id.lower()[:64]).defer("search").first()
    held = eligibilities_of(person, [group], now) if group else {}
    if group is None or group.pk not in held:
        raise Missing("group.missing", "There is no such PIM group, or you are not eligible for it.")
    return _row(group, held[group.pk], now)


def group_for(
    person: Person, object_id: str, now: datetime, *, accounts_after: str = "", accounts_query: str = ""
) -> GroupDetail:
    """The same with what it opens. At most seven queries. Raises Missing as `eligible_group` does."""
    row = eligible_group(person, object_id, now)
    accounts, more = opened_accounts(row.group, after=accounts_after, query=accounts_query)
    return GroupDetail(
        row=row,
        permission_sets=opened_permission_sets(row.group),
        accounts=accounts,
        next_accounts=more,
    )


def opened_permission_sets(group: PimGroup) -> tuple[OpenedPermissionSet, ...]:
    """The permission sets that a group opens, by name, at most a hundred. Two queries."""
    counts = dict(
        AccountAssignment.objects.filter(group=group)
        .values("permission_set_id")
        .annotate(accounts=Count("pk"))
        .order_by("permission_set__name", "permission_set_id")
        .values_list("permission_set_id", "accounts")[:MOST_PERMISSION_SETS]
    )
    rows = PermissionSet.objects.filter(pk__in=counts).order_by("name", "pk")
    return tuple(OpenedPermissionSet(row, counts[row.pk]) for row in rows)


def opened_set_names(group: PimGroup) -> Sequence[tuple[str, int]]:
    """The names of the permission sets that a group opens, each with on how many accounts; a hundred at most. One query."""
    counted = (
        AccountAssignment.objects.filter(group=group).values("permission_set").annotate(accounts=Count("pk"))
    )
    named = counted.order_by("permission_set__name", "permission_set")
    return list(named.values_list("permission_set__name", "accounts")[:MOST_PERMISSION_SETS])


def opened_accounts(
    group: PimGroup, *, after: str = "", query: str = "", limit: int = ACCOUNTS_PER_PAGE
) -> tuple[tuple[OpenedAccount, ...], str]:
    """A page of the accounts that a group opens, by name, and the cursor of the next page. Three queries.

    `query` is the beginning of a name or of an account id, or part of a name.
    """
    limit = max(1, min(limit, LARGEST_PAGE))
    opened = AccountAssignment.objects.filter(group=group, account=OuterRef("pk"))
    accounts = AwsAccount.objects.filter(Exists(opened)).select_related("unit")
    if words := query.replace("\0", "").strip()[:64]:  # which Postgres can't be told of
        accounts = accounts.filter(Q(name__icontains=words) | Q(account_id__startswith=words))
    if after.isdecimal() and (last := AwsAccount.objects.filter(account_id=after[:12]).first()):
        accounts = accounts.filter(Q(name__gt=last.name) | Q(name=last.name, account_id__gt=last.account_id))
    found = list(accounts.order_by("name", "account_id")[: limit + 1])
    page, more = found[:limit], len(found) > limit
    sets: dict[int, list[PermissionSet]] = {}
    rows = (
        AccountAssignment.objects.filter(group=group, account__in=page)
        .select_related("permission_set")
        .order_by("permission_set__name", "permission_set_id")
    )
    for row in rows:
        sets.setdefault(row.account_id, []).append(row.permission_set)
    return (
        tuple(OpenedAccount(account, tuple(sets.get(account.pk, ()))) for account in page),
        page[-1].account_id if more else "",
    )
