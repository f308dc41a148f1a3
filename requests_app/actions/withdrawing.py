"""Taking back a request that nobody has decided yet."""

from __future__ import annotations

from uuid import UUID

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.errors import Conflict, Missing
from requests_app.actions.fetching import lock_item
from requests_app.actions.moving import move
from requests_app.lifecycle import ItemStatus
from requests_app.models import RequestItem
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
        _withdraw(item, actor)


def withdraw_waiting(*, request_id: UUID, person_id: int, actor: Actor) -> int:
    """The requester withdraws all items of a request that wait for a decision; gives how many they were.

    Raises:
        Missing: no such request of this person.
        Conflict: none of them waits any more.
    """
    own = RequestItem.objects.filter(request_id=request_id, requester_id=person_id)
    if not own.exists():
        raise Missing("request.missing", "There is no such request, or it is not yours.")
    withdrawn = 0
    with transaction():
        for key in own.order_by("pk").values_list("pk", flat=True):
            item = lock_item(key)  # in one order, so that two who lock them meet
            if item.status == ItemStatus.PENDING:
                _withdraw(item, actor)
                withdrawn += 1
        if not withdrawn:
            raise Conflict("request.none_waiting", "Nothing of this request waits for a decision any more.")
    return withdrawn


def _withdraw(item: RequestItem, actor: Actor) -> None:
    move(
        item,
        ItemStatus.WITHDRAWN,
        actor=actor,
        fields={"item_id": item.pk, "group_name": item.group.display_name},
        decided_at=business_now(),
    )
