"""Beginning and ending the portal's own sessions, each with its SignIn row and its event."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypedDict

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import real_now
from identity.actors import actor_for, client_ip
from identity.models import SignIn, User
from identity.personal.keeping import Forgotten, forget, keep

SESSION_KEY = "entra"


class AtEntra(TypedDict):
    """What the session keeps for signing out at Entra; no token."""

    end_session: str
    login_hint: str


class Ended(StrEnum):
    """Why a session ended."""

    SIGNED_OUT = "signed out"
    AT_ENTRA = "signed out in Entra"
    IDLE = "idle for too long"
    AGE = "open for too long"
    DISABLED = "account disabled"
    UNKNOWN = "no longer known"
    OTHER_PERSON = "somebody else signed in in this browser"


# With these the person's token goes too. A session that merely ran out leaves it: what was approved may still begin.
_FORGETS = {Ended.SIGNED_OUT: Forgotten.SIGNED_OUT, Ended.DISABLED: Forgotten.DISABLED}


def begin(
    request: HttpRequest,
    user: User,
    *,
    sid: str,
    at_entra: AtEntra,
    first_time: bool,
    refresh_token: str = "",
) -> None:
    """Note the session that Django has just started for `user`, and record the sign-in.

    `refresh_token` is sealed for the worker, "" when sign-in asked for none.
    """
    now = real_now()
    request.session[SESSION_KEY] = at_entra
    request.session.save()
    key = request.session.session_key or ""
    with transaction():
        # What nobody closed, and is past its age, is of no use any more.
        SignIn.objects.filter(user=user, started_at__lt=now - absolute_limit()).delete()
        SignIn.objects.create(session_key=key, user=user, sid=sid[:64], started_at=now, seen_at=now)
        actor = actor_for(user, ip=client_ip(request), session=key)
        record(
            "signin.succeeded",
            actor=actor,
            fields={"app_roles": list(user.app_roles), "first_time": first_time},
            about_oid=user.person.object_id,
            about_name=user.person.display_name,
        )
        keep(user.person, refresh_token, actor=actor)


def end(request: HttpRequest, user: User, reason: Ended) -> None:
    """End the session of this request and record why. By the person's own wish only for SIGNED_OUT."""
    key = request.session.session_key or ""
    by_person = reason is Ended.SIGNED_OUT
    # Otherwise whoever came with the session isn't signed in any more. In the portal's own name only workers write.
    came = {"ip": client_ip(request), "session": key}
    actor = actor_for(user, **came) if by_person else Actor.anonymous(**came)
    with transaction():
        SignIn.objects.filter(session_key=key).delete()
        _record_end(user, reason, actor)
        if reason in _FORGETS:
            forget([user.person], _FORGETS[reason], actor=actor)
    logout(request)


def give_way(request: HttpRequest, user: User) -> None:
    """Somebody else has come back from Entra to the browser of this user, whose session is over; it is signing out."""
    key = request.session.session_key or ""
    actor = actor_for(user, ip=client_ip(request), session=key)
    with transaction():
        SignIn.objects.filter(session_key=key).delete()
        _record_end(user, Ended.OTHER_PERSON, actor)
        forget([user.person], Forgotten.SIGNED_OUT, actor=actor)


def end_at_entra(sid: str, *, ip: str) -> int:
    """End every session that Entra calls `sid`; gives how many."""
    with transaction():
        rows = list(SignIn.objects.filter(sid=sid).select_related("user__person").order_by("pk"))
        for row in rows:
            Session.objects.filter(session_key=row.session_key).delete()
            actor = Actor.anonymous(ip=ip, session=row.session_key)
            forget([row.user.person], Forgotten.SIGNED_OUT, actor=actor)
            _record_end(row.user, Ended.AT_ENTRA, actor)
        SignIn.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def clear_expired() -> int:
    """Delete what is left of sessions past their age; gives how many rows of Django went. For a worker."""
    SignIn.objects.filter(started_at__lt=real_now() - absolute_limit()).delete()
    return Session.objects.filter(expire_date__lt=real_now()).delete()[0]


def verdict(user: User, sign_in: SignIn | None, now: datetime) -> Ended | None:
    """Why this session may not go on, or None when it may. `now` is real time."""
    if not (user.is_active and user.person.enabled):
        return Ended.DISABLED
    if sign_in is None or sign_in.user_id != user.pk:
        return Ended.UNKNOWN
    if now - sign_in.started_at > absolute_limit():
        return Ended.AGE
    if now - sign_in.seen_at > settings.SESSION_IDLE_LIMIT:
        return Ended.IDLE
    return None


def absolute_limit() -> timedelta:
    """How old a session may become, however busy it is."""
    return timedelta(seconds=settings.SESSION_COOKIE_AGE)


def _record_end(user: User, reason: Ended, actor: Actor) -> None:
    record(
        "signin.ended",
        actor=actor,
        fields={"reason": reason.value},
        about_oid=user.person.object_id,
        about_name=user.person.display_name,
    )
