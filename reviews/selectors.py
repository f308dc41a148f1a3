"""What the pages of access reviews show, in a fixed number of bounded queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from base.clock import business_now
from base.errors import Missing
from catalog.models import PimGroup
from identity.humans import MARK, is_human, same_human
from identity.models import Person
from requests_app.activity.recorded import UNREAD, RecordedUse, coverage_words
from reviews.deciding import last_accesses, last_uses
from reviews.models import Campaign, ReviewedBy, ReviewEntry, Reviewer, Unowned, Verdict, WithoutOwners

PAGE = 50
CAMPAIGNS = 25
CHUNK = 500
MOST_NAMED = 4  # reviewers that the progress page names for a group
MOST_REVIEWERS = 50  # of whom the progress page says how far they are

_DECIDED = Count("entries", filter=~Q(entries__verdict=""))


def campaign_or_missing(campaign_id: UUID) -> Campaign:
    """Raises Missing."""
    campaign = Campaign.objects.select_related("started_by", "closed_by").filter(pk=campaign_id).first()
    if campaign is None:
        raise Missing("review.missing", "There is no such access review.")
    return campaign


def campaigns_page(number: str = "1") -> Page[Any]:
    """All campaigns, newest first, each with how many entries it has and how many of them are decided."""
    rows = Campaign.objects.annotate(all=Count("entries"), decided=_DECIDED)
    return Paginator(rows.order_by("-started_at", "pk"), CAMPAIGNS).get_page(number)


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """How far one PIM group of a campaign is."""

    group: PimGroup
    all: int
    keep: int
    remove: int
    reviewers: Sequence[Person]
    nobody: int  # undecided entries that none of the reviewers may decide on, being their own
    why_reviewers: str  # why these review it, where the review is by owner

    @property
    def nobody_words(self) -> str:
        return f"{self.nobody} that nobody may review"

    @property
    def first_reviewers(self) -> Sequence[Person]:
        return self.reviewers[:MOST_NAMED]

    @property
    def more_reviewers(self) -> int:
        return max(0, len(self.reviewers) - MOST_NAMED)

    @property
    def undecided(self) -> int:
        return self.all - self.keep - self.remove


@dataclass(frozen=True, slots=True)
class ReviewerProgress:
    """How far one reviewer is: in how many PIM groups, what they may decide on, and what of it nobody has yet.

    What several review is counted for each of them; their own eligibilities, by whichever account, for none.
    """

    name: str
    groups: int
    owned: int  # of these groups, as their owner in Entra
    all: int
    undecided: int
    decided: int  # by themselves


@dataclass(frozen=True, slots=True)
class Progress:
    """One page of a campaign's groups, and the counts of all; `reviewers` are those for whom most is undecided."""

    campaign: Campaign
    page: Page[PimGroup]
    groups: Sequence[GroupProgress]
    reviewers: Sequence[ReviewerProgress]
    without_owners: Sequence[str]  # sentences about the groups that their owners don't review
    all: int
    keep: int
    remove: int

    @property
    def undecided(self) -> int:
        return self.all - self.keep - self.remove

    @property
    def decided(self) -> int:
        return self.keep + self.remove

    @property
    def late(self) -> bool:
        return self.campaign.open and bool(self.undecided) and self.campaign.due_on < business_now().date()


def progress(campaign_id: UUID, number: str = "1") -> Progress:
    """Groups by name, with who reviews them. Raises Missing."""
    campaign = campaign_or_missing(campaign_id)
    reviewed = ReviewEntry.objects.filter(campaign=campaign).values("group")
    page = Paginator(PimGroup.objects.filter(pk__in=reviewed).order_by("display_name", "pk"), PAGE).get_page(
        number
    )
    of = {
        "all": Count("pk"),
        "keep": Count("pk", filter=Q(verdict=Verdict.KEEP)),
        "remove": Count("pk", filter=Q(verdict=Verdict.REMOVE)),
    }
    entries = ReviewEntry.objects.filter(campaign=campaign)
    shown = list(page)
    counted: QuerySet[Any, Any] = entries.filter(group__in=shown).order_by().values("group").annotate(**of)
    counts = {row["group"]: row for row in counted}
    whose: dict[int, list[Person]] = {}
    for row in (
        Reviewer.objects.filter(campaign=campaign, group__in=shown)
        .select_related("person")
        .order_by("person__display_name", "pk")
    ):
        whose.setdefault(row.group_id, []).append(row.person)
    lost, without = _nobodys(campaign, shown), _without_owners(campaign)
    groups = [
        GroupProgress(
            group,
            counts[group.pk]["all"],
            counts[group.pk]["keep"],
            counts[group.pk]["remove"],
            whose.get(group.pk, []),
            lost.get(group.pk, 0),
            _why_reviewers(campaign, without.get(group.pk)),
        )
        for group in shown
    ]
    reviewers = _by_reviewer(campaign)
    return Progress(campaign, page, groups, reviewers, _counted(without), **entries.aggregate(**of))


