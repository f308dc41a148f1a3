"""May this person ask for this PIM group now, and for how long at most? Every reason why not, each as a sentence.

`judge` is pure and works on snapshots; `requestability` gathers them. A worker checks the same
things against the clouds before a decision counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from base.words import duration_words, moment_words
from catalog.freshness import provisioning_state, real_age
from catalog.models import Eligibility, PimGroup
from clients.types import ProvisioningCode
from identity.models import Person
from policy.approvers import somebody_can_decide
from policy.asking import read_ask
from policy.demands import Demands
from policy.floor import floor_of, obstacles, unheld
from policy.matching import Match, current_versions, match
from policy.models import RuleVersion
from policy.preflight import why_nobody

# A PIM policy read longer ago than this (real time) says nothing about now.
POLICY_STALE_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why a group can't be asked for, and what to do."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Requestability:
    """The judgement. `longest` is None when refused; `ends_by` is the eligibility's own end, if it has one."""

    refusals: tuple[Refusal, ...]
    match: Match
    longest: timedelta | None
    ends_by: datetime | None

    @property
    def demands(self) -> Demands | None:
        """What a request would be held to, None when no rule judges it."""
        return self.match.demands

    @property
    def allowed(self) -> bool:
        return not self.refusals


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What `judge` needs to know besides the rows."""

    match: Match
    somebody_can_decide: bool
    provisioning: str  # ProvisioningCode's value, "" when never read
    now: datetime
    frozen: str = ""  # why an incident forbids it, for people
    nobody: str = ""  # why nobody can decide, when that is so
    lengthens: bool = False  # the person has the access, and asks for more of it


def requestability(
    person: Person,
    group: PimGroup,
    eligibilities: Sequence[Eligibility],
    *,
    now: datetime,
    versions: Sequence[RuleVersion] | None = None,
    undecided: bool = False,
    lengthens: bool = False,
) -> Requestability:
    """Judge from the database; at most eight queries and one per approval stage.

    `undecided`: nobody may have to decide, so that it doesn't matter whether somebody could.
    `lengthens`: they have the access, and ask for more of it.
    """
    versions = current_versions() if versions is None else versions
    found = match(read_ask(person, group, versions, at=now), versions)
    state = provisioning_state()
    rule = found.demands
    seated = undecided or rule is None or somebody_can_decide(rule, person)
    return judge(
        person,
        group,
        eligibilities,
        Circumstances(
            match=found,
            somebody_can_decide=seated,
            nobody="" if seated or rule is None else why_nobody(rule, person),
            provisioning=state.code if state else "",
            now=now,
            lengthens=lengthens,
        ),
    )


def judge(
    person: Person, group: PimGroup, eligibilities: Sequence[Eligibility], around: Circumstances
) -> Requestability:
    """All reasons at once, so that somebody who mends one doesn't meet the next only afterwards."""
    current = [e for e in eligibilities if _in_force(e, around.now)]
    ends = [e.ends_at for e in current if e.ends_at is not None]
    ends_by = max(ends) if current and len(ends) == len(current) else None
    refusals = [
        *([Refusal("frozen", around.frozen)] if around.frozen else []),
        *_person_refusals(person, current, eligibilities, around.now),
        *_group_refusals(group, around),
        *_policy_refusals(group, around),
        *_rule_refusals(around),
    ]
    longest = None if refusals else _longest(group, around, ends_by)
    shortest = settings.PIM_MINIMUM if around.lengthens else settings.SHORTEST_ACCESS
    if longest is not None and longest < shortest:
        refusals.append(_too_short(longest, shortest, ends_by, around.now))
        longest = None
    return Requestability(tuple(refusals), around.match, longest, ends_by)


def _too_short(longest: timedelta, shortest: timedelta, ends_by: datetime | None, now: datetime) -> Refusal:
    least = duration_words(shortest)
    if ends_by is not None and ends_by - now <= longest:
        return Refusal(
            "eligibility.ends",
            f"Your eligibility ends within {least}, and access is given for no less. Ask the group's owner for a longer "
            "one.",
        )
    return Refusal(
        "duration.bounds",
        f"PIM's settings and the rules allow at most {duration_words(longest)} here, and access is given for no less than "
        f"{least}. Ask an operator.",
    )


def _in_force(eligibility: Eligibility, now: datetime) -> bool:
    begun = eligibility.starts_at is None or eligibility.starts_at <= now
    return begun and (eligibility.ends_at is None or eligibility.ends_at > now)


