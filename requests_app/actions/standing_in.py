"""What has to hold of a word that was given in the right of somebody who is away, when a worker counts it (ADR 0046)."""

from __future__ import annotations

from clients.types import DirectoryUser
from identity.absences.models import Absence
from identity.humans import same_human
from policy.demands import Demands
from requests_app.models import Decision


def absent_unfit(decision: Decision, demands: Demands, absent: DirectoryUser | None) -> str:
    """A sentence when who was away can't decide any more, as the directory says now (`absent`), else ""."""
    if decision.absence is None:
        return ""
    if absent is None or not absent.enabled:
        return "The account of the person in whose right the delegate decided is disabled or gone in Entra."
    if absent.guest and not (demands.guests_decide and decision.absence.person.mark):
        return (
            "The person in whose right the delegate decided is a guest in Entra now, and guests don't decide."
        )
    return ""


def absence_unfit(decision: Decision) -> str:
    """A sentence when the absence doesn't carry the word, by the rows as they are now, else ""."""
    if decision.absence_id is None:
        return ""
    absence = Absence.objects.select_related("person").get(pk=decision.absence_id)
    if absence.delegate_id != decision.approver_id or same_human(absence.person, decision.approver):
        return "The approver is not the delegate in the absence that this decision was made by."
    if same_human(absence.person, decision.item.requester):
        return "Nobody decides on their own request, nor anybody in their right."
    if absence.withdrawn_at is not None:
        return "The absence by which this decision was made has been withdrawn before it counted. Who is back can decide."
    if not absence.stands(decision.submitted_at):
        return "The absence by which this decision was made was not in force then."
    return ""
