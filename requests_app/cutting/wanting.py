"""What the worker and the web process have to do with fast removal: wanting it, clearing it, and keeping out of its way.

The remover acts on rows only. A worker makes one once it has read Entra, because the remover can't: only a membership
that the portal's own grant explains may go.
"""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django_subatomic.db import transaction, transaction_required

from audit.ledger.recorder import Actor
from base.clock import business_now, real_now
from base.errors import Conflict
from base.readymade import Readymade
from requests_app.actions.fetching import lock_grant
from requests_app.actions.recording import record_of
from requests_app.cutting.models import FastRemoval
from requests_app.lifecycle import OPEN, GrantStatus
from requests_app.models import Grant

OFF, DIRECT, ON_DEMAND = "off", "direct", "on_demand"


def is_on() -> bool:
    """Whether this installation removes fast at all."""
    return settings.FAST_REMOVAL in (DIRECT, ON_DEMAND)


@transaction_required
def want(grant: Grant, reason: FastRemoval.Reason) -> None:
    """A worker has just read Entra for this locked grant: its membership may be taken out of AWS now.

    Nothing happens while the setting is off. What was wanted before and is closed is wanted anew: the membership has
    been seen again.
    """
    if not is_on():
        return
    now = business_now()
    row, made = FastRemoval.objects.get_or_create(
        grant=grant,
        defaults={"reason": reason, "wanted_at": now, "entra_read_at": now, "next_action_at": now},
    )
    if made:
        return
    changes: dict[str, object] = {"entra_read_at": now}
    if row.closed_at is not None and row.outcome != FastRemoval.Outcome.REFUSED:
        changes |= {"closed_at": None, "outcome": "", "next_action_at": now, "reason": reason, "problem": ""}
    elif row.next_action_at is None and row.closed_at is None:
        changes["next_action_at"] = now
    FastRemoval.objects.filter(pk=row.pk).update(**changes)


@transaction_required
def leave_to_others(grant: Grant) -> None:
    """Entra was read to hold a membership that the portal didn't make: what AWS shows is that one's by now."""
    FastRemoval.objects.filter(grant=grant, closed_at=None).update(
        outcome=FastRemoval.Outcome.YIELDED,
        closed_at=business_now(),
        next_action_at=None,
        problem="It was left in AWS, because Entra holds another membership that the portal didn't make.",
    )


def wanted(grant: Grant) -> FastRemoval | None:
    """The row of this grant that isn't closed, or None."""
    return FastRemoval.objects.filter(grant=grant, closed_at=None).first()


def fast_remove_now(*, grant_id: UUID, actor: Actor) -> None:
    """An operator's click: take this grant's membership out of AWS now, once a worker has read Entra.

    Raises:
        Missing: no such grant.
        Conflict: the setting is off, the membership may still be in Entra by right, or newer access is approved.
    """
    if not is_on():
        raise Conflict(
            "fast_removal.off",
            "Fast removal is switched off here. Remove the membership in IAM Identity Center by hand; the portal reads "
            "back that it is gone.",
        )
    with transaction():
        grant = lock_grant(grant_id)
        if grant.status != GrantStatus.DEPROVISIONING:
            raise Conflict(
                "fast_removal.not_now",
                "This membership isn't one that has left Entra and is still in AWS. Reload the page.",
            )
        if has_successor(grant):
            raise Conflict(
                "fast_removal.successor",
                "Newer access of the same person to the same PIM group is approved, and would be cut.",
            )
        now = business_now()
        row, made = FastRemoval.objects.get_or_create(
            grant=grant, defaults={"reason": FastRemoval.Reason.OPERATOR, "wanted_at": now}
        )
        if not made and row.closed_at is None:
            return  # it is owed already
        if not made:
            FastRemoval.objects.filter(pk=row.pk).update(
                reason=FastRemoval.Reason.OPERATOR,
                wanted_at=now,
                entra_read_at=None,
                closed_at=None,
                outcome="",
                problem="",
                next_action_at=None,
            )
        record_of(grant, "fast_removal.asked", {}, actor=actor)


def has_successor(grant: Grant) -> bool:
    """Whether other access of this person through this group is approved and not on its way out of AWS."""
    others = Grant.objects.filter(person=grant.person_id, group=grant.group_id, status__in=OPEN)
    return others.exclude(pk=grant.pk).exists()


_OF_THE_PAIR = Readymade(
    lambda person_id, group_id, grant_id: (
        FastRemoval.objects.select_for_update()
        .filter(grant__person=person_id, grant__group=group_id)
        .exclude(grant=grant_id)
        .order_by("pk")
    ),
    int,
    int,
    UUID,
)


@transaction_required
def make_way(grant: Grant) -> bool:
    """Before a successor is assigned: stop what would remove its membership. False while a deletion is on its way.

    Both sides lock the rows of the pair, so that either the remover's intent comes first, and the successor waits for
    its end; or the row is closed first, and nothing is sent any more.
    """
    rows = _OF_THE_PAIR.rows(grant.person_id, grant.group_id, grant.pk)
    now = real_now()
    if any(row.sending_until is not None and row.sending_until > now for row in rows):
        return False
    still_open = [row.pk for row in rows if row.closed_at is None]
    FastRemoval.objects.filter(pk__in=still_open).update(
        outcome=FastRemoval.Outcome.YIELDED, closed_at=business_now(), next_action_at=None, problem=""
    )
    return True
