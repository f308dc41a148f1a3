"""What a person may ask for: the catalogue's group joined with the rule that would judge a request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from django.contrib.postgres.search import SearchQuery
from django.core.paginator import Page, Paginator
from django.db.models import Count, Q, QuerySet
from django.urls import reverse

from base.clock import business_now
from base.errors import Missing
from catalog import freshness
from catalog.models import (
    AccountAssignment,
    AwsAccount,
    Eligibility,
    PermissionSet,
    PimGroup,
    ProvisioningState,
)
from identity.models import Person
from policy.approvers import somebody_can_decide
from policy.matching import current_versions, match
from policy.models import RuleVersion
from policy.requestable import Circumstances, Requestability, judge
from requests_app.pages import scope_words
from requests_app.rule_words import names_in, stages_words

OFFERS_PAGE = 25
# Account assignments of a group that its page shows at once.
ASSIGNMENTS_PAGE = 200


@dataclass(frozen=True, slots=True)
class Offer:
    """One PIM group as one person may ask for it."""

    group: PimGroup
    eligibilities: Sequence[Eligibility]
    judged: Requestability
    names: Mapping[str, str]

    @property
    def version(self) -> RuleVersion | None:
        return self.judged.version

    @property
    def obstacle(self) -> str:
        """Why it can't be requested, "" when it can."""
        return " ".join(refusal.sentence for refusal in self.judged.refusals)

    @property
    def longest(self) -> timedelta | None:
        """What can be asked for at most; for what can't be asked for, what its own settings would allow."""
        if self.judged.longest is not None:
            return self.judged.longest
        rule = self.version.parsed.longest_duration if self.version else None
        known = [span for span in (self.group.activation_maximum, rule) if span is not None]
        return min(known) if known else None

    @property
    def stages(self) -> list[str]:
        return stages_words(self.version.parsed, self.names) if self.version else []

    @property
    def deciders(self) -> str:
        return "; ".join(self.stages)

    @property
    def sets_words(self) -> str:
        names = list(self.group.preview.get("permission_sets", []))
        more = self.group.permission_set_count - len(names[:3])
        return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")

    @property
    def scope_words(self) -> str:
        return scope_words(self.group)

    @property
    def eligible_until(self) -> datetime | None:
        """The latest end of the eligibilities; None when one has no end."""
        ends = [each.ends_at for each in self.eligibilities]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    @property
    def eligible_words(self) -> str:
        through = sorted({str(each.through) for each in self.eligibilities if each.through})
        if not through or any(each.through is None for each in self.eligibilities):
            return "directly"
        return f"through membership of {', '.join(through)}"

    @property
    def address(self) -> str:
        return reverse("group", args=[self.group.object_id])

    @property
    def request_address(self) -> str:
        return reverse("request_access", args=[self.group.object_id])

    @property
    def preview_address(self) -> str:
        return reverse("request_preview", args=[self.group.object_id])


def eligible_groups(person: Person, query: str) -> QuerySet[PimGroup]:
    """PIM groups that this person is eligible for now; each word of `query` begins a word of what the group opens."""
    now = business_now()
    current = Eligibility.objects.filter(
        Q(starts_at=None) | Q(starts_at__lte=now), Q(ends_at=None) | Q(ends_at__gt=now), person=person
    )
    groups = PimGroup.objects.filter(pk__in=current.values("group"), present=True)
    words = re.findall(r"\w+", query)[:8]
    if words:
        prefixes = " & ".join(f"{word}:*" for word in words)
        groups = groups.filter(search=SearchQuery(prefixes, search_type="raw", config="simple"))
    return groups.order_by("display_name", "pk")


def offers(person: Person, query: str, number: str) -> Page[Offer]:
    """A page of what this person is eligible for, by name. A bounded number of queries, whatever the number of groups."""
    page = Paginator(eligible_groups(person, query), OFFERS_PAGE).get_page(number)
    judged = _judge_all(person, list(page.object_list))
    page.object_list = judged
    return cast("Page[Offer]", page)


