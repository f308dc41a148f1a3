"""What pages read of emergency use and its reviews: bounded, and judged here for who may see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from base.clock import business_now
from base.errors import Missing
from identity.humans import same_human
from identity.models import DirectoryMembership, Person
from policy.approvers import barred_as_guest
from requests_app.activity.planning import is_on
from requests_app.activity.reading import Activity, activity_of
from requests_app.models import Grant, GrantInterval, RequestItem, RequestScope
from requests_app.permissions import is_operator
from requests_app.presentation import Standing, standing
from requests_app.rows import ScopeSet, part_of_request, scope_sets
from requests_app.rule_words import named_words, names_in
from requests_app.waivers.models import OwedReview
from requests_app.waivers.rights import may_review, reviewers_now
from requests_app.waivers.rows import ReviewRow

# Open reviews that are looked at for one person; more would be no emergencies any more.
MOST_OPEN = 500
PAGE = 25
MOST_SCOPE = 200
# Actions that a review's page lists; the case has them all.
MOST_ACTIONS = 10


def _reviews() -> QuerySet[OwedReview]:
    # In two statements: nine tables in one were joined crosswise where Postgres took them for empty, up to the time limit.
    items = RequestItem.objects.select_related("terms", "group", "request", "requester")
    reviews = OwedReview.objects.select_related("person", "reviewed_by", "lifted_by", "waiver")
    return reviews.prefetch_related(Prefetch("waiver__item", queryset=items))


def waiting_for(person: Person) -> list[ReviewRow]:
    """What waits for this person's review, the first due first. Three queries, or one where no review is open."""
    if not person.enabled:
        return []
    # Whose use it was is looked at here: the same as a condition on the joined person once ran into the time limit.
    rows = list(_reviews().filter(verdict="").order_by("due_at", "pk")[:MOST_OPEN])
    if not rows:
        return []
    now = business_now()
    groups = frozenset(
        DirectoryMembership.objects.filter(person=person).values_list("group__object_id", flat=True)
    )
    return [ReviewRow(row, now) for row in rows if _waits_for(person, groups, row)]


def waits_for_review(person: Person) -> bool:
    """Whether anything waits for this person's review. One query where no review is open."""
    return bool(waiting_for(person))


def _waits_for(person: Person, groups: frozenset[str], row: OwedReview) -> bool:
    if same_human(person, row.person):
        return False
    if barred_as_guest(person, guests=row.waiver.item.terms.parsed.guests_decide):
        return False
    named = reviewers_now(row)
    return person.object_id in named.people or bool(groups & named.groups)


def newest(*, before: tuple[datetime, UUID] | None = None, limit: int = PAGE) -> list[ReviewRow]:
    """Every review, the newest first, for operators and auditors. Two queries."""
    now, rows = business_now(), _reviews().order_by("-owed_at", "pk")
    if before is not None:
        rows = rows.filter(owed_at__lt=before[0]) | rows.filter(owed_at=before[0], pk__gt=before[1])
    return [ReviewRow(row, now) for row in rows[:limit]]


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """One review with all that its reviewer needs to know."""

    row: ReviewRow
    grant: Grant | None
    scope: Sequence[ScopeSet]
    activity: Activity | None  # None where it isn't read
    reviewers: str
    mine: bool  # the viewer may review it now
    liftable: bool  # the viewer may lift what it blocks now

    @property
    def review(self) -> OwedReview:
        return self.row.review

    @property
    def item(self) -> RequestItem:
        return self.review.waiver.item

    @property
    def title(self) -> str:
        return self.item.group.display_name

    @property
    def standing(self) -> Standing:
        """Where the access stands that was used."""
        return standing(self.item.status, self.grant)

    @property
    def tells_activity(self) -> bool:
        """Whether the page shows what was done in AWS: somebody's work, so that each look is an event."""
        return self.activity is not None and self.activity.read

    @property
    def actions(self) -> Sequence[object]:
        return self.activity.actions[:MOST_ACTIONS] if self.activity else ()

    @property
    def more_actions(self) -> int:
        return max(len(self.activity.actions) - MOST_ACTIONS, 0) if self.activity else 0

    @property
    def request_address(self) -> str:
        return part_of_request("request", self.item)


def review_page(person: Person, review_id: UUID, *, overseer: bool) -> ReviewPage:
    """The page of one review, for whoever may review it, or has, and for operators and auditors.

    Raises:
        Missing: absent, or not theirs to see; deliberately the same.
    """
    found = _reviews().filter(pk=review_id).first()
    allowed = found is not None and may_review(person, found)
    if found is None or not (allowed or overseer or found.reviewed_by_id == person.pk):
        raise Missing("owed_review.missing", "There is no such review, or it is not yours.")
    now, item = business_now(), found.waiver.item
    interval = GrantInterval.objects.filter(item=item).select_related("grant").first()
    grant = interval.grant if interval else None
    named = reviewers_now(found)
    scope = RequestScope.objects.filter(item=item).order_by("permission_set_name", "account_name")
    return ReviewPage(
        row=ReviewRow(found, now),
        grant=grant,
        scope=scope_sets(scope[:MOST_SCOPE]),
        activity=activity_of([grant])[grant.pk] if grant and is_on() else None,
        reviewers=named_words(named, names_in([item.terms.parsed])) if named else "nobody",
        mine=allowed and found.open,
        liftable=found.blocks(now) and is_operator(person) and not same_human(person, found.person),
    )
