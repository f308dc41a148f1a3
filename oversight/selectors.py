"""What the operator's pages about drift show, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import Count, Q

from base.clock import business_now
from base.errors import Missing
from catalog.models import PimGroup
from notifications.channels import ALERT
from notifications.models import Message
from oversight.models import (
    DANGEROUS,
    UNRESOLVED,
    Alert,
    DriftRun,
    Finding,
    FindingKind,
    FindingStatus,
    GroupLook,
)

PAGE = 25
EVIDENCE = {
    "schedule_id": "Schedule in PIM",
    "ends_at": "Ends in PIM",
    "pim_request_id": "Microsoft's request id",
    "tag": "Mark on the request",
    "membership_id": "Membership in AWS",
    "store_user_id": "User in AWS",
    "member_since": "Member since",
    "store_request_id": "AWS's request id",
}
MOST_UNSEEN = 20
MOST_OF_GRANTS = 100
MOST_WIDENED = 20
WIDENED_FOR = timedelta(days=90)  # how long ago what is resolved by now may have been seen first
COMPARED_WITHIN = timedelta(hours=1)  # what opens more is seen within this


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One finding as a list shows it."""

    finding: Finding
    age: timedelta

    @property
    def tone(self) -> str:
        return tone_of(self.finding)

    @property
    def evidence(self) -> Mapping[str, str]:
        """What the vendors answered, with names for people."""
        return {EVIDENCE.get(name, name): str(value) for name, value in self.finding.evidence.items()}

    @property
    def unresolved(self) -> bool:
        return self.finding.status in UNRESOLVED


@dataclass(frozen=True, slots=True)
class DriftPage:
    """The list with what was looked at and what wasn't."""

    page: Page[Finding]
    rows: Sequence[FindingRow]
    counts: Mapping[str, int]  # open findings by kind
    last: DriftRun | None
    running: bool
    unseen: Sequence[GroupLook]  # groups whose newest look failed
    unseen_count: int
    never_looked: int


def tone_of(finding: Finding) -> str:
    """A badge's tone."""
    match finding.status:
        case FindingStatus.OPEN:
            return "problem" if finding.kind in DANGEROUS else "waiting"
        case FindingStatus.ACCEPTED:
            return "waiting"
        case _:
            return "ended"


def drift_page(*, kind: str = "", status: str = "", holder: str = "", number: str = "1") -> DriftPage:
    """Findings that fit, the oldest open ones last; at most nine queries."""
    rows = Finding.objects.select_related("group", "person", "grant")
    if kind:
        rows = rows.filter(kind=kind)
    if status != "any":
        rows = rows.filter(status=status) if status else rows.filter(status__in=UNRESOLVED)
    if holder:
        rows = rows.filter(
            Q(principal_name__icontains=holder)
            | Q(group__display_name__icontains=holder)
            | Q(principal=holder)
        )
    page = Paginator(rows.order_by("status", "-first_seen_at", "pk"), PAGE).get_page(number)
    now = business_now()
    runs = DriftRun.objects.order_by("-started_at")
    managed = PimGroup.objects.filter(managed=True, present=True)
    unseen = GroupLook.objects.filter(group__in=managed).exclude(problem="").select_related("group")
    return DriftPage(
        page=page,
        rows=[FindingRow(row, now - row.first_seen_at) for row in page],
        counts=dict(
            Finding.objects.filter(status=FindingStatus.OPEN)
            .values_list("kind")
            .annotate(Count("pk"))
            .order_by()
        ),
        last=runs.exclude(status=DriftRun.Status.RUNNING).first(),
        running=runs.filter(status=DriftRun.Status.RUNNING).exists(),
        unseen=list(unseen.order_by("group__display_name")[:MOST_UNSEEN]),
        unseen_count=unseen.count(),
        never_looked=managed.filter(Q(look=None) | Q(look__looked_at=None)).count(),
    )


def finding_or_missing(finding_id: UUID) -> FindingRow:
    """One finding. Raises Missing."""
    row = (
        Finding.objects.select_related("group", "person", "grant", "resolved_by")
        .filter(pk=finding_id)
        .first()
    )
    if row is None:
        raise Missing("finding.missing", "There is no such finding.")
    return FindingRow(row, business_now() - row.first_seen_at)


def findings_of_grants(grant_ids: Sequence[UUID]) -> tuple[Mapping[UUID, Sequence[FindingRow]], bool]:
    """What was ever found about these grants, newest first, and whether older ones were left out; one query."""
    found: dict[UUID, list[FindingRow]] = {}
    now = business_now()
    rows = Finding.objects.filter(grant__in=list(grant_ids)).select_related("group")
    kept = list(rows.order_by("-first_seen_at", "pk")[: MOST_OF_GRANTS + 1])
    for row in kept[:MOST_OF_GRANTS]:
        if row.grant_id is not None:
            found.setdefault(row.grant_id, []).append(FindingRow(row, now - row.first_seen_at))
    return found, len(kept) > MOST_OF_GRANTS


def widened_between(
    since: datetime, until: datetime, *, people: Sequence[str], groups: Sequence[str]
) -> Sequence[FindingRow]:
    """Groups that were seen to open more than was approved at some time between the two, the newest first; MOST_WIDENED at
    most. Named are object ids, none for any. One query, over what is unresolved and what was first seen lately enough.
    """
    seen = Q(first_seen_at__lt=until + COMPARED_WITHIN)
    rows = Finding.objects.filter(
        Q(seen, status__in=UNRESOLVED)
        | Q(
            seen,
            status__in=(FindingStatus.HANDLED, FindingStatus.GONE),
            first_seen_at__gte=since - WIDENED_FOR,
            resolved_at__gt=since,
        ),
        kind=FindingKind.WIDENED,
    )
    if people:
        rows = rows.filter(principal__in=people)
    if groups:
        rows = rows.filter(group__object_id__in=groups)
    now = business_now()
    newest = rows.select_related("group").order_by("-first_seen_at", "pk")[:MOST_WIDENED]
    return [FindingRow(row, now - row.first_seen_at) for row in newest]


@dataclass(frozen=True, slots=True)
class AlertsPage:
    """Alerts that stand, the ones that were cleared lately, and messages that could not be sent."""

    standing: Sequence[Alert]
    cleared: Sequence[Alert]
    unsent: Sequence[Message]


def alerts_page() -> AlertsPage:
    """Three bounded queries."""
    rows = Alert.objects.order_by("-raised_at")
    return AlertsPage(
        standing=list(rows.filter(cleared_at=None)[:200]),
        cleared=list(rows.exclude(cleared_at=None)[:50]),
        unsent=list(
            Message.objects.filter(kind=ALERT, attempts__gt=0)
            .exclude(state=Message.State.SENT)
            .order_by("-pk")[:20]
        ),
    )


def alert_count() -> int:
    """How many alerts stand. One query."""
    return Alert.objects.filter(cleared_at=None).count()