def offer(person: Person, group_id: UUID) -> Offer:
    """One group, for somebody who is eligible for it.

    Raises:
        Missing: no such group, or no eligibility; deliberately the same.
    """
    group = PimGroup.objects.filter(object_id=str(group_id), eligibilities__person=person).first()
    if group is None:
        raise Missing("group.missing", "There is no such PIM group, or you are not eligible for it.")
    return _judge_all(person, [group])[0]


def _judge_all(person: Person, groups: Sequence[PimGroup]) -> list[Offer]:
    now = business_now()
    versions = current_versions()
    state = ProvisioningState.objects.order_by("-observed_at").first()
    held: dict[int, list[Eligibility]] = {}
    for each in Eligibility.objects.filter(person=person, group__in=groups).select_related("through"):
        held.setdefault(each.group_id, []).append(each)
    names = names_in(version.parsed for version in versions)
    can_decide: dict[int, bool] = {}
    found = []
    for group in groups:
        matched = match(group.object_id, versions)
        version = matched.version
        if version is not None and version.pk not in can_decide:
            can_decide[version.pk] = somebody_can_decide(version.parsed, person)
        around = Circumstances(
            match=matched,
            somebody_can_decide=version is None or can_decide[version.pk],
            provisioning=state.code if state else "",
            now=now,
        )
        eligibilities = held.get(group.pk, [])
        found.append(Offer(group, eligibilities, judge(person, group, eligibilities, around), names))
    return found


@dataclass(frozen=True, slots=True)
class Freshness:
    """What to say about the age and the health of what a page shows."""

    problems: Sequence[freshness.PartAge]
    health: freshness.ProvisioningHealth


def read_freshness() -> Freshness:
    """Three queries."""
    return Freshness(
        problems=[age for age in freshness.ages() if age.problem],
        health=freshness.provisioning_health(),
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy of a permission set."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Unit:
    """Accounts of one organisational unit."""

    name: str
    accounts: Sequence[AwsAccount]


@dataclass(frozen=True, slots=True)
class OpenedSet:
    """One permission set that a group opens, and the part of its accounts that this page shows."""

    permission_set: PermissionSet
    account_count: int
    accounts: Sequence[AwsAccount]

    @property
    def units(self) -> list[Unit]:
        by_name: dict[str, list[AwsAccount]] = {}
        for account in self.accounts:
            by_name.setdefault(str(account.unit) if account.unit else "No organisational unit", []).append(
                account
            )
        return [Unit(name, accounts) for name, accounts in by_name.items()]

    @property
    def policies(self) -> list[Policy]:
        this = self.permission_set
        found = [Policy(str(each["name"]), "AWS managed") for each in this.managed_policies]
        found += [Policy(str(each["name"]), "in each account") for each in this.customer_managed_policies]
        if this.inline_policy:
            found.append(Policy("Inline policy", "of this permission set"))
        if this.permissions_boundary:
            found.append(Policy("Permissions boundary", "limits all of it"))
        return found


@dataclass(frozen=True, slots=True)
class Opens:
    """What a group opens, page by page."""

    sets: Sequence[OpenedSet]
    page: Page[AccountAssignment]


def what_it_opens(group: PimGroup, number: str) -> Opens:
    """A page of account assignments, by permission set and organisational unit. Three queries."""
    assignments = (
        AccountAssignment.objects.filter(group=group)
        .select_related("permission_set", "account__unit")
        .order_by("permission_set__name", "permission_set_id", "account__unit__path", "account__name", "pk")
    )
    page = Paginator(assignments, ASSIGNMENTS_PAGE).get_page(number)
    counts = dict(
        AccountAssignment.objects.filter(group=group)
        .values_list("permission_set")
        .annotate(Count("pk"))
        .order_by()
    )
    sets: dict[int, list[AccountAssignment]] = {}
    for row in page.object_list:
        sets.setdefault(row.permission_set_id, []).append(row)
    return Opens(
        sets=[
            OpenedSet(rows[0].permission_set, counts[key], [row.account for row in rows])
            for key, rows in sets.items()
        ],
        page=page,
    )
