"""What requests are held to: who decides, and what has to be said. Typed, validated, and combined. Pure.

A rule demands such things of what it applies to; where several rules apply, a request is held to their combination,
in which each dimension is as strict as the strictest of them (`combine`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.duration import duration_iso_string

from base.errors import Invalid
from policy.assurance import NO_STEP_UP, StepUp, combined, parse_step_up, serialise_step_up
from policy.fields import duration, ids, mapping, patterns, refuse_unknown, rows, whole, word, yes
from policy.hours import Hours, parse_hours, serialise_hours
from policy.waiving import (
    Automatic,
    Emergency,
    combine_automatics,
    combine_emergencies,
    parse_automatic,
    parse_emergency,
    serialise_automatic,
    serialise_emergency,
)

SHORTEST_JUSTIFICATION = 10
LAPSES_AFTER = timedelta(days=1)
MOST_REMINDERS = 3


@dataclass(frozen=True, slots=True)
class Approvers:
    """Who may decide at a stage: named people and members of directory groups (object ids), and owners of accounts.

    `account_owner` is the key of an account's tag that names its owner by object id, sign-in name or mail address;
    it is resolved to people when a request is made (`policy.sources`), and is "" from then on. So are `manager`, the
    requester's, and `on_call`, the name of a schedule. `unknown` says why such a description came to nobody, `read_at`
    (business time) how old the answer is; neither is part of what is demanded.
    """

    people: frozenset[str]
    groups: frozenset[str]
    account_owner: str = ""
    manager: bool = False
    on_call: str = ""
    unknown: str = field(default="", compare=False)
    read_at: datetime | None = field(default=None, compare=False)

    @property
    def named(self) -> bool:
        return bool(self.people or self.groups or self.described)

    @property
    def described(self) -> bool:
        """Whether who they are is known only with a request."""
        return bool(self.account_owner or self.manager or self.on_call)


@dataclass(frozen=True, slots=True)
class Escalation:
    """Who may decide too, once a request has waited for so long (business time since it was made)."""

    after: timedelta
    approvers: Approvers


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a decision: `quorum` different approvers must agree."""

    approvers: Approvers
    quorum: int
    escalation: Escalation | None = None

    def escalated(self) -> Stage:
        """The stage with those to whom it escalates among its approvers."""
        if self.escalation is None:
            return self
        more = self.escalation.approvers
        approvers = replace(
            self.approvers,
            people=self.approvers.people | more.people,
            groups=self.approvers.groups | more.groups,
        )
        return replace(self, approvers=approvers, escalation=None)


@dataclass(frozen=True, slots=True)
class Demands:
    """What a request is held to. Patterns are RE2's and match a text as a whole; each of them has to.

    When none of the hours of `second_approver_outside` holds, one more has to agree at the first stage.
    """

    stages: tuple[Stage, ...]
    longest_duration: timedelta | None = None
    shortest_justification: int = SHORTEST_JUSTIFICATION  # characters
    justification_patterns: tuple[str, ...] = ()
    reference_required: bool = False
    reference_patterns: tuple[str, ...] = ()
    lapses_after: timedelta = LAPSES_AFTER  # business time until an unanswered request lapses
    guests_decide: bool = False
    second_approver_outside: tuple[Hours, ...] = ()
    remind_after: timedelta | None = None  # business time; each pause is twice the one before
    most_reminders: int = MOST_REMINDERS
    step_up: StepUp = NO_STEP_UP
    pim_approval: bool = (
        False  # PIM demands an approval (`policy.floor`): nothing waives it. No rule says it.
    )
    emergency: Emergency | None = None  # who may go without an approval, with a review owed
    automatic: Automatic | None = None  # under which conditions nobody has to decide

    def after(self, age: timedelta) -> Demands:
        """What is demanded of a request that has waited unanswered for so long."""
        stages = tuple(
            stage.escalated() if stage.escalation and stage.escalation.after <= age else stage
            for stage in self.stages
        )
        return replace(self, stages=stages)

    def escalations(self, age: timedelta) -> list[timedelta]:
        """The ages up to this one at which stages escalate, in order."""
        found = {stage.escalation.after for stage in self.stages if stage.escalation}
        return sorted(each for each in found if each <= age)

    def reminders(self, age: timedelta) -> int:
        """How many reminders are due by this age."""
        return sum(1 for each in self._reminded_at() if each <= age)

    def next_chase(self, age: timedelta) -> timedelta | None:
        """The age at which approvers are reminded, or a stage escalates, next after this one; None: never."""
        ages = [*self._reminded_at(), *(stage.escalation.after for stage in self.stages if stage.escalation)]
        return min((each for each in ages if each > age), default=None)

    def _reminded_at(self) -> list[timedelta]:
        if self.remind_after is None:
            return []
        ages, age, pause = list[timedelta](), self.remind_after, self.remind_after
        while age < self.lapses_after and len(ages) < self.most_reminders:
            ages.append(age)
            pause *= 2
            age += pause
        return ages

    def at(self, moment: datetime) -> Demands:
        """What is demanded of a request that is made at this instant: the quorum as it is then."""
        hours = self.second_approver_outside
        if not hours or any(each.hold(moment) for each in hours):
            return replace(self, second_approver_outside=())
        first, *others = self.stages
        return replace(
            self,
            stages=(replace(first, quorum=first.quorum + 1), *others),
            second_approver_outside=(),
        )


