"""Who is behind a request, for the ledger."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest

from audit.ledger.recorder import Actor
from identity.models import User


def actor_of(request: HttpRequest) -> Actor:
    """The person (or nobody) behind a request, with address and session (the ledger keeps a hash of it)."""
    session = request.session.session_key or ""
    user = request.user
    if isinstance(user, User):
        return actor_for(user, ip=client_ip(request), session=session)
    return Actor.anonymous(ip=client_ip(request), session=session)


def actor_for(user: User, *, ip: str = "", session: str = "") -> Actor:
    """A user as an actor."""
    return Actor.person(user.person.object_id, user.person.display_name, ip=ip, session=session)


def client_ip(request: HttpRequest) -> str:
    """The address that the outermost of our own proxies saw, "" when it can't be told.

    With TRUSTED_PROXY_COUNT proxies in front, that many entries at the right of X-Forwarded-For were
    written by them; everything further left is whatever the client liked to send.
    """
    trusted = settings.TRUSTED_PROXY_COUNT
    if not trusted:
        return _address(request.META.get("REMOTE_ADDR", ""))
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    return _address(hops[-trusted]) if len(hops) >= trusted else ""


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
