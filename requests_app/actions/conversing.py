"""Asking about a request, and answering. The request goes on waiting for its decision, and lapses as it would."""

from __future__ import annotations

from uuid import UUID

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, Subject, record
from base.clock import business_now
from base.errors import Conflict, Invalid
from identity.models import Person
from requests_app.actions.fetching import lock_item
from requests_app.deliberation.models import Remark
from requests_app.deliberation.reading import MOST_REMARKS
from requests_app.lifecycle import ItemStatus
from requests_app.models import RequestItem
from requests_app.permissions import check_may_remark
from requests_app.texts import clean_words

LONGEST_REMARK = 2000


def remark(*, item_id: UUID, person_id: int, words: str, actor: Actor) -> UUID:
    """Add a question of somebody who decides on the item, or an answer of its requester; gives its id.

    Raises:
        Missing: no such item, or neither theirs nor theirs to decide on.
        Conflict: it waits for no decision any more, nobody has asked anything, or the thread is full.
        Invalid: nothing written, or too much.
    """
    with transaction():
        item = lock_item(item_id)
        person = Person.objects.get(pk=person_id)
        check_may_remark(person, item)
        kind = Remark.Kind.ANSWER if item.requester_id == person.pk else Remark.Kind.QUESTION
        _check_open(item, kind)
        text = clean_words(words, longest=LONGEST_REMARK, field="words")
        if not text:
            raise Invalid("remark.empty", f"Write your {kind.label.lower()} first.", field="words")
        made = Remark.objects.create(
            item=item, author=person, kind=kind, words=text, written_at=business_now()
        )
        record(
            "question.answered" if kind == Remark.Kind.ANSWER else "question.asked",
            actor=actor,
            subject=Subject("remark", made.pk, made.version),
            fields={"item_id": item.pk, "group_name": item.group.display_name},
            words={kind.value: text},
            about_oid=item.requester.object_id,
            about_name=item.requester.display_name,
            group_oid=item.group.object_id,
            request_id=item.request_id,
        )
    return made.pk


def _check_open(item: RequestItem, kind: Remark.Kind) -> None:
    if item.status != ItemStatus.PENDING or business_now() >= item.lapses_at:
        raise Conflict(
            "remark.over", "This request doesn't wait for a decision any more. What you wrote was not sent."
        )
    said = item.remarks.count()
    if kind == Remark.Kind.ANSWER and not said:
        raise Conflict("remark.unasked", "Nobody has asked anything about this request.")
    if said >= MOST_REMARKS:
        raise Conflict(
            "remark.full", f"There are {MOST_REMARKS} questions and answers here already. Talk to each other."
        )