FIELDS = (
    "stages",
    "longest_duration",
    "shortest_justification",
    "justification_pattern",
    "reference_required",
    "reference_pattern",
    "lapses_after",
    "guests_decide",
    "second_approver_outside",
    "remind_after",
    "most_reminders",
    "step_up",
    "emergency",
    "automatic",
)


def parse_demands(raw: Mapping[str, Any]) -> Demands:
    """Read the demands out of a document; what else is in it is left to others.

    Raises:
        Invalid: no stage, a stage without approvers, or a value of the wrong kind.
    """
    stages = tuple(_stage(entry, number) for number, entry in enumerate(rows(raw, "stages"), start=1))
    if not stages:
        raise Invalid("rule.no_stage", "A rule needs at least one approval stage.", field="stages")
    outside = raw.get("second_approver_outside")
    given = [outside] if isinstance(outside, Mapping) else rows(raw, "second_approver_outside")
    return Demands(
        stages=stages,
        longest_duration=duration(raw["longest_duration"], "longest_duration")
        if raw.get("longest_duration")
        else None,
        shortest_justification=whole(raw, "shortest_justification", SHORTEST_JUSTIFICATION, least=0),
        justification_patterns=patterns(raw, "justification_pattern"),
        reference_required=yes(raw, "reference_required"),
        reference_patterns=patterns(raw, "reference_pattern"),
        lapses_after=duration(raw.get("lapses_after", "P1D"), "lapses_after"),
        guests_decide=yes(raw, "guests_decide"),
        second_approver_outside=tuple(parse_hours(each, "second_approver_outside") for each in given),
        remind_after=duration(raw["remind_after"], "remind_after") if raw.get("remind_after") else None,
        most_reminders=whole(raw, "most_reminders", MOST_REMINDERS, least=1),
        step_up=parse_step_up(raw),
        pim_approval=yes(raw, "pim_approval"),
        emergency=parse_emergency(raw),
        automatic=parse_automatic(raw),
    )


STAGE_FIELDS = ("people", "groups", "account_owner", "manager", "on_call", "quorum", "escalation")


def _stage(raw: Mapping[str, Any], number: int) -> Stage:
    refuse_unknown(raw, STAGE_FIELDS, f"Stage {number}")
    owner = mapping(raw, "account_owner")
    refuse_unknown(owner, {"tag"}, "account_owner")
    tag = str(owner.get("tag", "")).strip()
    if owner and not tag:
        raise Invalid(
            "rule.account_owner", f"Stage {number}: account_owner needs the key of a tag.", field="stages"
        )
    approvers = Approvers(
        people=ids(raw, "people"),
        groups=ids(raw, "groups"),
        account_owner=tag,
        manager=yes(raw, "manager"),
        on_call=word(raw, "on_call"),
    )
    if not approvers.named:
        raise Invalid("rule.no_approver", f"Stage {number} names nobody who may decide.", field="stages")
    return Stage(approvers, whole(raw, "quorum", 1, least=1), _escalation(raw, number))


def _escalation(raw: Mapping[str, Any], number: int) -> Escalation | None:
    found = mapping(raw, "escalation")
    if not found:
        return None
    refuse_unknown(found, {"after", "people", "groups"}, f"The escalation of stage {number}")
    approvers = Approvers(people=ids(found, "people"), groups=ids(found, "groups"))
    if not approvers.named:
        raise Invalid("rule.no_approver", f"Stage {number} escalates to nobody.", field="stages")
    return Escalation(duration(found.get("after"), "after"), approvers)


