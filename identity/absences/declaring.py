"""Saying that somebody is away, and taking it back. One's own absence is one's own to say; an operator may say others'."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, Subject, record
from base.clock import business_now
from base.errors import Conflict, Denied, Invalid, Missing, Several
from base.words import moment_words
from identity.absences.models import Absence
from identity.humans import human_key, is_human, same_human
from identity.models import Person

LONGEST = timedelta(days=366)
FARTHEST = timedelta(days=366)
MOST_AHEAD = 20
# A beginning that passed while the form was filled in means now.
JUST_NOW = timedelta(minutes=5)


def declare(
    *,
    person_id: int,
    delegate_id: int | None,
    begins_at: datetime | None,
    ends_at: datetime | None,
    by_id: int,
    actor: Actor,
) -> UUID:
    """Record that a person is away, perhaps with a delegate; gives the absence's id. Instants are business time.

    `begins_at` None: from now on. `by_id` is whoever says so: the person, or an operator, which the page has checked.

    Raises:
        Invalid: no end, an order that is none, too long or too far ahead, a delegate who can't be one (Several: more
            than one of these).
        Denied: somebody who would make themselves another's delegate.
        Conflict: another absence of the same person overlaps it, or there are too many ahead.
    """
    now = business_now()
    begins = _begins(begins_at, now)
    person, by = Person.objects.get(pk=person_id), Person.objects.get(pk=by_id)
    wrong = list(_in_dates(begins, ends_at, now))
    delegate: Person | None = None
    try:
        delegate = _check_delegate(person, delegate_id, by)
    except Invalid as error:
        wrong.append(error)
    if wrong or ends_at is None:
        raise wrong[0] if len(wrong) == 1 else Several(wrong)
    with transaction():
        _alone_with(person)
        _check_room(person, begins, ends_at, now)
        made = Absence.objects.create(
            person=person,
            delegate=delegate,
            begins_at=begins,
            ends_at=ends_at,
            declared_by=by,
            declared_at=now,
        )
        named = {"delegate": delegate.display_name, "delegate_id": delegate.object_id} if delegate else {}
        _record("absence.delegated" if delegate else "absence.declared", made, actor, **named)
    return made.pk


def withdraw(*, absence_id: UUID, person_id: int, by_id: int, actor: Actor) -> None:
    """Take an absence of this person back, from now on. Whoever decided by it before keeps their word.

    Raises:
        Missing: no such absence of this person.
        Conflict: it is over or withdrawn already.
    """
    with transaction():
        row = (
            Absence.objects.select_for_update(of=("self",))
            .select_related("person")
            .filter(pk=absence_id, person_id=person_id)
            .first()
        )
        if row is None:
            raise Missing("absence.missing", "There is no such absence.")
        now = business_now()
        if row.withdrawn_at is not None or row.ends_at <= now:
            raise Conflict("absence.over", "This absence is over already. Nobody decides by it any more.")
        row.version, row.withdrawn_at = 2, now
        row.withdrawn_by_id = by_id
        row.save(update_fields=["version", "withdrawn_at", "withdrawn_by"])
        _record("absence.withdrawn", row, actor)


def date_mistakes(begins_at: datetime | None, ends_at: datetime | None) -> list[Invalid]:
    """Everything that is wrong with these dates of an absence, as `declare` takes them."""
    now = business_now()
    return list(_in_dates(_begins(begins_at, now), ends_at, now))


def _begins(begins_at: datetime | None, now: datetime) -> datetime:
    return now if begins_at is None or now - JUST_NOW < begins_at < now else begins_at


def _in_dates(begins: datetime, ends: datetime | None, now: datetime) -> Iterator[Invalid]:
    if begins < now:
        yield Invalid(
            "absence.past",
            "This time is over. Choose a later one, or leave it empty to begin now.",
            field="begins",
        )
    if begins > now + FARTHEST:
        yield Invalid("absence.far", f"At most {FARTHEST.days} days ahead.", field="begins")
    if ends is None:
        yield Invalid("absence.endless", "Say until when. It can be ended sooner at any time.", field="ends")
    elif ends <= max(begins, now):
        yield Invalid("absence.order", "It has to end after it begins, and later than now.", field="ends")
    elif ends - begins > LONGEST:
        yield Invalid(
            "absence.long",
            f"At most {LONGEST.days} days. Who is away for longer shouldn't be among those who decide.",
            field="ends",
        )


def _check_delegate(person: Person, delegate_id: int | None, by: Person) -> Person | None:
    if delegate_id is None:
        return None
    delegate = Person.objects.get(pk=delegate_id)
    if same_human(delegate, person):
        raise Invalid("absence.oneself", "Nobody stands in for themselves, by any account.", field="delegate")
    if not delegate.enabled or delegate.guest:
        raise Invalid(
            "absence.unfit",
            f"{delegate.display_name} is disabled or a guest in Entra, and can't decide for anybody. Choose a colleague.",
            field="delegate",
        )
    if same_human(delegate, by) and not same_human(person, by):
        raise Denied(
            "absence.self_made",
            "Nobody makes themselves another's delegate. Another operator has to, or the person.",
            field="delegate",
        )
    return delegate


def _alone_with(person: Person) -> None:
    """Nobody else declares for this human until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"absence:{human_key(person)}"],
        )


def _check_room(person: Person, begins: datetime, ends: datetime, now: datetime) -> None:
    ahead = Absence.objects.filter(is_human(person, "person"), withdrawn_at=None, ends_at__gt=now)
    other = ahead.filter(begins_at__lt=ends, ends_at__gt=begins).order_by("begins_at").first()
    if other is not None:
        raise Conflict(
            "absence.overlap",
            f"There is an absence from {moment_words(other.begins_at, now)} until {moment_words(other.ends_at, now)} "
            "already. Withdraw it first, or choose other dates.",
        )
    if ahead.count() >= MOST_AHEAD:
        raise Conflict("absence.many", f"There are {MOST_AHEAD} absences ahead already. Withdraw one first.")


def _record(event: str, row: Absence, actor: Actor, **more: str) -> None:
    record(
        event,
        actor=actor,
        subject=Subject("absence", row.pk, row.version),
        fields={"begins_at": row.begins_at, "ends_at": row.ends_at, **more},
        about_oid=row.person.object_id,
        about_name=row.person.display_name,
    )
