"""One word on several requests: a decision each, each by itself, bound to what was shown of it."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from audit.ledger.recorder import Actor
from base.errors import Conflict, Denied, DomainError, Invalid, Missing
from requests_app.actions.deciding import submit_decision

MOST_TOGETHER = 25


def submit_decisions(
    *, shown: Mapping[UUID, str], approver_id: int, verdict: str, comment: str, actor: Actor
) -> Mapping[UUID, DomainError | None]:
    """Store the same verdict and comment on each item; gives by item why it was not taken, or None.

    `shown` has the token of what was shown of each item (`requests_app.shown`). What can't be taken for one keeps
    none of the others back.

    Raises:
        Missing: none of them is there, or this person's to decide; nothing was stored.
        Invalid: an unknown verdict, a denial without a reason, too many at once; nothing was stored.
    """
    if len(shown) > MOST_TOGETHER:
        raise Invalid("decision.many", f"At most {MOST_TOGETHER} can be decided together. Choose fewer.")
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
            )
        except (Conflict, Denied, Missing) as error:
            outcomes[item_id] = error
        else:
            outcomes[item_id] = None
    if all(isinstance(error, Missing) for error in outcomes.values()):
        raise Missing("item.missing", "There is no such request, or it is not yours to decide.")
    return outcomes
