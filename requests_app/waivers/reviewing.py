"""Reviews of emergency use: owed with the use, by somebody else; overdue, they go to others, then block the next use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

import structlog
from django.db import IntegrityError
from django_subatomic.db import transaction, transaction_required

from audit.ledger.recorder import Actor, Subject, record
from base.clock import business_now
from base.crash import crash_point, register
from base.errors import Conflict, Denied, DomainError, Invalid, Missing, Several
from base.readymade import Readymade
from identity.humans import same_human
from identity.models import Person
from requests_app.models import RequestItem
from requests_app.permissions import is_operator
from requests_app.texts import clean_words
from requests_app.waivers.models import OwedReview, Waiver
from requests_app.waivers.rights import may_review

log = structlog.get_logger(__name__)

register("reviewing.before_commit")

LONGEST_COMMENT = 2000
# Bound of one pass; the next one follows in seconds.
MOST_ESCALATED = 200


@transaction_required
def owe_reviews(waiver: Waiver, item: RequestItem) -> None:
    """One review for each panel of the item's terms, from now on; with the waiver's own transaction."""
    emergency = item.terms.parsed.emergency
    if emergency is None:
        raise ValueError("No rule says who reviews this.")
    now = business_now()
    for number in range(len(emergency.panels)):
        review = OwedReview.objects.create(
            waiver=waiver,
            panel=number,
            person=item.requester,
            drill=waiver.drill,
            owed_at=now,
            due_at=now + emergency.review_within,
            blocks_at=now + emergency.blocks_after,
        )
        _record(
            "emergency.review_owed",
            review,
            item,
            Actor.worker(),
            fields={"due_at": review.due_at, "blocks_at": review.blocks_at},
        )


def review(*, review_id: UUID, person_id: int, verdict: str, comment: str, actor: Actor) -> None:
    """Say whether an emergency use was in order. It changes no access.

    Raises:
        Missing: no such review, or not this person's.
        Denied: it is about their own use, by whichever account.
        Conflict: somebody has reviewed it already.
        Invalid: no verdict, or no comment (Several: both).
    """
    with transaction():
        owed = _lock(review_id)
        person = Person.objects.get(pk=person_id)
        if same_human(person, owed.person):
            raise Denied("owed_review.own", "Nobody reviews their own emergency use. Somebody else has to.")
        if not may_review(person, owed):
            raise Missing("owed_review.missing", "There is no such review, or it is not yours.")
        if not owed.open:
            raise Conflict(
                "owed_review.done", "Somebody has reviewed this already. Reload the page to see it."
            )
        words = _said(verdict, comment)
        owed.verdict, owed.comment, owed.reviewed_by, owed.reviewed_at = (
            verdict,
            words,
            person,
            business_now(),
        )
        owed.version += 1
        owed.save(update_fields=["verdict", "comment", "reviewed_by", "reviewed_at", "version"])
        _record(
            "emergency.reviewed",
            owed,
            owed.waiver.item,
            actor,
            fields={"verdict": owed.get_verdict_display().lower()},
            words={"comment": words},
        )


def lift_block(*, review_id: UUID, person_id: int, reason: str, actor: Actor) -> None:
    """Let somebody use emergencies again although this review is owed. It stays owed.

    Raises:
        Missing: no such review, or this person is no operator.
        Denied: it is about their own use, by whichever account.
        Conflict: it blocks nothing: reviewed, lifted, or not so late yet.
        Invalid: no reason.
    """
    with transaction():
        owed = _lock(review_id)
        person = Person.objects.get(pk=person_id)
        if not is_operator(person):
            raise Missing("owed_review.missing", "There is no such review, or it is not yours.")
        if same_human(person, owed.person):
            raise Denied("owed_review.own", "Nobody lifts what blocks themselves. Another operator has to.")
        if not owed.blocks(business_now()):
            raise Conflict(
                "owed_review.no_block", "This review blocks nothing now. Reload the page to see it."
            )
        words = _words(reason, "reason", "Say why they may use another one before this is reviewed.")
        owed.lifted_by, owed.lifted_at, owed.lift_reason = person, business_now(), words
        owed.version += 1
        owed.save(update_fields=["lifted_by", "lifted_at", "lift_reason", "version"])
        _record("emergency.block_lifted", owed, owed.waiver.item, actor, words={"reason": words})


def escalate_overdue() -> int:
    """Let others review too what is overdue, and have it told; gives how many. One transaction each."""
    escalated = 0
    for review_id in _OVERDUE.rows(business_now()):
        try:
            escalated += _escalate(review_id)
        except (DomainError, IntegrityError) as error:
            log.exception("review_not_escalated", review=str(review_id), error=type(error).__name__)
    return escalated


_OVERDUE = Readymade(
    lambda now: (
        OwedReview.objects.filter(verdict="", escalated_at=None, due_at__lte=now)
        .order_by("due_at")
        .values_list("pk", flat=True)[:MOST_ESCALATED]
    ),
    datetime,
)


def _escalate(review_id: UUID) -> int:
    with transaction():
        owed = _lock(review_id)
        if not owed.open or owed.escalated_at is not None:
            return 0
        owed.escalated_at = business_now()
        owed.save(update_fields=["escalated_at"])
        _record("emergency.review_overdue", owed, owed.waiver.item, Actor.system(), told_of_version=False)
        crash_point("reviewing.before_commit")
    return 1


def _lock(review_id: UUID) -> OwedReview:
    rows = OwedReview.objects.select_for_update(of=("self",)).select_related(
        "person", "waiver__item__terms", "waiver__item__group", "waiver__item__requester"
    )
    found = rows.filter(pk=review_id).first()
    if found is None:
        raise Missing("owed_review.missing", "There is no such review, or it is not yours.")
    return found


def _said(verdict: str, comment: str) -> str:
    """The comment as it is kept. Raises Invalid for every mistake at once."""
    wrong, words = [], ""
    if verdict not in OwedReview.Verdict.values:
        wrong.append(Invalid("owed_review.verdict", "Say whether it was in order.", field="verdict"))
    try:
        words = _words(comment, "comment", "Say what you looked at, and what you found.")
    except Invalid as error:
        wrong.append(error)
    if wrong:
        raise wrong[0] if len(wrong) == 1 else Several(wrong)
    return words


def _words(text: str, field: str, missing: str) -> str:
    words = clean_words(text, longest=LONGEST_COMMENT, field=field)
    if not words:
        raise Invalid(f"owed_review.{field}", missing, field=field)
    return words


def _record(
    name: str,
    owed: OwedReview,
    item: RequestItem,
    actor: Actor,
    *,
    fields: Mapping[str, str | datetime] = MappingProxyType({}),
    words: dict[str, str] | None = None,
    told_of_version: bool = True,
) -> None:
    record(
        name,
        actor=actor,
        subject=Subject("owed_review", owed.pk, owed.version) if told_of_version else None,
        fields={
            "review_id": owed.pk,
            "item_id": item.pk,
            "group_name": item.group.display_name,
            "kind": owed.waiver.what,
            "panel": owed.panel + 1,
            "drill": owed.drill,
            **fields,
        },
        words=words or {},
        about_oid=item.requester.object_id,
        about_name=item.requester.display_name,
        group_oid=item.group.object_id,
        request_id=item.request_id,
    )
