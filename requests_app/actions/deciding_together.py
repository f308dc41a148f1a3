"""One word on several requests: a decision each, each by itself, bound to what was shown of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from audit.ledger.recorder import Actor
from base.errors import Conflict, Denied, DomainError, Invalid, Missing
from identity.models import Person
from identity.signin.proving import Proof
from policy.assurance import NOTHING
from requests_app.actions.deciding import cleaned_comment, submit_decision
from requests_app.lifecycle import ItemStatus
from requests_app.models import RequestItem
from requests_app.permissions import can_decide
from requests_app.stepping_up import proven

MOST_TOGETHER = 25


def submit_decisions(
    *,
    shown: Mapping[UUID, str],
    approver_id: int,
    verdict: str,
    comment: str,
    actor: Actor,
    proof: Proof | None = None,
) -> Mapping[UUID, DomainError | None]:
    """Store the same verdict and comment on each item; gives by item why it was not taken, or None.

    `shown` has the token of what was shown of each item (`requests_app.shown`). What can't be taken for one keeps
    none of the others back. `proof` is what the approver's session has proven.

    Raises:
        Missing: none of them is there, or this person's to decide; nothing was stored.
        Invalid: an unknown verdict, a denial without a reason, too many at once; nothing was stored.
        StepUpWanted: the rules of one of them want the sign-in to prove more; nothing was stored.
    """
    if len(shown) > MOST_TOGETHER:
        raise Invalid("decision.many", f"At most {MOST_TOGETHER} can be decided together. Choose fewer.")
    cleaned_comment(verdict, comment)  # nobody is sent to Entra with what would be refused anyway
    _check_sign_in(shown, approver_id, proof)
    outcomes: dict[UUID, DomainError | None] = {}
    for item_id, token in shown.items():
        try:
            submit_decision(
                item_id=item_id,
                approver_id=approver_id,
                verdict=verdict,
                comment=comment,
                shown=token,
                actor=actor,
                proof=proof,
            )
        except (Conflict, Denied, Missing) as error:
            outcomes[item_id] = error
        else:
            outcomes[item_id] = None
    if all(isinstance(error, Missing) for error in outcomes.values()):
        raise Missing("item.missing", "There is no such request, or it is not yours to decide.")
    return outcomes


def _check_sign_in(items: Collection[UUID], approver_id: int, proof: Proof | None) -> None:
    """Raises StepUpWanted for all that the rules of those want that this person may decide, before any is stored."""
    approver = Person.objects.get(pk=approver_id)
    rows = RequestItem.objects.filter(pk__in=items, status=ItemStatus.PENDING)
    wanting = [
        item
        for item in rows.select_related("terms", "requester", "request", "group")
        if item.terms.parsed.step_up.decide and can_decide(approver, item)
    ]
    proven(NOTHING.with_(item.terms.parsed.step_up.decide for item in wanting), proof, approver)