def _longest(group: PimGroup, around: Circumstances, ends_by: datetime | None) -> timedelta:
    bounds = [group.activation_maximum, group.assignment_maximum]
    if around.match.demands is not None:
        bounds.append(around.match.demands.longest_duration)
    if ends_by is not None:
        bounds.append(ends_by - around.now)
    return min(bound for bound in bounds if bound is not None)


def _no_eligibility(eligibilities: Sequence[Eligibility], now: datetime) -> Refusal:
    to_come = [
        each.starts_at for each in eligibilities if each.starts_at is not None and each.starts_at > now
    ]
    if to_come:
        return Refusal(
            "eligibility.not_begun",
            f"Your eligibility for this PIM group begins {moment_words(min(to_come), now)}. Ask again then.",
        )
    return Refusal(
        "eligibility.none",
        "You have no eligibility for this PIM group now. Ask the group's owner for one.",
    )


def _person_refusals(
    person: Person, current: Sequence[Eligibility], eligibilities: Sequence[Eligibility], now: datetime
) -> list[Refusal]:
    refusals = []
    if not person.enabled:
        refusals.append(
            Refusal("person.disabled", "Your account is disabled in Entra. Ask your service desk.")
        )
    if not current:
        refusals.append(_no_eligibility(eligibilities, now))
    missing = [
        words
        for value, words in (
            (person.given_name, "a first name"),
            (person.surname, "a last name"),
            (person.display_name, "a display name"),
        )
        if not value
    ]
    if missing:
        refusals.append(
            Refusal(
                "person.names",
                f"Your account in Entra lacks {' and '.join(missing)}, without which AWS refuses to create you. "
                "Ask your service desk to add it.",
            )
        )
    return refusals


def _group_refusals(group: PimGroup, around: Circumstances) -> list[Refusal]:
    checks = (
        (
            not group.present,
            "group.gone",
            "This PIM group no longer exists in Entra.",
        ),
        (
            not group.managed,
            "group.not_managed",
            "This PIM group is not among those that the portal may change. Ask an operator to add it to the list.",
        ),
        (
            group.role_assignable,
            "group.role_assignable",
            "This group can hold Entra directory roles; the portal never changes such a group. Activate it in Entra.",
        ),
        (
            group.dynamic or group.synced_from_on_premises or not group.security_enabled,
            "group.kind",
            "PIM can't manage this group: it is not a security group with assigned members.",
        ),
        (
            not group.assigned_to_application,
            "group.not_assigned",
            (
                "This PIM group is not assigned to the AWS enterprise application, so membership would never reach AWS. "
                "Ask an operator to assign it."
            ),
        ),
        (
            bool(group.join_problem),
            "group.join",
            group.join_problem,
        ),
        (
            not group.store_group_id and not group.join_problem,
            "group.not_in_aws",
            "This PIM group is not in IAM Identity Center yet. Ask an operator to provision it once.",
        ),
        (
            bool(group.store_group_id) and not group.join_problem and group.account_count == 0,
            "group.opens_nothing",
            "This PIM group opens no permission set on any AWS account at present.",
        ),
        (
            around.provisioning not in ("", ProvisioningCode.ACTIVE),
            "provisioning.stopped",
            (
                f"Provisioning from Entra to AWS is not running (state: {around.provisioning}), so access would not "
                "arrive. Ask an operator to mend it, or try again later."
            ),
        ),
    )
    return [Refusal(code, sentence) for failed, code, sentence in checks if failed]


def _policy_refusals(group: PimGroup, around: Circumstances) -> list[Refusal]:
    if group.policy_read_at is None or group.activation_maximum is None:
        return [
            Refusal(
                "policy.unread",
                group.policy_problem
                or "The PIM settings of this group have not been read yet. Try again in a minute.",
            )
        ]
    if real_age(group.policy_read_at, around.now) > POLICY_STALE_AFTER:
        return [
            Refusal(
                "policy.stale",
                "The PIM settings of this group could not be read for a day, so nobody knows whether they still allow "
                "this. Ask an operator.",
            )
        ]
    refusals = [Refusal(code, sentence) for code, sentence in obstacles(group, as_person=group.as_person)]
    demands = around.match.demands
    looser = unheld(demands, floor_of(group, as_person=group.as_person)) if demands else []
    # A match has the floor under it. One that hasn't is a mistake of ours, and nobody's way around PIM.
    return [*refusals, *(Refusal("pim.floor", f"{each}, and the rules don't.") for each in looser)]


def _rule_refusals(around: Circumstances) -> list[Refusal]:
    if around.match.demands is None:
        return [Refusal("rule.none", around.match.words)]
    if not around.somebody_can_decide:
        return [
            Refusal(
                "rule.nobody",
                f"Nobody could decide on your request. {around.nobody} Ask an operator to mend the rule.",
            )
        ]
    return []
