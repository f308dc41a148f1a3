"""What operators do about the rules: propose a whole set of them, accept or reject as the second one, withdraw.

The web process stores their word and writes no rule: a worker applies what was accepted (`applying`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from uuid import UUID

from django_subatomic.db import run_after_commit, transaction

from audit.ledger.recorder import Actor, Subject, record
from base.clock import business_now
from base.errors import Conflict, Denied, Invalid, Missing
from identity.humans import same_human
from identity.models import Person
from oversight.rules.comparing import compare
from oversight.rules.models import RuleChange
from oversight.rules.nudging import nudge
from oversight.rules.reading import differing
from oversight.rules.state import changed_wording, in_force, serialised, summary
from oversight.rules.told import rules_digest
from policy.document import RuleDocument
from requests_app.actions.ending import clean_reason
from requests_app.permissions import is_operator

STALE = (
    "The rules have changed since this was proposed, so nobody knows what it would do now. Open it as a new proposal, "
    "look at what differs, and propose that."
)
# Of the wording that one event of the trail holds, in bytes.
LARGEST = 200_000
# Proposals that may wait at a time: more are nobody's to judge.
MOST_OPEN = 20


def propose(
    *,
    rules: Mapping[str, RuleDocument],
    person_id: int,
    reason: str,
    actor: Actor,
    base: Mapping[str, int] | None = None,
    restores: UUID | None = None,
) -> UUID:
    """Propose to put these rules in the place of those in force; gives the change's id.

    `base` are the versions that the proposer looked at, None: those of now. `restores` is the applied change to whose
    rules this goes back.

    Raises:
        Denied: not an operator.
        Missing: `restores` is no applied change.
        Invalid: no rules, nothing that differs, no reason or one that can't be kept.
        Conflict: the rules aren't those that the proposer looked at, or too many proposals wait.
    """
    words = clean_reason(reason, "Say why: the second operator reads it, and it stays in the history.")
    if not rules:
        raise Invalid(
            "rules.none", "Without any rule nothing could be requested. Keep one at least.", field="text"
        )
    with transaction():
        proposer = _operator(person_id)
        before, versions = in_force()
        if base is not None and dict(base) != versions:
            raise Conflict(
                "rules.moved",
                "The rules have changed since you opened this page. What you wrote is kept below: compare it with the "
                "rules of now before you propose it.",
            )
        after = serialised(rules)
        differences = compare(before, after)
        if not differences:
            raise Invalid("rules.same", "These are the rules in force: nothing would change.", field="text")
        wording = changed_wording(before, after)
        if len(json.dumps(wording)) > LARGEST:
            raise Invalid(
                "rules.too_large",
                "This changes too much at once for the audit trail. Propose it in parts.",
                field="text",
            )
        if RuleChange.objects.filter(status=RuleChange.Status.PROPOSED).count() >= MOST_OPEN:
            raise Conflict("rules.too_many", "Too many proposals wait. Decide on those first.")
        source = (
            RuleChange.objects.filter(pk=restores, status=RuleChange.Status.APPLIED).first()
            if restores
            else None
        )
        if restores and source is None:
            raise Missing("rules.change_missing", "There is no such change of the rules.")
        change = RuleChange.objects.create(
            rules=after,
            base=versions,
            proposed_by=proposer,
            proposed_at=business_now(),
            reason=words,
            restores=source,
        )
        record(
            "rules.proposed",
            actor=actor,
            subject=Subject("rule_change", change.pk, 1),
            fields={
                "change_id": change.pk,
                "rules": summary(differences),
                "rules_digest": rules_digest(change.pk),
                "wording": wording,
                "base": versions,
                "proposed_by": proposer.object_id,
                "restores": source.pk if source else None,
            },
            words={"reason": words},
        )
        run_after_commit(nudge)
    return change.pk


def accept(*, change_id: UUID, person_id: int, reason: str, actor: Actor) -> None:
    """A second operator's yes: a worker applies it within seconds.

    Raises:
        Denied: not an operator, or the human who proposed it, by any account.
        Missing: no such change.
        Invalid: no reason, or one that can't be kept.
        Conflict: it is decided already, or the rules have changed since it was proposed.
    """
    _decide(change_id, RuleChange.Status.ACCEPTED, "rules.accepted", person_id, reason, actor)


def reject(*, change_id: UUID, person_id: int, reason: str, actor: Actor) -> None:
    """A second operator's no. Raises as `accept`, but a stale one can be rejected."""
    _decide(change_id, RuleChange.Status.REJECTED, "rules.rejected", person_id, reason, actor)


def withdraw(*, change_id: UUID, person_id: int, reason: str, actor: Actor) -> None:
    """The proposer takes it back. Raises Denied for anybody else, otherwise as `accept`."""
    _decide(change_id, RuleChange.Status.WITHDRAWN, "rules.withdrawn", person_id, reason, actor)


def second_refusal(change: RuleChange, operator: Person) -> str:
    """Why this operator can't be the second one, "" when they can."""
    if change.proposed_by is None or same_human(operator, change.proposed_by):
        return "You proposed this yourself. A second operator has to accept or reject it."
    return ""


def is_stale(change: RuleChange) -> bool:
    """Whether the rules in force aren't those that it was made from. One query."""
    return bool(change.base != in_force()[1])


def _decide(
    change_id: UUID, status: RuleChange.Status, event: str, person_id: int, reason: str, actor: Actor
) -> None:
    words = clean_reason(reason, "Say why: it stays in the history.")
    with transaction():
        operator = _operator(person_id)
        change = (
            RuleChange.objects.select_for_update(of=("self",))
            .select_related("proposed_by")
            .filter(pk=change_id)
            .first()
        )
        if change is None:
            raise Missing("rules.change_missing", "There is no such change of the rules.")
        _check_may(change, operator, status)
        if change.status != RuleChange.Status.PROPOSED:
            raise Conflict(
                "rules.decided",
                f"This change is no longer open: {change.get_status_display().lower()}. Reload the page to see why.",
            )
        if status == RuleChange.Status.ACCEPTED and is_stale(change):
            raise Conflict("rules.stale", STALE)
        before, _ = in_force()
        RuleChange.objects.filter(pk=change.pk).update(
            status=status,
            version=change.version + 1,
            decided_by=operator,
            decided_at=business_now(),
            decision_reason=words,
        )
        record(
            event,
            actor=actor,
            subject=Subject("rule_change", change.pk, change.version + 1),
            fields={"change_id": change.pk, "rules": differing(before, change.rules)},
            words={"reason": words},
        )
        run_after_commit(nudge)


def _check_may(change: RuleChange, operator: Person, status: RuleChange.Status) -> None:
    own = second_refusal(change, operator)
    if status == RuleChange.Status.WITHDRAWN and not own:
        raise Denied("rules.not_yours", "Only who proposed a change withdraws it. You can reject it.")
    if status != RuleChange.Status.WITHDRAWN and own:
        raise Denied("rules.second_operator", own)


def _operator(person_id: int) -> Person:
    person = Person.objects.get(pk=person_id)
    if not person.enabled or not is_operator(person):
        raise Denied("rules.operators_only", "Only operators change the rules.")
    return person
