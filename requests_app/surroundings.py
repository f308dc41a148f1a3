"""What an approver asks about a request beyond its words: who else has it, what this person had, who decides next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q

from requests_app.activity.reading import last_uses
from requests_app.lifecycle import HOLDING, DecisionStatus
from requests_app.models import Decision, Grant, RequestItem, Verdict
from requests_app.rule_words import names_in, stage_words
from requests_app.selectors import RequestPage

# Holders named; more are counted.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class LastUse:
    """When the requester last used a permission set in AWS, with any access that the portal gave; None: not known."""

    permission_set: str
    at: datetime | None  # business time


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Facts from the portal's own grants, and from what was read of their use."""

    holders: Sequence[str]  # others who hold the PIM group now, or may
    more_holders: int
    had: int  # times that this person's access through the group arrived before
    last_arrived_at: datetime | None  # business time
    next_words: str  # what an approval now leads to
    last_used: Sequence[LastUse]  # of each permission set that it opens, as far as CloudTrail was read
    more_sets: int


def surroundings(read: RequestPage) -> Surroundings:
    """Read it for the item of a page. Six queries at most, however many grants there are."""
    item = read.item
    same = Grant.objects.filter(group=item.group_id)
    others = same.filter(status__in=HOLDING).exclude(person=item.requester_id)
    names = list(
        others.order_by("person__display_name", "pk").values_list("person__display_name", flat=True)[
            :MOST_NAMED
        ]
    )
    more = others.count() - len(names) if len(names) == MOST_NAMED else 0
    own = same.filter(person=item.requester_id).aggregate(
        had=Count("pk", filter=Q(arrived_at__isnull=False)), last=Max("arrived_at")
    )
    sets = _sets_of(read)
    used = last_uses(item.requester_id, sets)
    return Surroundings(
        names,
        more,
        own["had"],
        own["last"],
        _next_words(item, read.decisions),
        [LastUse(name, used.get(name)) for name in sets[:MOST_NAMED]],
        max(len(sets) - MOST_NAMED, 0),
    )


def _sets_of(read: RequestPage) -> list[str]:
    """The names of the permission sets that it opens. No query where the page has its whole scope."""
    names = [row.permission_set_name for row in read.scope]
    if len(names) < read.scope_count:
        rows = read.item.scope.order_by("permission_set_name")
        names = list(rows.values_list("permission_set_name", flat=True).distinct())
    return list(dict.fromkeys(names))


def _next_words(item: RequestItem, decisions: Sequence[Decision]) -> str:
    stages = item.terms.parsed.stages
    if item.stage >= len(stages):
        return ""
    here = [word for word in decisions if word.stage == item.stage and word.verdict == Verdict.APPROVE]
    missing = stages[item.stage].quorum - sum(word.status == DecisionStatus.COUNTED for word in here)
    if missing > 1:
        others = "1 more approval is" if missing == 2 else f"{missing - 1} more approvals are"
        return f"After yours, {others} needed at this stage."
    if item.stage + 1 < len(stages):
        following = stages[item.stage + 1]
        return (
            f"After yours, the next stage decides: {stage_words(following, names_in([item.terms.parsed]))}."
        )
    return "An approval of yours is the last one needed."
