"""The conditions of automatic approval, each with whether it holds and in words. `judge` is pure; `found` reads rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from base.words import duration_words
from catalog.judging.actions import Level, action_table
from catalog.judging.comparing import Role
from catalog.judging.dangers import Kind
from catalog.judging.roles import read_roles, sets_opened
from catalog.models import PimGroup
from policy.asking import opened_by
from policy.scope import Opened
from policy.waiving import Automatic


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `words` say what is so."""

    holds: bool
    words: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What an ask is judged by. `asked_at` is business time; `roles` are None where nobody needs them."""

    duration: timedelta
    asked_at: datetime
    reference: str
    opened: Collection[Opened]
    roles: Sequence[Role] | None


def judge(automatic: Automatic, facts: Facts) -> list[Condition]:
    """Every condition, in the order in which the rule's guide has them. What isn't known doesn't hold."""
    longest = duration_words(automatic.longest_duration)
    found = [Condition(facts.duration <= automatic.longest_duration, f"It is for at most {longest}.")]
    for scope in automatic.only:
        outside = sorted({each.account_id for each in facts.opened if not scope.covers(each)})
        holds = bool(facts.opened) and not outside
        found.append(
            Condition(
                holds,
                "All that it opens is where the rule allows it."
                if holds
                else f"It opens what the rule doesn't allow: on {', '.join(outside[:3]) or 'no known account'}.",
            )
        )
    for hours in automatic.during:
        holds = hours.hold(facts.asked_at)
        found.append(Condition(holds, f"It was asked for {'within' if holds else 'outside'} {hours.words}."))
    if automatic.read_only:
        found.append(_read_only(facts.roles or ()))
    if automatic.reference_required:
        holds = bool(facts.reference)
        found.append(Condition(holds, "It has a reference." if holds else "It has no reference."))
    return found


def _read_only(roles: Sequence[Role]) -> Condition:
    """Known to the last action, and nothing but reading and listing: in doubt it isn't."""
    unknown = sorted(role.name for role in roles if not _known(role))
    if unknown or not roles:
        return Condition(
            holds=False,
            words=f"What it allows is not known in full: {', '.join(unknown[:3]) or 'nothing read'}.",
        )
    writing = sorted(role.name for role in roles if not _reads_only(role))
    if writing:
        return Condition(holds=False, words=f"It allows more than reading: {', '.join(writing[:3])}.")
    return Condition(holds=True, words="Its permission sets allow reading and listing only.")


def _known(role: Role) -> bool:
    return role.judged is not None and not role.judged.unknown and not role.judged.strangers


def _reads_only(role: Role) -> bool:
    if role.judged is None:
        return False
    if any(finding.danger.kind is not Kind.DATA for finding in role.judged.findings):
        return False
    table, bits = action_table(), role.judged.reach.all
    return all(level in (Level.READ, Level.LIST) for _, level in table.counts(bits))


def read_facts(
    group: PimGroup, automatic: Automatic, *, duration: timedelta, asked_at: datetime, reference: str
) -> Facts:
    """What the catalogue says about an ask for this group. At most four queries, and none that no condition needs."""
    return Facts(
        duration=duration,
        asked_at=asked_at,
        reference=reference,
        opened=opened_by(group) if automatic.only else (),
        roles=list(read_roles(sets_opened(group)).values()) if automatic.read_only else None,
    )
