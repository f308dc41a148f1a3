"""Sending what is owed: claim the row, hand the letter over, note what came of it. A failure stops nobody.

One worker sends at a time. A worker that dies between the mail server's yes and the note leaves the row claimed; the
next one sends it again under the same Message-ID.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import structlog
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError
from django.db.models import F, QuerySet
from django_subatomic.db import durable, transaction

from base.clock import business_clock, business_now, real_now
from base.crash import crash_point, register
from clients.errors import ClientError, Refused
from clients.ports import Postman
from clients.registry import postman
from clients.types import Mail
from notifications.channels import post
from notifications.composing import Letter, compose, compose_digest, subject_line
from notifications.facts import facts_of, no_longer_needed, path_of
from notifications.kinds import Kind
from notifications.models import Message, Round
from notifications.tastes import Taste, taste_of

log = structlog.get_logger(__name__)

register("telling.before_sent", "telling.before_noted")

# Bounds of one pass; the next one follows in seconds.
MOST_SENT = 200
MOST_SECONDS = 20.0
MOST_FAILED = 3  # then the mail server is left alone until the next pass
MOST_ATTEMPTS = 24  # most of a day
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
CLAIM = timedelta(minutes=2)
ROUND = timedelta(minutes=1)
KEEP = timedelta(days=90)
MOST_IN_DIGEST = 100
MOST_DELETED = 500
State = Message.State


@durable
def send_owed() -> int:
    """Send what is owed, a bounded number at a time; gives how many were sent."""
    if not _begin_round():
        return 0
    try:
        return _send_all()
    finally:
        Round.objects.filter(name="sending").update(lease_until=real_now())


def _begin_round() -> bool:
    """Whether it is this worker's turn to send."""
    now = real_now()
    until = now + ROUND
    if Round.objects.filter(name="sending", lease_until__lte=now).update(lease_until=until):
        return True
    try:
        with transaction():
            _, made = Round.objects.get_or_create(name="sending", defaults={"lease_until": until})
    except IntegrityError:
        return False
    return made


def _send_all() -> int:
    carrier = postman()
    if carrier is None:
        _drop_mail("No mail is sent from here: MAIL_FROM isn't set.")
    sent = failed = 0
    last = time.monotonic() + MOST_SECONDS
    for key, retry_at in _owed().values_list("pk", "retry_at")[:MOST_SENT]:
        if failed >= MOST_FAILED or time.monotonic() > last:
            break
        # Taken for a while, so that nobody else sends the same; whoever dies leaves it owed.
        claim = Message.objects.filter(pk=key, state=State.OWED, retry_at=retry_at)
        if claim.update(retry_at=real_now() + CLAIM):
            outcome = _send(key, carrier)
            sent += outcome is True
            failed += outcome is False
    return sent


def _owed() -> QuerySet[Message]:
    return Message.objects.filter(state=State.OWED, retry_at__lte=real_now()).order_by("retry_at", "id")


def _send(key: int, carrier: Postman | None) -> bool | None:
    """Whether it was sent; None when it needn't or can't be, or waits, which says nothing about the mail server."""
    message = _loaded().get(pk=key)
    if message.person is None:
        return _handed_over([message], partial(post, message))
    if carrier is None:
        return None  # planned since what isn't mailed was dropped
    taste = taste_of(message.person)
    if reason := _needless(message, taste):
        _settle([message], State.DROPPED, reason)
        return None
    if _waits(message, taste):
        return None
    batch = [message, *_together_with(message, taste)]
    address = message.person.mail
    if not _is_address(address):
        _settle(
            batch, State.GIVEN_UP, "The directory has no mail address for this person, or one that is none."
        )
        return None
    letter = _letter(batch, taste)
    mail = Mail(_id(batch), (address,), letter.subject, letter.text, letter.html)
    return _handed_over(batch, partial(carrier.send, mail))


def _handed_over(batch: Sequence[Message], hand_over: Callable[[], str | None]) -> bool | None:
    """Try it, and note what came of it; `hand_over` gives a sentence when there is nothing to hand over any more."""
    crash_point("telling.before_sent")
    try:
        needless = hand_over()
    except Refused as error:
        _settle(batch, State.GIVEN_UP, error.sentence, tried=True)
        return None
    except ClientError as error:
        for each in batch:
            _postpone(each, error)
        return False
    if needless:
        _settle(batch, State.DROPPED, needless)
        return None
    crash_point("telling.before_noted")
    _settle(batch, State.SENT, "", tried=True)
    return True


