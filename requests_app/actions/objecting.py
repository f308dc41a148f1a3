"""What stands against counting a decision, by the rows as they are under the item's lock."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Q

from base.readymade import Readymade
from identity.humans import human_key, is_human, same_human
from policy.assurance import unproven
from requests_app.actions.standing_in import absence_unfit
from requests_app.freezes.holding import freeze_for_item, keep_freezes_out
from requests_app.lifecycle import DecisionStatus, ItemStatus
from requests_app.models import Decision, RequestItem, Revocation, Verdict
from requests_app.permissions import words_in_right_of
from requests_app.shown import AGAIN, read_facts


def objection(decision: Decision, item: RequestItem) -> str:
    """A sentence when a decision that the directory allows may not count as things stand, else ""."""
    if item.status != ItemStatus.PENDING:
        return f"The request was {ItemStatus(item.status).label.lower()} before this decision was counted."
    if decision.verdict == Verdict.APPROVE:
        keep_freezes_out()
        if frozen := freeze_for_item(item):
            return frozen.sentence
    if decision.submitted_at >= item.lapses_at:
        return "This decision was made after the request had lapsed. The requester can ask again."
    if decision.stage != item.stage:
        return "The stage that this decision was made for is over."
    if same_human(decision.approver, item.requester):
        return "Nobody decides on their own request."
    if unfit := absence_unfit(decision) or _sign_in_unfit(decision, item):
        return unfit
    if decision.verdict == Verdict.APPROVE and _revoked_since(decision, item):
        return (
            "The requester's access through this PIM group was revoked after this approval was given. Decide again if "
            "they should have it all the same."
        )
    if changed := _changed_since_shown(decision, item):
        return changed
    if decision.verdict == Verdict.APPROVE and _no_longer_different(item):
        return (
            "Approvals of this request that were counted have turned out to be one person's, or the requester's own. The "
            "requester has to ask again."
        )
    if _has_an_earlier_word(decision, item):
        return (
            "The approver, or somebody in the same right, has already decided on this request, and one person decides "
            "once on it."
        )
    return ""


def _changed_since_shown(decision: Decision, item: RequestItem) -> str:
    """A sentence when an approval was given to something else than what stands now.

    A denial stands: it lets nobody in, and who was denied can ask again. Decisions from before pages carried what
    they showed name nothing; they are held to the other checks.
    """
    if decision.verdict == Verdict.DENY or not decision.shown:
        return ""
    changed = read_facts(item).changed(decision.shown)
    return f"{changed} That was after this decision was made. {AGAIN}" if changed else ""


def _sign_in_unfit(decision: Decision, item: RequestItem) -> str:
    """A sentence when what the rules want of the sign-ins isn't proven by the rows; for an approval, the asker's, too."""
    step_up = item.terms.parsed.step_up
    if what := unproven(step_up.decide, decision.proof, decision.approver.object_id):
        return (
            f"The rules want the approver's sign-in to prove more, and of this decision {what}. Decide again."
        )
    if decision.verdict == Verdict.DENY:
        return ""
    if what := unproven(step_up.ask, item.request.proof, item.requester.object_id):
        return f"The rules want the requester's sign-in to prove more, and of this request {what}. They have to ask again."
    return ""


def _revoked_since(decision: Decision, item: RequestItem) -> bool:
    """Whether access of the same person to the same group was revoked after this word was given."""
    return bool(_REVOKED.rows(item.requester_id, item.group_id, decision.submitted_at))


_REVOKED = Readymade(
    lambda person_id, group_id, since: Revocation.objects.filter(
        grant__person=person_id, grant__group=group_id, revoked_at__gte=since
    ).values_list("pk", flat=True)[:1],
    int,
    int,
    datetime,
)


def _no_longer_different(item: RequestItem) -> bool:
    """Whether what was counted stands on fewer humans than words, or on the requester: accounts may be linked later."""
    approvers = [each.approver for each in _APPROVALS.rows(item.pk)]
    humans = {human_key(each) for each in approvers}
    return len(humans) < len(approvers) or human_key(item.requester) in humans


_APPROVALS = Readymade(
    lambda item_id: Decision.objects.filter(
        item=item_id, status=DecisionStatus.COUNTED, verdict=Verdict.APPROVE
    ).select_related("approver"),
    UUID,
)


def _has_an_earlier_word(decision: Decision, item: RequestItem) -> bool:
    """Whether the same human has a counted decision on the item, or one that was submitted earlier and is owed.

    The page refuses it, but two accounts may turn out to be one person's only afterwards. The
    earlier word stands, in whatever order they are checked.
    """
    earlier = Q(submitted_at__lt=decision.submitted_at) | Q(
        submitted_at=decision.submitted_at, pk__lt=decision.pk
    )
    whose = decision.absence.person if decision.absence else decision.approver
    same = item.decisions.filter(is_human(decision.approver, "approver") | words_in_right_of(whose))
    same = same.exclude(pk=decision.pk)
    return same.filter(
        Q(status=DecisionStatus.COUNTED) | (Q(status=DecisionStatus.SUBMITTED) & earlier)
    ).exists()
