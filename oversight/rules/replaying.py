"""The requests of the last 90 days under proposed rules: who would have waited longer, been refused, found nobody, or had
to sign in once more.

Each is compared with what it was held to when it was made. The catalogue and the directory are those of now, because
nobody knows any more what they were then; requests are judged by the hour at which they were made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Q

from base.clock import business_now
from base.words import duration_words
from identity.models import Person
from identity.signin.proving import Proof
from oversight.rules.planning import Judge
from policy.asking import read_asks
from policy.assurance import NOTHING, Assurance
from policy.demands import Demands
from policy.fields import fits
from policy.matching import match
from policy.models import RuleVersion
from policy.scope import Ask
from policy.waiving import Automatic
from requests_app.lifecycle import DecisionStatus, WaiverStatus
from requests_app.models import RequestItem
from requests_app.waivers.conditions import Facts, judge, read_facts
from requests_app.waivers.models import Waiver
from requests_app.waivers.rights import may_use

WINDOW = timedelta(days=90)
# Requests that a replay looks at, the newest first; beyond, it says that it was cut.
MOST = 20_000
BATCH = 200


class Outcome(StrEnum):
    """What would have become of a request otherwise."""

    REFUSED = "refused"
    NOBODY = "nobody"
    LONGER = "longer"  # more words are needed
    SIGN_IN = "sign_in"  # a sign-in has to prove more than it did


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
        self._facts: dict[tuple[int, Automatic], Facts] = {}

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
        wanted = signs_in_again(item, found.demands)
        if more := self._waits_longer(item, found.demands):
            return Verdict(item.pk, Outcome.LONGER, " ".join([more, *wanted]))
        return Verdict(item.pk, Outcome.SIGN_IN, " ".join(wanted)) if wanted else None

    def _waits_longer(self, item: RequestItem, after: Demands) -> str:
        """How many words more are needed than were; "" when not more."""
        waiver = _granted_waiver(item)
        if waiver is None:
            return waits_longer(item.terms.parsed, after)
        if waiver.emergency:
            return "" if _still_in_emergency(item, after) else "An approval instead of emergency use."
        return "" if self._still_automatic(item, after) else "An approval instead of none."

    def _still_automatic(self, item: RequestItem, after: Demands) -> bool:
        """Whether nobody would have to decide on it; what its group opens is read once."""
        automatic = after.automatic
        if automatic is None or after.pim_approval:
            return False
        asked: dict[str, Any] = {
            "duration": item.duration,
            "asked_at": item.created_at,
            "reference": item.request.reference,
        }
        key = (item.group_id, automatic)
        if key not in self._facts:
            self._facts[key] = read_facts(item.group, automatic, **asked)
        return all(each.holds for each in judge(automatic, replace(self._facts[key], **asked)))


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


def signs_in_again(item: RequestItem, after: Demands) -> list[str]:
    """What the sign-ins of whoever asked and decided aren't known to have proven, a sentence each, asker first.

    What nobody wanted of a sign-in wasn't kept: it counts as not proven.
    """
    found = []
    if missing := _unproven(after.step_up.ask, item.request.proof, item.requester):
        found.append(f"To ask, {' and '.join(missing.words)} was needed.")
    lacking = [
        _unproven(after.step_up.decide, decision.proof, decision.approver)
        for decision in item.decisions.all()
        if decision.status == DecisionStatus.COUNTED
    ]
    if missing := NOTHING.with_(lacking):
        found.append(f"To decide, {' and '.join(missing.words)} was needed.")
    return found


def _unproven(wanted: Assurance, stored: object, person: Person) -> Assurance:
    proof = Proof.of_json(stored)
    if proof is None or proof.used_at is None:
        return wanted
    return wanted.lacking(proof, person.object_id, proof.used_at)


def _granted_waiver(item: RequestItem) -> Waiver | None:
    waiver: Waiver | None = getattr(item, "waiver", None)
    return waiver if waiver is not None and waiver.status == WaiverStatus.GRANTED else None


def _still_in_emergency(item: RequestItem, after: Demands) -> bool:
    emergency = after.emergency
    if emergency is None or after.pim_approval or item.duration > emergency.longest_duration:
        return False
    return item.waiver.drill or may_use(item.requester, emergency)


def items_to_replay(now: datetime, before: tuple[datetime, UUID] | None, most: int) -> list[RequestItem]:
    """The next requests, newest first, from behind a place. Three queries."""
    rows = RequestItem.objects.filter(created_at__gt=now - WINDOW, created_at__lte=now)
    if before is not None:
        rows = rows.filter(Q(created_at__lt=before[0]) | Q(created_at=before[0], pk__lt=before[1]))
    told = rows.select_related("request", "requester", "group", "terms", "waiver")
    return list(told.prefetch_related("decisions__approver").order_by("-created_at", "-pk")[:most])
