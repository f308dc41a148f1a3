"""Who is to be told what, from audit events: each event is turned into messages once, in one transaction.

Events of one request are planned in the order in which they happened, by one worker at a time. Whoever dies in the
middle leaves the event owed and no message; the constraint of `Message` refuses a second one about the same occasion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.db import connection
from django.db.models import Case, CharField, Exists, F, OuterRef, Value, When
from django.db.models.functions import Cast, Coalesce, Concat
from django_subatomic.db import durable, savepoint, transaction

from audit.ledger.models import Event
from base.clock import business_now, real_now
from base.crash import crash_point, register
from clients.registry import chats
from identity.absences.models import Absence
from identity.models import Person
from notifications.audiences import approvers_of, asked_about, concerned_by, to_ask, who_review
from notifications.kinds import Kind
from notifications.models import EventOwed, Message
from notifications.occasions import planned_for
from requests_app.actions.extending import items_beyond
from requests_app.deliberation.models import Remark
from requests_app.lifecycle import EndReason, GrantStatus, ItemStatus, WaiverStatus
from requests_app.models import SAME_END, Decision, Grant, RequestItem
from requests_app.waivers.models import OwedReview, Waiver

log = structlog.get_logger(__name__)

register("telling.before_planned")

# Bounds of one pass; the next one follows in seconds.
MOST_EVENTS = 200
MOST_ENDINGS = 200
MOST_FAILURES = 5
# Told so long before an end (business time), where the window is at least twice as long.
ENDING_SOON = timedelta(minutes=15)


@durable
def plan() -> int:
    """Plan for what has happened since the last pass, and for what ends soon; gives how many messages were made."""
    made = 0
    for _ in range(MOST_EVENTS):
        with transaction():
            count = _plan_next() if _alone() else None
        if count is None:
            break
        made += count
    with transaction():
        return made + (_plan_endings() if _alone() else 0)


def _alone() -> bool:
    """Whether this transaction is the only one that plans."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended('notifications.plan', 0))")
        ((alone,),) = cursor.fetchall()
    return bool(alone)


def _plan_next() -> int | None:
    """Plan for the oldest event that is owed; None when none is."""
    owed = EventOwed.objects.filter(failures__lt=MOST_FAILURES).order_by("failures", "event_id").first()
    if owed is None:
        return None
    try:
        with savepoint():
            event = Event.objects.get(id=owed.event_id, at=owed.at)
            count = _store(_messages(event))
    except Exception as error:
        # One event that can't be planned for holds up no other; operators see it.
        log.exception("notification_not_planned", event_id=owed.event_id, error=type(error).__name__)
        EventOwed.objects.filter(pk=owed.pk).update(failures=F("failures") + 1)
        return 0
    crash_point("telling.before_planned")
    owed.delete()
    return count


def _store(messages: Iterable[Message]) -> int:
    rows = list(messages)
    Message.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def message(
    kind: Kind,
    person: Person,
    *,
    occasion: str,
    item: RequestItem | None = None,
    grant: Grant | None = None,
    **facts: str,
) -> Message:
    """An owed message to a person, unsaved."""
    now = real_now()
    return Message(
        occasion=occasion,
        recipient=person.object_id,
        kind=kind,
        person=person,
        item=item,
        grant=grant,
        facts=facts,
        planned_at=now,
        retry_at=now,
    )


def chat_messages(kind: Kind, item: RequestItem, *, occasion: str, **facts: str) -> Iterator[Message]:
    """Owed messages to every chat that hears what approvers hear, unsaved."""
    now = real_now()
    for name in chats():
        yield Message(
            occasion=occasion,
            recipient=f"chat:{name}",
            kind=kind,
            item=item,
            facts=facts,
            planned_at=now,
            retry_at=now,
        )


# --- What each event means to whom


def _messages(event: Event) -> Iterable[Message]:
    planned = _PLANS.get(event.type) or planned_for(event.type)
    return planned(event) if planned else ()


