"""Making, taking back and accepting tokens. A token is as good as its owner: who is no auditor any more has none."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.db import connection
from django_subatomic.db import transaction

from audit.api.events import TOKEN
from audit.api.models import ApiToken, Scope
from audit.ledger.recorder import Actor, record, record_alone
from audit.ledger.rows import Row
from base.clock import real_now
from base.errors import Conflict, Invalid, Missing, TooOften
from identity.limiting import Act, spend
from identity.models import Person, User

log = structlog.get_logger(__name__)
PREFIX = "apt_"  # so that a token that was left somewhere is known for what it is
SECRET_BYTES = 32
MOST_TOKENS = 20  # of one owner, that can still be used
LONGEST = timedelta(days=90)
MOST_A_MINUTE = 120
MOST_LISTED = 200
# Events read by a token on a day of which the trail tells: at so many, and each time that they have doubled.
FIRST_TOLD = 1_000


class Unauthorised(Exception):
    """No token, or none that counts now. Which of the two, nobody is told."""


class Throttled(Exception):
    """Used too often in this minute; `seconds` until it is over."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Made:
    """A new token; `text` is what its owner has to keep, because nothing else does."""

    token: ApiToken
    text: str


def digest_of(text: str) -> str:
    """What is kept of a token. It is random and long: a plain hash can't be guessed backwards."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_token(*, owner: Person, name: str, scopes: Sequence[str], lasts: timedelta, actor: Actor) -> Made:
    """A token of `owner` for these scopes, for so long (real time).

    Raises:
        Invalid: no scope, an unknown one, or a span that is none.
        Conflict: the owner has too many that can still be used.
    """
    if not scopes or not set(scopes) <= set(Scope.values):
        raise Invalid("api.scopes", "Choose what the token is for.", field="scopes")
    if not timedelta(0) < lasts <= LONGEST:
        raise Invalid("api.lasts", f"A token lasts {LONGEST.days} days at most.", field="days")
    now, text = real_now(), PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    with transaction():
        Person.objects.select_for_update(no_key=True).get(pk=owner.pk)
        usable = ApiToken.objects.filter(owner=owner, revoked_at=None, expires_at__gt=now)
        if usable.count() >= MOST_TOKENS:
            raise Conflict("api.too_many", f"You have {MOST_TOKENS} tokens. Revoke one that you don't need.")
        token = ApiToken.objects.create(
            name=name,
            digest=digest_of(text),
            owner=owner,
            scopes=sorted(set(scopes)),
            created_at=now,
            expires_at=now + lasts,
        )
        record(
            "api.token_created",
            actor=actor,
            fields={
                "token": name,
                "token_id": token.pk,
                "scopes": token.scopes,
                "expires_at": token.expires_at,
            },
            rows=(TOKEN.stands(token),),
            about_oid=owner.object_id,
            about_name=owner.display_name,
        )
    return Made(token, text)


def revoke_token(*, token_id: int, actor: Actor) -> None:
    """From now on it opens nothing. Raises Missing for none, Conflict for one that is revoked already."""
    with transaction():
        token = ApiToken.objects.select_related("owner").filter(pk=token_id).first()
        if token is None:
            raise Missing("api.no_token", "There is no such token.")
        token.revoked_at = real_now()
        if not ApiToken.objects.filter(pk=token_id, revoked_at=None).update(revoked_at=token.revoked_at):
            raise Conflict("api.revoked", "This token is revoked already.")
        _record("api.token_revoked", token, actor, TOKEN.stands(token))


def accept(text: str, *, ip: str, scope: str = "") -> ApiToken:
    """The token that somebody sent, counted, and noted in the trail at its first use of a day.

    Raises:
        Unauthorised: unknown, revoked, expired, or its owner is no auditor any more, or long not signed in.
        Throttled: more than MOST_A_MINUTE uses in this minute.
    """
    now = real_now()
    token = ApiToken.objects.select_related("owner").filter(digest=digest_of(text)).first()
    if token is None:
        log.warning("api_token_unknown", ip=ip)
        raise Unauthorised
    if reason := _why_not(token, now):
        tell_refused(token, ip=ip, scope=scope, reason=reason)
        raise Unauthorised
    minute = now.replace(second=0, microsecond=0)
    if _count(token, minute) > MOST_A_MINUTE:
        raise Throttled(60 - now.second)
    today = now.astimezone(UTC).date()
    with transaction():
        first = ApiToken.objects.filter(pk=token.pk).exclude(last_used_on=today).update(last_used_on=today)
        if first:
            owner = token.owner
            _record("api.token_used", token, Actor.person(owner.object_id, owner.display_name, ip=ip))
    return token


def _why_not(token: ApiToken, now: datetime) -> str:
    """Why a token doesn't count now, for the trail alone; "" when it does."""
    if token.revoked_at is not None:
        return "It is revoked."
    if token.expires_at <= now:
        return "It has expired."
    if not _still_auditor(token.owner):
        return "Its owner is no auditor any more, or has not signed in for too long."
    return ""