def _without_owners(campaign: Campaign, *groups: PimGroup) -> dict[int, WithoutOwners]:
    """By group: why its owners don't review it; of all groups unless some are named. At most one query."""
    if campaign.reviewed_by != ReviewedBy.OWNERS:
        return {}
    rows = Unowned.objects.filter(campaign=campaign)
    rows = rows.filter(group__in=groups) if groups else rows
    return {group: WithoutOwners(why) for group, why in rows.values_list("group", "why")}


def _why_reviewers(campaign: Campaign, why: WithoutOwners | None) -> str:
    if campaign.reviewed_by != ReviewedBy.OWNERS:
        return ""
    return f"whoever decides on requests: {why.label}" if why else "owners in Entra"


def _counted(without: Mapping[int, WithoutOwners]) -> Sequence[str]:
    numbers = Counter(without.values())
    return [
        f"{numbers[why]:,} PIM group{'' if numbers[why] == 1 else 's'}: {why.label}."
        for why in WithoutOwners
        if numbers[why]
    ]


# Counted by group first: a large review has many entries of a group, each of which has many reviewers.
_BY_REVIEWER = """
WITH counted AS MATERIALIZED (
    SELECT group_id, count(*) AS number, count(*) FILTER (WHERE verdict = '') AS undecided
    FROM reviews_reviewentry WHERE campaign_id = %(campaign)s GROUP BY group_id
), reviewing AS MATERIALIZED (
    SELECT person_id, group_id, as_owner FROM reviews_reviewer WHERE campaign_id = %(campaign)s
), account AS MATERIALIZED (
    SELECT person_id, person_id AS id FROM reviewing
    UNION
    SELECT one.id, other.id FROM identity_person one
    JOIN identity_person other ON lower(btrim(other.employee_id)) = lower(btrim(one.employee_id))
    WHERE one.id IN (SELECT person_id FROM reviewing) AND btrim(one.employee_id) <> ''
), own AS (
    SELECT reviewing.person_id, count(*) AS number, count(*) FILTER (WHERE entry.verdict = '') AS undecided
    FROM account JOIN reviews_reviewentry entry ON entry.person_id = account.id AND entry.campaign_id = %(campaign)s
    JOIN reviewing ON reviewing.person_id = account.person_id AND reviewing.group_id = entry.group_id
    GROUP BY reviewing.person_id
), word AS (
    SELECT decided_by_id AS person_id, count(*) AS number FROM reviews_reviewentry
    WHERE campaign_id = %(campaign)s AND verdict <> '' GROUP BY decided_by_id
)
SELECT display_name, groups, owned, reviewed.number - coalesce(own.number, 0),
       reviewed.undecided - coalesce(own.undecided, 0) AS waiting, coalesce(word.number, 0)
FROM (SELECT person_id, count(*) AS groups, count(*) FILTER (WHERE as_owner) AS owned,
             sum(number)::bigint AS number, sum(undecided)::bigint AS undecided
      FROM reviewing JOIN counted USING (group_id) GROUP BY person_id) reviewed
JOIN identity_person person ON person.id = person_id LEFT JOIN own USING (person_id) LEFT JOIN word USING (person_id)
ORDER BY waiting DESC, display_name, person_id LIMIT %(most)s
"""


