"""Taking back a request that nobody has decided yet."""

from __future__ import annotations

from uuid import UUID

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor
from base.clock import business_now
from requests_app.actions.fetching import lock_item
from requests_app.actions.moving import move
from requests_app.lifecycle import ItemStatus
from requests_app.permissions import check_owns_item


def withdraw_item(*, item_id: UUID, person_id: int, actor: Actor) -> None:
    """The requester withdraws a pending item.

    Raises:
        Missing: no such item of this person.
        Conflict: it was decided, withdrawn or has lapsed already.
    """
    with transaction():
        item = lock_item(item_id)
        check_owns_item(person_id, item)
        move(
            item,
            ItemStatus.WITHDRAWN,
            actor=actor,
            fields={"item_id": item.pk, "group_name": item.group.display_name},
            decided_at=business_now(),
        )