def _loaded() -> QuerySet[Message]:
    return Message.objects.select_related(
        "person", "item__request", "item__requester", "item__group", "grant__person", "grant__group"
    )


def _needless(message: Message, taste: Taste) -> str:
    if not taste.wants(Kind(message.kind)):
        return "Its recipient has switched this off."
    return no_longer_needed(message)


def _waits(message: Message, taste: Taste) -> bool:
    """Put it by for its recipient's digest, once, unless it would come too late there."""
    now = business_now()
    until = taste.waits_until(Kind(message.kind), now) if message.digest_at is None else None
    if until is None:
        return False
    if message.kind in (Kind.DECIDE, Kind.REMIND) and message.item and message.item.lapses_at <= until:
        return False
    retry_at = real_now() + business_clock().real_duration(until - now)
    Message.objects.filter(pk=message.pk).update(digest_at=until, retry_at=retry_at)
    return True


def _together_with(message: Message, taste: Taste) -> list[Message]:
    """What else is due in the same person's digest, claimed as this one is."""
    if message.digest_at is None:
        return []
    due = _loaded().filter(person=message.person, state=State.OWED, digest_at__lte=business_now())
    found = []
    for other in due.exclude(pk=message.pk).order_by("id")[: MOST_IN_DIGEST - 1]:
        claim = Message.objects.filter(pk=other.pk, state=State.OWED, retry_at=other.retry_at)
        if not claim.update(retry_at=real_now() + CLAIM):
            continue
        if reason := _needless(other, taste):
            _settle([other], State.DROPPED, reason)
        else:
            found.append(other)
    return found


def _letter(batch: Sequence[Message], taste: Taste) -> Letter:
    told = [
        (Kind(each.kind), facts_of(each, taste.language, taste.zone), path_of(each))
        for each in sorted(batch, key=lambda each: each.pk)
    ]
    if len(told) == 1:
        return compose(*told[0], taste.language)
    lines = [(subject_line(kind, facts, taste.language), path) for kind, facts, path in told]
    return compose_digest(lines, taste.language)


def _id(batch: Sequence[Message]) -> str:
    keys = sorted(each.pk for each in batch)
    return f"message-{keys[0]}" if len(keys) == 1 else f"digest-{keys[0]}-{keys[-1]}-{len(keys)}"


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _postpone(message: Message, error: ClientError) -> None:
    attempts = message.attempts + 1
    if attempts >= MOST_ATTEMPTS:
        _settle([message], State.GIVEN_UP, error.sentence, tried=True)
        return
    wait = min(FIRST_RETRY * 2 ** min(attempts - 1, 10), LONGEST_RETRY)
    Message.objects.filter(pk=message.pk).update(
        attempts=attempts, problem=error.sentence, retry_at=real_now() + wait
    )
    log.warning(
        "message_postponed", message=message.pk, kind=message.kind, attempts=attempts, code=error.code
    )


def _settle(batch: Sequence[Message], state: str, problem: str, *, tried: bool = False) -> None:
    Message.objects.filter(pk__in=[each.pk for each in batch]).update(
        state=state, problem=problem, settled_at=real_now(), attempts=F("attempts") + int(tried)
    )
    if state == State.GIVEN_UP:
        for each in batch:
            log.warning("message_given_up", message=each.pk, kind=each.kind, attempts=each.attempts)


def _drop_mail(reason: str) -> None:
    keys = list(_owed().filter(person__isnull=False).values_list("pk", flat=True)[:MOST_SENT])
    Message.objects.filter(pk__in=keys).update(state=State.DROPPED, problem=reason, settled_at=real_now())


def forget_old() -> int:
    """Delete what was settled long ago, a bounded number at a time; gives how many."""
    old = Message.objects.filter(settled_at__lt=real_now() - KEEP).values_list("pk", flat=True)
    deleted, _ = Message.objects.filter(pk__in=list(old[:MOST_DELETED])).delete()
    return deleted