def _by_reviewer(campaign: Campaign) -> Sequence[ReviewerProgress]:
    with connection.cursor() as cursor:
        cursor.execute(_BY_REVIEWER, {"campaign": campaign.pk, "most": MOST_REVIEWERS})
        return [ReviewerProgress(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class ReviewedGroup:
    """One PIM group of a campaign, who reviews it, and why, where the review is by owner."""

    campaign: Campaign
    group: PimGroup
    reviewers: Sequence[Reviewer]
    why_reviewers: str


def reviewed_group(campaign_id: UUID, object_id: str) -> ReviewedGroup:
    """Raises Missing for a group that the campaign doesn't have."""
    campaign = campaign_or_missing(campaign_id)
    reviewed = ReviewEntry.objects.filter(campaign=campaign).values("group")
    group = PimGroup.objects.filter(object_id=object_id, pk__in=reviewed).first()
    if group is None:
        raise Missing("review.group_missing", "This access review has no such PIM group.")
    rows = Reviewer.objects.filter(campaign=campaign, group=group).select_related("person")
    why = _why_reviewers(campaign, _without_owners(campaign, group).get(group.pk))
    return ReviewedGroup(campaign, group, list(rows.order_by("person__display_name", "pk")), why)


def _nobodys(campaign: Campaign, groups: Sequence[PimGroup]) -> dict[int, int]:
    """By group: undecided entries for which there is no reviewer but their own holder, by whichever account."""
    others = Reviewer.objects.filter(
        campaign=campaign, group=OuterRef("group"), person__enabled=True
    ).exclude(
        Q(person=OuterRef("person"))
        | (~Q(**{f"person__{MARK}": ""}) & Q(**{f"person__{MARK}": OuterRef(f"person__{MARK}")}))
    )
    rows = ReviewEntry.objects.filter(~Exists(others), campaign=campaign, group__in=groups, verdict="")
    return dict(rows.order_by().values_list("group").annotate(Count("pk")))


# --- For a reviewer


def open_reviews(person: Person) -> Sequence[Campaign]:
    """Open campaigns in which this person reviews, with how many entries there are for them and how many are undecided."""
    mine = Reviewer.objects.filter(person=person, campaign=OuterRef("campaign"), group=OuterRef("group"))
    counted = (
        ReviewEntry.objects.filter(Exists(mine), campaign__closed_at=None)
        .exclude(is_human(person, "person"))
        .order_by()
        .values("campaign")
        .annotate(all=Count("pk"), undecided=Count("pk", filter=Q(verdict="")))
    )
    numbers = {row["campaign"]: row for row in counted}
    found = list(Campaign.objects.filter(pk__in=numbers).order_by("due_on", "pk")[:CAMPAIGNS])
    for campaign in found:
        campaign.all, campaign.undecided = (  # type: ignore[attr-defined]  # as annotated in campaigns_page
            numbers[campaign.pk]["all"],
            numbers[campaign.pk]["undecided"],
        )
    return found


def is_reviewing(person: Person) -> bool:
    """Whether something waits for this person's review that they may decide on. One query."""
    waiting = ReviewEntry.objects.filter(campaign=OuterRef("campaign"), group=OuterRef("group"), verdict="")
    return Reviewer.objects.filter(
        Exists(waiting.exclude(is_human(person, "person"))), person=person, campaign__closed_at=None
    ).exists()


@dataclass(frozen=True, slots=True)
class Row:
    """One entry with when its person last had this access through the portal, and when it was last used."""

    entry: ReviewEntry
    last_access_at: datetime | None
    own: bool  # the reviewer's
    use: RecordedUse = UNREAD

    @property
    def tone(self) -> str:
        return {Verdict.KEEP.value: "live", Verdict.REMOVE.value: "ending"}.get(self.entry.verdict, "waiting")

    @property
    def no_use(self) -> str:
        """What to say where no use is known."""
        if self.last_access_at is None:
            return "none"
        return "none was read" if self.use.whole else "not known"

    @property
    def reservation(self) -> str:
        """What to say beside a use that is known: there may have been a newer one."""
        return "not read whole" if self.use.at and not self.use.whole else ""

    @property
    def words(self) -> str:
        return {Verdict.KEEP.value: "To keep", Verdict.REMOVE.value: "To remove"}.get(
            self.entry.verdict, "Undecided"
        )


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page of what somebody reviews in a campaign."""

    campaign: Campaign
    page: Page[ReviewEntry]
    rows: Sequence[Row]
    all: int
    undecided: int

    @property
    def coverage(self) -> str:
        """What the column of the last use can show and what not."""
        return coverage_words()


def sheet(campaign_id: UUID, person: Person, *, everything: bool = False, number: str = "1") -> Sheet:
    """What this person reviews: the undecided, or everything. Raises Missing for who reviews nothing in it."""
    campaign = campaign_or_missing(campaign_id)
    mine = Reviewer.objects.filter(campaign=campaign, person=person)
    if not mine.exists():
        raise Missing("review.missing", "There is no such access review.")
    entries = ReviewEntry.objects.filter(campaign=campaign, group__in=mine.values("group"))
    theirs = entries.exclude(
        is_human(person, "person")
    )  # their own is shown, and somebody else's to decide on
    counted = theirs.aggregate(all=Count("pk"), undecided=Count("pk", filter=Q(verdict="")))
    if not everything:
        entries = entries.filter(verdict="")
    page = Paginator(_by_name(entries), PAGE).get_page(number)
    rows = list(page)
    return Sheet(campaign, page, _rows(rows, person), **counted)


def _rows(entries: Sequence[ReviewEntry], reviewer: Person | None = None) -> list[Row]:
    """Two queries."""
    lasts, uses = last_accesses(entries), last_uses(entries)
    keyed = [(entry, (entry.person_id, entry.group_id)) for entry in entries]
    return [
        Row(
            entry,
            lasts.get(pair),
            own=reviewer is not None and same_human(reviewer, entry.person),
            use=uses.get(pair, UNREAD),
        )
        for entry, pair in keyed
    ]


def _by_name(entries: QuerySet[ReviewEntry]) -> QuerySet[ReviewEntry]:
    return entries.select_related("person", "group", "decided_by").order_by(
        F("group__display_name"), F("person__display_name"), "pk"
    )


def removals(campaign: Campaign) -> Iterator[Row]:
    """Every entry that is to be removed, by group and name, some hundred at a time."""
    wanted = list(_by_name(campaign.entries.filter(verdict=Verdict.REMOVE)).values_list("pk", flat=True))
    for start in range(0, len(wanted), CHUNK):
        yield from _rows(list(_by_name(ReviewEntry.objects.filter(pk__in=wanted[start : start + CHUNK]))))
