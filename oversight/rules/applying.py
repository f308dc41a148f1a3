"""What a worker does about changes of the rules: applies the accepted ones, and says which can't be applied any more.

Everything of one change happens in one transaction: versions, their events, the change's own status and event. What
was true when a second operator accepted is judged again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog
from django.db import DatabaseError
from django.db.models import Q
from django_subatomic.db import run_after_commit, transaction, transaction_required

from audit.ledger.recorder import Actor, Subject, record
from base.clock import business_now
from base.crash import crash_point, register
from base.errors import Conflict, DomainError
from catalog.nudges import want_approvers
from catalog.sync import directory
from oversight.rules.models import OPEN, RuleChange
from oversight.rules.proposing import STALE, second_refusal
from oversight.rules.reading import differing, read
from oversight.rules.state import Documents, hold_still, in_force, serialised
from oversight.rules.told import rules_digest
from policy.document import RuleDocument
from policy.loading import Loaded, put_in_force
from policy.models import Rule
from requests_app.actions.ending import clean_reason

log = structlog.get_logger(__name__)

register("rules.before_applied", "rules.applied")

# What one pass looks at; the next one follows in seconds.
MOST = 50
FAILED = "A worker couldn't apply what is proposed; its log says why. Propose it anew."


def carry_changes() -> int:
    """Apply what was accepted, and close what is stale; gives how much. Harmless when repeated or run twice."""
    done = 0
    still_good = Q(status=RuleChange.Status.PROPOSED, base=in_force()[1])
    rows = RuleChange.objects.filter(status__in=OPEN).exclude(still_good).order_by("proposed_at", "pk")
    for change_id in list(rows.values_list("pk", flat=True)[:MOST]):
        try:
            done += _carry_or_close(change_id)
        except (DomainError, DatabaseError) as error:
            # One row keeps no other from being carried; the next pass tries it again.
            log.exception("rule_change_not_carried", change=str(change_id), error=type(error).__name__)
    return done


def _carry_or_close(change_id: UUID) -> bool:
    """What fails because of what the change says, whoever wrote it so, would fail again: it is closed."""
    try:
        return _carry(change_id)
    except (DomainError, DatabaseError):
        raise
    except Exception as error:
        log.exception("rule_change_closed", change=str(change_id), error=type(error).__name__)
    with transaction():
        change = _locked(change_id)
        if change is not None:
            _settle(change, RuleChange.Status.STALE, "rules.not_applied", problem=FAILED)
    return change is not None


def _locked(change_id: UUID) -> RuleChange | None:
    hold_still()
    changes = RuleChange.objects.select_for_update(of=("self",)).select_related("proposed_by", "decided_by")
    return changes.filter(pk=change_id, status__in=OPEN).first()


def _carry(change_id: UUID) -> bool:
    with transaction():
        change = _locked(change_id)
        if change is None:
            return False
        if problem := _problem(change):
            _settle(change, RuleChange.Status.STALE, "rules.not_applied", problem=problem)
            return True
        if change.status != RuleChange.Status.ACCEPTED:
            return False
        before, _ = in_force()
        loaded = put_in_force(read(change.rules), written_by=f"change {change.pk}", retire_others=True)
        crash_point("rules.before_applied")
        _settle(change, RuleChange.Status.APPLIED, "rules.applied", before=before, wrote=loaded)
        run_after_commit(_read_approvers)
    crash_point("rules.applied")
    return True


def _problem(change: RuleChange) -> str:
    """Why it can't be applied (any more), "" when it can."""
    if change.base != in_force()[1]:
        return STALE
    if change.status != RuleChange.Status.ACCEPTED:
        return ""
    if change.decided_by is None or not change.decided_by.enabled:
        return (
            "Who accepted this is disabled in Entra. Propose it again, and have another operator accept it."
        )
    if refusal := second_refusal(change, change.decided_by):
        return refusal
    try:
        read(change.rules)
    except DomainError as error:
        return f"The proposed wording can't be read by this release: {error.sentence} Propose it anew."
    return ""


def load_first(rules: Mapping[str, RuleDocument], *, reason: str) -> Sequence[Loaded] | None:
    """Load the very first rules without a second operator; None, and nothing changed, when there are rules already.

    Raises:
        Conflict: the rules were changed before, though none is in force.
        Invalid: no reason, or one that can't be kept.
    """
    words = clean_reason(reason, "Say why: it stays in the history.")
    with transaction():
        hold_still()
        if Rule.objects.exists():
            return None
        if RuleChange.objects.exists():
            raise Conflict("rules.not_first", "The rules were changed before. Propose this as a change.")
        loaded = put_in_force(rules, written_by="policy apply --first", retire_others=False)
        change = RuleChange.objects.create(
            status=RuleChange.Status.APPLIED,
            rules=serialised(rules),
            base={},
            proposed_at=business_now(),
            settled_at=business_now(),
            reason=words,
            wrote=_wrote(loaded),
        )
        record(
            "rules.loaded",
            actor=Actor.system(),
            subject=Subject("rule_change", change.pk, 1),
            fields={
                "change_id": change.pk,
                "rules": differing({}, change.rules),
                "rules_digest": rules_digest(change.pk),
            },
            words={"reason": words},
        )
        run_after_commit(_read_approvers)
    return loaded


@transaction_required
def _settle(
    change: RuleChange,
    status: RuleChange.Status,
    event: str,
    *,
    problem: str = "",
    before: Documents | None = None,
    wrote: Sequence[Loaded] = (),
) -> None:
    RuleChange.objects.filter(pk=change.pk).update(
        status=status,
        version=change.version + 1,
        settled_at=business_now(),
        problem=problem,
        wrote=_wrote(wrote),
    )
    rules = differing(in_force()[0] if before is None else before, change.rules)
    record(
        event,
        actor=Actor.worker(),
        subject=Subject("rule_change", change.pk, change.version + 1),
        fields={
            "change_id": change.pk,
            "rules": rules,
            **({"problem": problem} if problem else {}),
        },
    )


def _wrote(loaded: Sequence[Loaded]) -> list[list[object]]:
    return [[each.name, each.change.value, each.number] for each in loaded]


def _read_approvers() -> None:
    """Have people and groups whom nobody has named before read from Entra at once; the sync would do it in minutes."""
    if directory.unread():
        want_approvers()
