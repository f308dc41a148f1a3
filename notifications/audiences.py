"""Who is told, resolved by a worker from snapshots of people and directory groups."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Case, Q, Value, When

from identity.humans import accounts_of, human_key
from identity.models import AppRole, Person
from notifications.kinds import ASKING
from policy.approvers import able, deciders
from requests_app.lifecycle import DecisionStatus
from requests_app.models import RequestItem, Verdict
from requests_app.waivers.models import OwedReview
from requests_app.waivers.rights import reviewers, reviewers_now

# A group of approvers may hold a whole department; the letter says how many there are.
MOST_ASKED = 50


def to_ask(item: RequestItem) -> tuple[Sequence[Person], int]:
    """Who is asked to decide at the item's stage, each human once, and how many may. Two queries, three where many may."""
    demands = item.terms.parsed
    stages = demands.stages
    if item.stage >= len(stages):
        return (), 0
    approvers = stages[item.stage].approvers
    may = deciders(approvers, item.requester, guests=demands.guests_decide)
    for decision in item.decisions.exclude(status=DecisionStatus.REFUSED).select_related("approver"):
        may = may.exclude(accounts_of(decision.approver))
    named_first = Case(When(object_id__in=approvers.people, then=Value(0)), default=Value(1))
    rows = list(may.order_by(named_first, "display_name", "pk")[: MOST_ASKED + 1])
    total = len(rows) if len(rows) <= MOST_ASKED else may.count()
    humans = {human_key(each): each for each in reversed(rows[:MOST_ASKED])}
    return list(reversed(humans.values())), total


def asked_about(item: RequestItem) -> Sequence[Person]:
    """Whoever was asked to decide on the item, or reminded of it, and didn't, at whichever stage."""
    decided = item.decisions.filter(status=DecisionStatus.COUNTED).values("approver")
    asked = Person.objects.filter(messages__item=item, messages__kind__in=ASKING).exclude(pk__in=decided)
    return list(asked.distinct().order_by("pk"))


def concerned_by(item: RequestItem) -> Sequence[Person]:
    """Whom an emergency concerns, beside those who review it: all who may decide at any stage, away or not (owners of
    accounts among them, where the rules ask those), whoever stands in for one of them, and operators.

    Each human once, MOST_ASKED of each at most; never who asked. A query for each stage and one for operators.
    """
    demands, requester = item.terms.parsed, item.requester
    found: list[Person] = []
    for stage in demands.stages:
        may = able(stage.approvers, requester, guests=demands.guests_decide)
        counted_on = deciders(stage.approvers, requester, guests=demands.guests_decide)
        told = Person.objects.filter(Q(pk__in=may.values("pk")) | Q(pk__in=counted_on.values("pk")))
        found += told.order_by("display_name", "pk")[:MOST_ASKED]
    operators = Person.objects.filter(
        user__app_roles__contains=[AppRole.OPERATOR], user__is_active=True, enabled=True
    )
    found += operators.exclude(accounts_of(requester)).order_by("display_name", "pk")[:MOST_ASKED]
    return list({human_key(each): each for each in reversed(found)}.values())[::-1]


def who_review(review: OwedReview) -> Sequence[Person]:
    """Who may review it now, each human once, MOST_ASKED at most. Two queries."""
    item = review.waiver.item
    may = reviewers(reviewers_now(review), item.requester, item.terms.parsed)
    rows = may.order_by("display_name", "pk")[:MOST_ASKED]
    return list({human_key(each): each for each in rows}.values())


def approvers_of(item: RequestItem) -> Sequence[Person]:
    """Whoever approved the item, with a decision that was counted."""
    rows = item.decisions.filter(status=DecisionStatus.COUNTED, verdict=Verdict.APPROVE)
    return [each.approver for each in rows.select_related("approver").order_by("pk")]
