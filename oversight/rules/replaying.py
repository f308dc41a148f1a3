"""The requests of the last 90 days under proposed rules: who would have waited longer, been refused, found nobody.

Each is compared with what it was held to when it was made. The catalogue and the directory are those of now, because
nobody knows any more what they were then; requests are judged by the hour at which they were made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db.models import Q

from base.clock import business_now
from base.words import duration_words
from oversight.rules.planning import Judge
from policy.asking import read_asks
from policy.demands import Demands
from policy.fields import fits
from policy.matching import match
from policy.models import RuleVersion
from policy.scope import Ask
from requests_app.models import RequestItem

WINDOW = timedelta(days=90)
# Requests that a replay looks at, the newest first; beyond, it says that it was cut.
MOST = 20_000
BATCH = 200


class Outcome(StrEnum):
    """What would have become of a request otherwise."""

    REFUSED = "refused"
    NOBODY = "nobody"
    LONGER = "longer"  # more words are needed


@dataclass(frozen=True, slots=True)
class Verdict:
    """One request that would have gone otherwise, and why in a sentence."""

    item: UUID
    outcome: Outcome
    sentence: str


class Replay:
    """Judges requests by the proposed rules."""

    def __init__(self, versions: Sequence[RuleVersion]) -> None:
        self._versions = versions
        self._judges: dict[int, Judge] = {}

    def verdicts(self, items: Sequence[RequestItem]) -> Iterator[Verdict]:
        """What of these would have gone otherwise; what went as it went, or more easily, isn't told."""
        asks = read_asks(
            [(item.requester, item.group, item.created_at) for item in items],
            self._versions,
            roster=business_now(),
        )
        for item, ask in zip(items, asks, strict=True):
            if (found := self._verdict(item, ask)) is not None:
                yield found

    def _verdict(self, item: RequestItem, ask: Ask) -> Verdict | None:
        found = match(ask, self._versions)
        if found.demands is None:
            return Verdict(item.pk, Outcome.REFUSED, found.reasons[0])
        if refusal := refused(item, found.demands):
            return Verdict(item.pk, Outcome.REFUSED, refusal)
        judge = self._judges.setdefault(item.requester_id, Judge(item.requester))
        if nobody := judge.nobody(found.demands):
            return Verdict(item.pk, Outcome.NOBODY, nobody)
        if more := waits_longer(item.terms.parsed, found.demands):
            return Verdict(item.pk, Outcome.LONGER, more)
        return None


def refused(item: RequestItem, demands: Demands) -> str:
    """Why these demands would have refused what was asked for, "" when they wouldn't."""
    words, reference = item.request.justification, item.request.reference
    reasons = []
    if demands.longest_duration is not None and item.duration > demands.longest_duration:
        reasons.append(
            f"{duration_words(item.duration)} were asked for, and {duration_words(demands.longest_duration)} are the longest"
        )
    if len(words) < demands.shortest_justification:
        reasons.append(
            f"the justification has {len(words)} characters, and {demands.shortest_justification} are needed"
        )
    if any(not fits(pattern, words) for pattern in demands.justification_patterns):
        reasons.append("the justification doesn't fit the pattern")
    if demands.reference_required and not reference:
        reasons.append("there is no reference")
    if reference and any(not fits(pattern, reference) for pattern in demands.reference_patterns):
        reasons.append("the reference doesn't fit the pattern")
    sentence = "; ".join(reasons)
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""


def waits_longer(before: Demands, after: Demands) -> str:
    """How many words more are needed than were, "" when not more. Stages are asked one after the other."""
    more = []
    if len(after.stages) > len(before.stages):
        more.append(f"{len(after.stages)} stages instead of {len(before.stages)}")
    old, new = (sum(stage.quorum for stage in demands.stages) for demands in (before, after))
    if new > old:
        more.append(f"{new} approvals instead of {old}")
    return f"{' and '.join(more)}." if more else ""


def items_to_replay(now: datetime, before: tuple[datetime, UUID] | None, most: int) -> list[RequestItem]:
    """The next requests, newest first, from behind a place. One query."""
    rows = RequestItem.objects.filter(created_at__gt=now - WINDOW, created_at__lte=now)
    if before is not None:
        rows = rows.filter(Q(created_at__lt=before[0]) | Q(created_at=before[0], pk__lt=before[1]))
    return list(
        rows.select_related("request", "requester", "group", "terms").order_by("-created_at", "-pk")[:most]
    )
