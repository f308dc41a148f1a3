"""Deciding, in two halves: the page stores a decision, a worker checks it and counts or refuses it.

The web process holds no cloud credential, so it can't know whether the requester is still eligible
or the approver still an approver. The worker can: it reads both afresh, and only then, in one
transaction with the item locked, does the decision take effect.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django_subatomic.db import run_after_commit, transaction

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.crash import crash_point, register
from base.errors import Conflict, Invalid
from base.readymade import Readymade
from catalog.freshness import HealthState, provisioning_health
from identity.absences.reading import own_absence
from identity.models import Person
from identity.signin.proving import Proof
from policy.delegation import Right
from requests_app import nudges
from requests_app.actions.deciders import decider_unfit, fallen_approval, fallen_words, look_at, marks_of
from requests_app.actions.extending import items_owed
from requests_app.actions.fetching import lock_decision, lock_item
from requests_app.actions.granting import UNBOUNDED, Bounds, check_item, close_item, give, window_of
from requests_app.actions.moving import create, move
from requests_app.actions.objecting import objection
from requests_app.actions.submissions import Names, Submitted, settle_submitted
from requests_app.conflicts import about_to_be_decided, decided_already
from requests_app.freezes.holding import freeze_for_item
from requests_app.lifecycle import DecisionStatus, ItemStatus
from requests_app.models import Decision, RequestItem, Verdict
from requests_app.permissions import check_may_decide
from requests_app.selectors import extendable_grant
from requests_app.shortening import shorter_time, time_given
from requests_app.shown import AGAIN, read_facts
from requests_app.stepping_up import proof_fields, proven
from requests_app.texts import clean_words

LONGEST_COMMENT = 2000

register("deciding.claimed", "deciding.checked", "deciding.before_commit", "deciding.counted")


NAMES = Names(
    row="decision",
    postponed="decision_postponed",
    failed="decision_failed",
    claimed="deciding.claimed",
    settled="deciding.counted",
)


class Changed(Conflict):
    """What the approver was shown is not so any more; the sentence says what changed."""


def submit_decision(
    *,
    item_id: UUID,
    approver_id: int,
    verdict: str,
    comment: str,
    shown: str,
    actor: Actor,
    duration: timedelta | None = None,
    proof: Proof | None = None,
) -> UUID:
    """Store an approver's word; gives the decision's id. It counts only after a worker's check.

    `shown` is the token of the facts that the approver had before them (`requests_app.shown`). `duration` approves
    for less than was asked for; a denial has none. `proof` is what the approver's session has proven.

    Raises:
        Missing: no such item, or not this person's to decide.
        Denied: one's own request, or another stage's.
        Conflict: the item is not pending any more, has lapsed, this person has decided already, or what others decided
            settles it and is being checked.
        Changed: what was shown is not so any more.
        StepUpWanted: nothing is wrong with it but the sign-in, which the rules want to prove more.
        Invalid: an unknown verdict, a denial without a reason, an overlong comment, a time that can't be given.
    """
    words = cleaned_comment(verdict, comment)
    with transaction():
        item = lock_item(item_id)
        approver = Person.objects.get(pk=approver_id)
        right = check_may_decide(approver, item)
        if item.status != ItemStatus.PENDING:
            raise Conflict("item.not_pending", decided_already(item))
        now = business_now()
        if verdict == Verdict.APPROVE:
            _refuse_while_stopped(now)
            if frozen := freeze_for_item(item):
                raise Conflict("decision.frozen", f"{frozen.sentence} Your approval was not taken.")
        if now >= item.lapses_at:
            raise Conflict("item.lapsed", "This request lapsed unanswered. The requester can ask again.")
        if sooner := about_to_be_decided(item, verdict):
            raise Conflict("decision.sooner", sooner)
        if changed := read_facts(item).changed(shown):
            raise Changed("decision.changed", f"{changed} Your decision was not taken. {AGAIN}")
        shorter = _shorter_time(item, duration) if verdict == Verdict.APPROVE else None
        kept = proven(item.terms.parsed.step_up.decide, proof, approver)
        decision = Decision(
            item=item,
            approver=approver,
            absence=right,
            verdict=verdict,
            comment=words,
            duration=shorter,
            stage=item.stage,
            shown=shown,
            proof=kept,
            status=DecisionStatus.SUBMITTED,
            submitted_at=now,
        )
        create(
            decision,
            actor=actor,
            fields={
                "item_id": item.pk,
                "verdict": verdict,
                "duration": shorter,
                "stage": item.stage,
                "group_name": item.group.display_name,
                "shown": shown,
                **_presence(approver, right, now),
                **proof_fields(kept),
            },
            words={"comment": words} if words else None,
        )
        run_after_commit(lambda: nudges.decision(decision.pk))
    return decision.pk


def cleaned_comment(verdict: str, comment: str) -> str:
    """The comment as it is kept with this verdict. Raises Invalid for what is wrong with either."""
    if verdict not in Verdict.values:
        raise Invalid("decision.verdict", "Choose whether to approve or to deny.", field="verdict")
    words = clean_words(comment, longest=LONGEST_COMMENT, field="comment")
    if verdict == Verdict.DENY and not words:
        raise Invalid("decision.reason", "Say why: the requester sees it and can ask again.", field="comment")
    return words


def _presence(approver: Person, right: Right, now: datetime) -> dict[str, str | bool]:
    """In whose right it is, where that isn't the approver's own; and whether the approver is away."""
    found: dict[str, str | bool] = {"while_away": True} if own_absence(approver, now) else {}
    if right:
        found |= {"instead_of": right.person.display_name, "instead_of_id": right.person.object_id}
    return found


def _shorter_time(item: RequestItem, duration: timedelta | None) -> timedelta | None:
    """Raises Invalid when an approval can't be for this long."""
    if duration is None:
        return None
    held = extendable_grant(item.requester, item.group, item.wanted_start)
    return shorter_time(item, duration, lengthens=held is not None)


