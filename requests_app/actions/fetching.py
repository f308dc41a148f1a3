"""Fresh, locked rows by id. Locks are on the row alone, taken before anything is judged.

A grant's lock leaves its key free, as no lock but a deletion needs it: rows that refer to a locked grant can be
inserted, and the remover, which does so under the lock of its own row, meets no worker the other way round.
"""

from __future__ import annotations

from uuid import UUID

from base.errors import Missing
from base.readymade import Readymade
from requests_app.models import Decision, Grant, RequestItem


def lock_item(item_id: UUID) -> RequestItem:
    """The item, locked. Raises Missing."""
    item = _ITEM.first(item_id)
    if item is None:
        raise Missing("item.missing", "There is no such request, or it is not yours.")
    return item


def lock_grant(grant_id: UUID) -> Grant:
    """The grant, locked. Raises Missing."""
    grant = _GRANT.first(grant_id)
    if grant is None:
        raise Missing("grant.missing", "There is no such access, or it is not yours.")
    return grant


def lock_decision(decision_id: UUID) -> Decision:
    """The decision, locked; its item must have been locked before, or deadlocks follow. Raises Missing."""
    decision = _DECISION.first(decision_id)
    if decision is None:
        raise Missing("decision.missing", "There is no such decision.")
    return decision


_ITEM = Readymade(
    lambda item_id: (
        RequestItem.objects.select_for_update(of=("self",))
        .select_related("request", "requester", "group", "terms")
        .filter(pk=item_id)
    ),
    UUID,
)
_GRANT = Readymade(
    lambda grant_id: (
        Grant.objects.select_for_update(of=("self",), no_key=True)
        .select_related("person", "group")
        .filter(pk=grant_id)
    ),
    UUID,
)
_DECISION = Readymade(
    lambda decision_id: (
        Decision.objects.select_for_update(of=("self",))
        .select_related("approver", "item__requester", "item__group")
        .filter(pk=decision_id)
    ),
    UUID,
)