def tell_refused(token: ApiToken, *, ip: str, scope: str, reason: str) -> None:
    """An event in nobody's name, for who sent the token isn't known; what a script repeats is logged only."""
    owner = token.owner
    try:
        spend(owner, Act.API_REFUSED)
    except TooOften:
        log.warning("api_refusal_not_recorded", token_id=token.pk)
        return
    record_alone(
        "api.refused",
        actor=Actor.anonymous(ip=ip),
        fields={"token": token.name, "token_id": token.pk, "scope": scope or None, "reason": reason},
        about_oid=owner.object_id,
        about_name=owner.display_name,
    )


_READ = """
UPDATE audit_api_apitoken SET read_on = %(today)s,
    events_read = CASE WHEN read_on = %(today)s THEN events_read ELSE 0 END + %(number)s
WHERE id = %(token)s RETURNING events_read
"""


def note_read(token: ApiToken, number: int, asked: Mapping[str, object], *, ip: str) -> None:
    """Count the events that a page gives, in one transaction with the event of it that this makes due, if any.

    Page after page they are a copy of the trail, as an export is. `asked` is what this page was asked for.
    """
    if not number:
        return
    with transaction():
        with connection.cursor() as cursor:
            today = real_now().astimezone(UTC).date()
            cursor.execute(_READ, {"today": today, "number": number, "token": token.pk})
            ((read,),) = cursor.fetchall()
        if _doublings(read) == _doublings(read - number):
            return
        owner, query = token.owner, urlencode(asked)
        record(
            "api.events_read",
            actor=Actor.person(owner.object_id, owner.display_name, ip=ip),
            fields={"token": token.name, "token_id": token.pk, "events": read},
            words={"filter": query} if query else {},
            about_oid=owner.object_id,
            about_name=owner.display_name,
        )


def _doublings(read: int) -> int:
    return (read // FIRST_TOLD).bit_length()


def _still_auditor(owner: Person) -> bool:
    """As of a sign-in that is young enough: nothing else tells the portal that somebody has lost the role."""
    user = User.objects.filter(person=owner, last_login__gte=real_now() - settings.API_SIGN_IN_WITHIN).first()
    return owner.enabled and user is not None and user.is_active and user.is_auditor


_COUNT = """
UPDATE audit_api_apitoken SET uses = CASE WHEN minute = %s THEN uses + 1 ELSE 1 END, minute = %s
WHERE id = %s RETURNING uses
"""


def _count(token: ApiToken, minute: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [minute, minute, token.pk])
        ((uses,),) = cursor.fetchall()
    return int(uses)


def _record(event: str, token: ApiToken, actor: Actor, *rows: Row) -> None:
    record(
        event,
        actor=actor,
        fields={"token": token.name, "token_id": token.pk},
        rows=rows,
        about_oid=token.owner.object_id,
        about_name=token.owner.display_name,
    )


def tokens() -> Sequence[ApiToken]:
    """The newest tokens of everybody."""
    return list(ApiToken.objects.select_related("owner").order_by("-created_at", "-id")[:MOST_LISTED])