def _refuse_while_stopped(now: datetime) -> None:
    """No approval is taken while nothing is carried to AWS; a denial is. Raises Conflict."""
    health = provisioning_health(now)
    if health.state is HealthState.STOPPED:
        raise Conflict(
            "provisioning.stopped", f"{health.sentence} Your approval was not taken; decide afterwards."
        )


def check_decision(*, decision_id: UUID) -> tuple[UUID, ...]:
    """Check a submitted decision against the clouds and count or refuse it; gives the grants that are now due.

    As `submissions.settle_submitted`, with which it stays submitted while a cloud can't be read.
    """
    return settle_submitted(_SUBMITTED, decision_id, _check_and_settle, NAMES)


# Not the absence and who is away, which few have: Postgres plans for two tables more for longer than it reads.
_SUBMITTED = Submitted(
    lambda: Decision.objects.select_related(
        "approver", "item__request", "item__requester", "item__group", "item__terms"
    )
)


def _check_and_settle(decision: Decision) -> tuple[UUID, ...]:
    refusal, bounds = _check(decision)
    crash_point("deciding.checked")
    with transaction():
        due = _settle(decision, refusal, bounds)
        crash_point("deciding.before_commit")
    return due


def _check(decision: Decision) -> tuple[str, Bounds]:
    """A sentence when the decision may not count, else ""; and what its window must keep to."""
    item = decision.item
    seen = look_at(decision)
    if unfit := decider_unfit(decision, item.terms.parsed, seen):
        return unfit, UNBOUNDED
    if decision.verdict == Verdict.DENY:
        return "", UNBOUNDED
    refusal, bounds = check_item(item, _time_given(item, decision), decided_by=marks_of(decision, seen))
    return refusal or _lengthened_by_fallen_words(item), bounds


def _lengthened_by_fallen_words(item: RequestItem) -> str:
    """A sentence when an earlier approval of what would lengthen access doesn't stand any more, else "".

    Access of its own is asked about when it starts; what lengthens access takes effect with the last word. It begins
    where the approved window ends: what PIM doesn't hold of that yet has to stand, too, or there is nothing to lengthen.
    """
    held = extendable_grant(item.requester, item.group, item.wanted_start)
    if held is None:
        return ""
    if fallen := next(iter(fallen_words(item).values()), ""):
        return f"{fallen} The requester has to ask again."
    if fallen := fallen_approval(items_owed(held)):
        return f"{fallen} So the access was not lengthened before. The requester can ask again once it has ended."
    return ""


def _time_given(item: RequestItem, decision: Decision) -> timedelta:
    """For how long it is if this decision counts too."""
    return time_given(item, [*_COUNTED.rows(item.pk), decision])


_COUNTED = Readymade(
    lambda item_id: Decision.objects.filter(item=item_id, status=DecisionStatus.COUNTED), UUID
)


def _settle(checked: Decision, refusal: str, bounds: Bounds) -> tuple[UUID, ...]:
    item = lock_item(checked.item_id)
    decision = lock_decision(checked.pk)
    if decision.status != DecisionStatus.SUBMITTED:
        return ()
    refusal = refusal or objection(decision, item)
    if refusal:
        _refuse(decision, refusal)
        return ()
    if decision.verdict == Verdict.DENY:
        _count(decision)
        close_item(item, ItemStatus.DENIED)
        return ()
    return _count_approval(decision, item, bounds)


def _count_approval(decision: Decision, item: RequestItem, bounds: Bounds) -> tuple[UUID, ...]:
    stages = item.terms.parsed.stages
    words = _COUNTED.rows(item.pk)
    counted = sum(word.stage == item.stage and word.verdict == Verdict.APPROVE for word in words)
    last_word = counted + 1 >= stages[item.stage].quorum
    if not last_word or item.stage + 1 < len(stages):
        _count(decision)
        if last_word:
            RequestItem.objects.filter(pk=item.pk).update(stage=item.stage + 1)
        return ()
    given = time_given(item, [*words, decision])
    window = window_of(item, given, bounds)
    if window.unfit:
        _refuse(decision, window.unfit)
        return ()
    _count(decision)
    return give(item, window, approvals=counted + 1, duration=given)


def _count(decision: Decision) -> None:
    move(
        decision,
        DecisionStatus.COUNTED,
        actor=Actor.worker(),
        fields={
            "item_id": decision.item_id,
            "verdict": decision.verdict,
            "stage": decision.stage,
            "checked": "the approver's account and right"
            if decision.verdict == Verdict.DENY
            else "accounts, the approver's right, eligibility, PIM policy, provisioning and what the group opens",
        },
        settled_at=business_now(),
        lease_until=None,
        reason="",
    )


def _refuse(decision: Decision, reason: str) -> None:
    move(
        decision,
        DecisionStatus.REFUSED,
        actor=Actor.worker(),
        fields={
            "item_id": decision.item_id,
            "verdict": decision.verdict,
            "stage": decision.stage,
            "reason": reason,
        },
        settled_at=business_now(),
        lease_until=None,
        reason=reason,
    )