def _fields(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = event.data.get("fields", {})
    return found


def _subject(event: Event) -> str:
    return str(event.data["subject"]["id"])


def _item(key: UUID | str) -> RequestItem:
    rows = RequestItem.objects.select_related("request", "requester", "group", "terms")
    return rows.get(pk=key)


def _decision(event: Event) -> Decision:
    return Decision.objects.select_related("approver").get(pk=_subject(event))


def _requested(event: Event) -> Iterator[Message]:
    item = _item(_subject(event))
    if item.status == ItemStatus.PENDING:
        yield message(Kind.ASKED, item.requester, occasion=f"event:{event.id}", item=item)
        # While it may need no decision nobody is asked for one; the worker's refusal of that asks them.
        if not Waiver.objects.filter(item=item, status=WaiverStatus.SUBMITTED).exists():
            yield from _ask(item)


def _ask(item: RequestItem) -> Iterator[Message]:
    """To those who may decide at the item's stage, unless they were told of this stage; nobody decides on a drill."""
    if _is_drill(item):
        return
    people, total = to_ask(item)
    occasion = f"decide:{item.pk}:{item.stage}"
    stage, told, of = str(item.stage), str(len(people)), str(total)
    for person in people:
        yield message(Kind.DECIDE, person, occasion=occasion, item=item, stage=stage, told=told, total=of)
    yield from chat_messages(Kind.DECIDE, item, occasion=occasion, stage=stage, told=told, total=of)


def _is_drill(item: RequestItem) -> bool:
    return Waiver.objects.filter(item=item, drill=True).exists()


def _waiver(event: Event) -> Waiver:
    return Waiver.objects.get(pk=_subject(event))


def _waived(event: Event) -> Iterator[Message]:
    """An emergency is told to everybody whom it concerns, and to chats, at once; so is a drill of it."""
    waiver = _waiver(event)
    if not waiver.emergency:
        return
    item, occasion, drill = _item(waiver.item_id), f"emergency:{waiver.pk}", "yes" if waiver.drill else ""
    for person in concerned_by(item):
        yield message(Kind.EMERGENCY, person, occasion=occasion, item=item, drill=drill)
    yield from chat_messages(Kind.EMERGENCY, item, occasion=occasion, drill=drill)


def _not_waived(event: Event) -> Iterator[Message]:
    """It waits for a decision after all: its requester is told, where it was an emergency, and who decides is asked."""
    waiver = _waiver(event)
    item = _item(waiver.item_id)
    if waiver.emergency:
        yield message(
            Kind.NOT_LET_THROUGH,
            item.requester,
            occasion=f"event:{event.id}",
            item=item,
            drill="yes" if waiver.drill else "",
        )
    if item.status == ItemStatus.PENDING:
        yield from _ask(item)


def _review(kind: Kind, event: Event) -> Iterator[Message]:
    """To whoever may review it; overdue, also to operators and to whom it went on."""
    rows = OwedReview.objects.select_related("waiver__item__terms", "waiver__item__requester")
    review = rows.get(pk=_fields(event)["review_id"])
    if not review.open:
        return
    item = _item(review.waiver.item_id)
    drill = "yes" if review.drill else ""
    for person in who_review(review):
        yield message(
            kind, person, occasion=f"{kind}:{review.pk}", item=item, review=str(review.pk), drill=drill
        )


def _escalated(event: Event) -> Iterable[Message]:
    item = _item(_fields(event)["item_id"])
    return _ask(item) if item.status == ItemStatus.PENDING else ()


def _reminded(event: Event) -> Iterator[Message]:
    """To those who may still decide at the item's stage; chats were told once."""
    item = _item(_fields(event)["item_id"])
    if item.status == ItemStatus.PENDING and not _is_drill(item):
        for person in to_ask(item)[0]:
            yield message(Kind.REMIND, person, occasion=f"event:{event.id}", item=item, stage=str(item.stage))


def _counted(event: Event) -> Iterator[Message]:
    """Once a stage has its quorum its requester is told, and whoever decides at the next one is asked."""
    decision = _decision(event)
    item = _item(decision.item_id)
    if item.status == ItemStatus.PENDING and item.stage > decision.stage:
        occasion = f"advanced:{item.pk}:{item.stage}"
        yield message(Kind.ADVANCED, item.requester, occasion=occasion, item=item, stage=str(item.stage))
        yield from _ask(item)


def _not_counted(event: Event) -> Iterator[Message]:
    decision = _decision(event)
    yield message(
        Kind.NOT_COUNTED,
        decision.approver,
        occasion=f"event:{event.id}",
        item=_item(decision.item_id),
        decision=str(decision.pk),
    )


def _asked_back(event: Event) -> Iterator[Message]:
    """A question goes to whoever asked for access, an answer to everybody who asked something about the item."""
    remark = Remark.objects.get(pk=_subject(event))
    item, occasion = _item(remark.item_id), f"event:{event.id}"
    if remark.kind == Remark.Kind.QUESTION:
        yield message(Kind.QUESTION, item.requester, occasion=occasion, item=item, remark=str(remark.pk))
        return
    questions = item.remarks.filter(kind=Remark.Kind.QUESTION).select_related("author")
    for person in {each.author_id: each.author for each in questions}.values():
        yield message(Kind.ANSWERED, person, occasion=occasion, item=item, remark=str(remark.pk))


def _settled(kind: Kind | None, event: Event) -> Iterator[Message]:
    """An item came to its end: its requester is told, unless by their own hand, and whoever was asked to decide."""
    item, occasion = _item(_subject(event)), f"event:{event.id}"
    if kind is not None:
        yield message(kind, item.requester, occasion=occasion, item=item)
    for person in asked_about(item):
        yield message(Kind.HANDLED, person, occasion=occasion, item=item)
    yield from chat_messages(Kind.HANDLED, item, occasion=occasion)


def _grant(event: Event) -> tuple[Grant, RequestItem | None]:
    grant = Grant.objects.select_related("person", "group").get(pk=str(event.grant_id))
    items = RequestItem.objects.filter(interval__grant=grant).select_related("requester", "terms")
    return grant, items.order_by("-interval__starts_at").first()


def _to_holder(kind: Kind, event: Event, *, once: bool = False) -> Iterator[Message]:
    """`once`: a grant may come to this several times, and its holder is told of the first."""
    grant, item = _grant(event)
    occasion = f"{kind}:{grant.pk}" if once else f"event:{event.id}"
    fields = _fields(event)
    facts = {name: str(fields[name]) for name in ("ends_at", "last_possible_use_at") if name in fields}
    yield message(kind, grant.person, occasion=occasion, item=item, grant=grant, **facts)


def _failed(event: Event) -> Iterator[Message]:
    grant, _ = _grant(event)
    return _undone(event, f"failed:{grant.pk}")


def _undone(
    event: Event, occasion: str, items: Iterable[RequestItem] | None = None, **facts: str
) -> Iterator[Message]:
    """What was approved isn't so, or not all of it: told to its holder, and to whoever has approved it, or these items."""
    grant, item = _grant(event)
    told = {"what": event.type.partition(".")[2], **facts}
    yield message(Kind.FAILED, grant.person, occasion=occasion, item=item, grant=grant, **told)
    whose = ([item] if item else []) if items is None else items
    approved = {person: each for each in whose for person in approvers_of(each)}
    for person, theirs in approved.items():
        yield message(Kind.UNDONE, person, occasion=occasion, item=theirs, grant=grant, **told)


def _not_lengthened(event: Event) -> Iterator[Message]:
    """Every extension that PIM doesn't hold fell with it."""
    grant, _ = _grant(event)
    ends_at = str(_fields(event)["ends_at"])
    fallen = items_beyond(grant, datetime.fromisoformat(ends_at) + SAME_END)
    return _undone(event, f"event:{event.id}", fallen, ends_at=ends_at)


def _waits(event: Event) -> Iterator[Message]:
    """Told to whoever can sign in: its holder, or those who have approved it. Once for each person, and anew for what
    lengthens it: the rest is activated when PIM has ended the first part."""
    grant, item = _grant(event)
    if not (grant.waits_for_person or grant.waits_for_approver):
        return
    people = [grant.person] if grant.waits_for_person else grant.approvers()
    for person in people:
        yield message(
            Kind.SIGN_IN, person, occasion=f"sign_in:{grant.pk}:{grant.revision}", item=item, grant=grant
        )


def _abandoned(event: Event) -> Iterable[Message]:
    """An activation is undone: told as a failure, unless somebody ended it."""
    grant, _ = _grant(event)
    return _failed(event) if grant.end_reason == EndReason.OUTCOME_UNKNOWN else ()


def _removal_started(event: Event) -> Iterable[Message]:
    if _fields(event)["reason"] != EndReason.REMOVED_ELSEWHERE.label:
        return ()  # the clock, the holder, or a revocation, which has an event of its own
    return _to_holder(Kind.REVOKED, event)


def _away(event: Event) -> Iterator[Message]:
    """The delegate is told, and whoever is away, where somebody else said so."""
    absence = Absence.objects.select_related("person", "delegate").get(pk=_subject(event))
    occasion, key = f"event:{event.id}", str(absence.pk)
    if absence.delegate is not None:
        yield message(Kind.STANDS_IN, absence.delegate, occasion=occasion, absence=key)
    if absence.declared_by_id != absence.person_id:
        yield message(Kind.SAID_AWAY, absence.person, occasion=occasion, absence=key)


_PLANS: dict[str, Callable[[Event], Iterable[Message]]] = {
    "item.requested": _requested,
    "item.reminded": _reminded,
    "item.escalated": _escalated,
    "waiver.granted": _waived,
    "waiver.refused": _not_waived,
    "emergency.review_owed": partial(_review, Kind.REVIEW_OWED),
    "emergency.review_overdue": partial(_review, Kind.REVIEW_LATE),
    "item.approved": partial(_settled, Kind.APPROVED),
    "item.denied": partial(_settled, Kind.DENIED),
    "item.closed": partial(_settled, Kind.CLOSED),
    "item.lapsed": partial(_settled, Kind.LAPSED),
    "item.withdrawn": partial(_settled, None),
    "absence.declared": _away,
    "absence.delegated": _away,
    "question.asked": _asked_back,
    "question.answered": _asked_back,
    "decision.counted": _counted,
    "decision.refused": _not_counted,
    "grant.arrived": partial(_to_holder, Kind.USABLE, once=True),
    "grant.waits_for_sign_in": _waits,
    "grant.extended": partial(_to_holder, Kind.EXTENDED),
    "grant.extension_not_sent": _not_lengthened,
    "grant.revoked": partial(_to_holder, Kind.REVOKED),
    "grant.removal_started": _removal_started,
    "grant.stopped_on_the_way": _removal_started,
    "grant.out_of_aws": partial(_to_holder, Kind.ENDED, once=True),
    "grant.not_started": _failed,
    "grant.refused": _failed,
    "grant.never_arrived": _failed,
    "grant.activation_abandoned": _abandoned,
}
TELLING = frozenset(_PLANS)


# --- What is due by the clock


def _plan_endings() -> int:
    """Access that ends soon, once for each end; no event says so."""
    now = business_now()
    occasion = Concat(
        Value("ending:"),
        Cast("pk", CharField()),
        Value(":"),
        Cast("revision", CharField()),
        # Apart from the end that it comes to where the extension stands again.
        Case(When(fell_back_to__isnull=False, then=Value(":fell")), default=Value("")),
    )
    told = Message.objects.filter(grant=OuterRef("pk"), kind=Kind.ENDING, occasion=OuterRef("occasion"))
    rows = Grant.objects.filter(
        status=GrantStatus.ACTIVE,
        next_action_at__lte=now + ENDING_SOON,  # its end at the latest: what has an index
    )
    rows = rows.annotate(end=Coalesce("fell_back_to", "ends_at"), occasion=occasion).filter(
        end__gt=now, end__lte=now + ENDING_SOON, end__gte=F("starts_at") + 2 * ENDING_SOON
    )
    return _store(
        message(
            Kind.ENDING,
            grant.person,
            occasion=f"ending:{grant.pk}:{grant.revision}{':fell' if grant.fell_back_to else ''}",
            grant=grant,
            ends_at=grant.stands_until.isoformat(),
        )
        for grant in rows.exclude(Exists(told))
        .select_related("person", "group")
        .order_by("end")[:MOST_ENDINGS]
    )