def serialise_demands(demands: Demands) -> dict[str, Any]:
    """The JSON form that `parse_demands` reads, with sorted members, so that equal demands hash equally.

    What a rule doesn't demand has no entry, so that a demand which rules learn later changes no hash.
    """
    raw: dict[str, Any] = {
        "stages": [_serialise_stage(stage) for stage in demands.stages],
        "shortest_justification": demands.shortest_justification,
        "reference_required": demands.reference_required,
        "lapses_after": duration_iso_string(demands.lapses_after),
    }
    if demands.longest_duration is not None:
        raw["longest_duration"] = duration_iso_string(demands.longest_duration)
    if demands.justification_patterns:
        raw["justification_pattern"] = list(demands.justification_patterns)
    if demands.reference_patterns:
        raw["reference_pattern"] = list(demands.reference_patterns)
    if demands.guests_decide:
        raw["guests_decide"] = True
    if demands.second_approver_outside:
        raw["second_approver_outside"] = [serialise_hours(each) for each in demands.second_approver_outside]
    if demands.remind_after is not None:
        raw["remind_after"] = duration_iso_string(demands.remind_after)
    if demands.most_reminders != MOST_REMINDERS:
        raw["most_reminders"] = demands.most_reminders
    if demands.step_up:
        raw["step_up"] = serialise_step_up(demands.step_up)
    if demands.pim_approval:
        raw["pim_approval"] = True
    if demands.emergency is not None:
        raw["emergency"] = serialise_emergency(demands.emergency)
    if demands.automatic is not None:
        raw["automatic"] = serialise_automatic(demands.automatic)
    return raw


def _serialise_stage(stage: Stage) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "quorum": stage.quorum,
        "people": sorted(stage.approvers.people),
        "groups": sorted(stage.approvers.groups),
    }
    if stage.approvers.account_owner:
        raw["account_owner"] = {"tag": stage.approvers.account_owner}
    if stage.approvers.manager:
        raw["manager"] = True
    if stage.approvers.on_call:
        raw["on_call"] = stage.approvers.on_call
    if stage.escalation:
        raw["escalation"] = {
            "after": duration_iso_string(stage.escalation.after),
            "people": sorted(stage.escalation.approvers.people),
            "groups": sorted(stage.escalation.approvers.groups),
        }
    return raw


def combine(demanded: Sequence[Demands]) -> Demands:
    """What a request is held to where all of these apply: in each dimension the strictest, and every stage.

    Each is as of the moment of the request (`Demands.at`).

    Stages of the same approvers are one, with the higher quorum: the same people aren't asked twice.
    """
    if len(demanded) == 1:
        return demanded[0]
    longest = [each.longest_duration for each in demanded if each.longest_duration is not None]
    return Demands(
        stages=_all_stages(demanded),
        longest_duration=min(longest, default=None),
        shortest_justification=max(each.shortest_justification for each in demanded),
        justification_patterns=_union(each.justification_patterns for each in demanded),
        reference_required=any(each.reference_required for each in demanded),
        reference_patterns=_union(each.reference_patterns for each in demanded),
        lapses_after=min(each.lapses_after for each in demanded),
        guests_decide=all(each.guests_decide for each in demanded),
        remind_after=min(
            (each.remind_after for each in demanded if each.remind_after is not None), default=None
        ),
        most_reminders=max(each.most_reminders for each in demanded),
        step_up=combined(each.step_up for each in demanded),
        pim_approval=any(each.pim_approval for each in demanded),
        emergency=combine_emergencies([each.emergency for each in demanded]),
        automatic=combine_automatics([each.automatic for each in demanded]),
    )


def _all_stages(demanded: Sequence[Demands]) -> tuple[Stage, ...]:
    """Every rule's stages in their order; where a rule repeats approvers, its repetitions are kept apart."""
    merged: list[Stage] = []
    for each in demanded:
        free = list(range(len(merged)))
        for stage in each.stages:
            same = next((n for n in free if merged[n].approvers == stage.approvers), None)
            if same is None:
                merged.append(stage)
            else:
                free.remove(same)
                merged[same] = _stricter(merged[same], stage)
    return tuple(merged)


def _stricter(one: Stage, other: Stage) -> Stage:
    """Two stages of the same approvers as one. It escalates only where both do, to the same people, at the later time."""
    escalation = None
    if one.escalation and other.escalation and one.escalation.approvers == other.escalation.approvers:
        escalation = max(one.escalation, other.escalation, key=lambda each: each.after)
    return replace(one, quorum=max(one.quorum, other.quorum), escalation=escalation)


def _union(found: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({each for some in found for each in some}))
