"""“I'm looking at it”: a courtesy among approvers, with an end. It stops nobody from deciding."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import business_now, real_now
from base.errors import Conflict
from base.words import duration_words
from identity.models import Person
from requests_app.actions.fetching import lock_item
from requests_app.deliberation.models import Attention
from requests_app.deliberation.reading import attention_to
from requests_app.lifecycle import ItemStatus
from requests_app.models import RequestItem
from requests_app.permissions import check_may_decide

LASTS = timedelta(minutes=15)


def attend(*, item_id: UUID, person_id: int, actor: Actor) -> None:
    """Say that this person looks at the item for the next quarter of an hour (real time); again, it begins anew.

    Raises:
        Missing: no such item, or not theirs to decide.
        Denied: another stage's.
        Conflict: somebody else is looking at it, it isn't pending, or this person has decided.
    """
    with transaction():
        item = lock_item(item_id)
        check_may_decide(Person.objects.get(pk=person_id), item)
        if item.status != ItemStatus.PENDING or business_now() >= item.lapses_at:
            raise Conflict("attention.over", "This request doesn't wait for a decision any more.")
        now, other = real_now(), attention_to(item)
        if other is not None and other.person_id != person_id:
            raise Conflict(
                "attention.taken",
                f"{other.person.display_name} is looking at it, for another {duration_words(other.until - now)}. You can "
                "decide all the same.",
            )
        Attention.objects.update_or_create(
            item=item, defaults={"person_id": person_id, "begun_at": now, "until": now + LASTS}
        )
        _record("review.taken_up", item, actor)


def put_down(*, item_id: UUID, person_id: int, actor: Actor) -> None:
    """Say that this person doesn't look at it any more. Harmless when they don't. Raises Missing, Denied, Conflict."""
    with transaction():
        item = lock_item(item_id)
        check_may_decide(Person.objects.get(pk=person_id), item)
        mine = attention_to(item)
        if mine is None or mine.person_id != person_id:
            return
        Attention.objects.filter(pk=mine.pk).update(until=real_now())
        _record("review.put_down", item, actor)


def _record(event: str, item: RequestItem, actor: Actor) -> None:
    record(
        event,
        actor=actor,
        fields={"item_id": item.pk, "group_name": item.group.display_name},
        about_oid=item.requester.object_id,
        about_name=item.requester.display_name,
        group_oid=item.group.object_id,
        request_id=item.request_id,
    )
