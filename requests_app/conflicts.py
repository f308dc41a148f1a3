"""Somebody was faster: who decided on an item already, or whose decision on it is being checked."""

from __future__ import annotations

from uuid import UUID

from base.clock import business_now
from base.readymade import Readymade
from base.words import moment_words
from requests_app.lifecycle import DecisionStatus, ItemStatus
from requests_app.models import Decision, RequestItem, Verdict

DONE = {Verdict.APPROVE: "approved", Verdict.DENY: "denied"}


def decided_already(item: RequestItem) -> str:
    """Why an item that isn't pending can't be decided on, with the name of who did where somebody did."""
    last = (
        item.decisions.filter(status=DecisionStatus.COUNTED)
        .select_related("approver")
        .order_by("-settled_at")
        .first()
    )
    if last is not None and item.status in (ItemStatus.APPROVED, ItemStatus.DENIED):
        when = moment_words(last.submitted_at, business_now())
        return f"{_who_did(last)} at {when}, and that counts: your decision was not taken."
    return (
        f"This request is {ItemStatus(item.status).label.lower()}; your decision was not taken. "
        "Reload the page to see what happened."
    )


def about_to_be_decided(item: RequestItem, verdict: str) -> str:
    """Why one more word of this kind is not needed: those that are being checked settle it. "" when they don't.

    A denial is always taken, unless another one is being checked: it must not wait behind an approval.
    """
    words = _AT_STAGE.rows(item.pk, item.stage)
    owed = [word for word in words if word.status == DecisionStatus.SUBMITTED]
    settling = [word for word in owed if word.verdict == Verdict.DENY]
    approvals = [word for word in words if word.verdict == Verdict.APPROVE]
    enough = len(approvals) >= item.terms.parsed.stages[item.stage].quorum
    if not settling and verdict == Verdict.APPROVE and enough:
        settling = [word for word in approvals if word in owed]
    if not settling:
        return ""
    return (
        f"{_who_did(settling[-1])} just before you, and that is being checked: your decision was not taken. If theirs "
        "isn't counted, decide then."
    )


_AT_STAGE = Readymade(
    lambda item_id, stage: (
        Decision.objects.filter(item=item_id, stage=stage)
        .exclude(status=DecisionStatus.REFUSED)
        .select_related("approver")
        .order_by("submitted_at")
    ),
    UUID,
    int,
)


def _who_did(decision: Decision) -> str:
    return f"{decision.approver.display_name} {DONE[Verdict(decision.verdict)]} this request"
