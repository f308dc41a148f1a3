"""Sessions end here: when idle, when too old, and when the person behind them is switched off."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from base.clock import real_now
from identity.models import SignIn, User
from identity.signin.sessions import Ended, end, verdict

# How stale `seen_at` may be; one write a minute instead of one a page.
SEEN_GRAIN = timedelta(minutes=1)
_WORDS = {Ended.IDLE: "idle", Ended.AGE: "age", Ended.DISABLED: "disabled", Ended.UNKNOWN: "elsewhere"}


class SessionGuardMiddleware:
    """Judges the session before any view sees it, and leads to the sign-in page from those that need one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        guarded = cast("_Guarded", request)
        guarded.sign_in = None
        guarded.session_ended = None
        user = request.user
        if user.is_authenticated:  # a lazy object: isinstance would ask it just the same
            self._judge(guarded, user)
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], *_: Any
    ) -> HttpResponse | None:
        guarded = cast("_Guarded", request)
        if guarded.sign_in is not None:
            structlog.contextvars.bind_contextvars(person=guarded.sign_in.user.person.object_id)
            if not getattr(view, "is_not_activity", False):
                _touch(guarded.sign_in)
            return None
        if not getattr(view, "login_required", True):
            return None
        if guarded.session_ended is not None:
            return _to_signin(request, ended=guarded.session_ended)
        if request.headers.get("HX-Request") == "true" or request.method not in ("GET", "HEAD"):
            return _to_signin(request)
        return None  # LoginRequiredMiddleware redirects

    def _judge(self, request: _Guarded, user: User) -> None:
        sign_in = SignIn.objects.filter(session_key=request.session.session_key).first()
        reason = verdict(user, sign_in, real_now())
        if reason is None and sign_in is not None:
            sign_in.user = user
            request.sign_in = sign_in
            return
        end(request, user, reason or Ended.UNKNOWN)
        request.session_ended = reason or Ended.UNKNOWN


class _Guarded(HttpRequest):
    """A request with what the guard found out."""

    sign_in: SignIn | None
    session_ended: Ended | None


def _touch(sign_in: SignIn) -> None:
    now = real_now()
    if now - sign_in.seen_at >= SEEN_GRAIN:
        SignIn.objects.filter(pk=sign_in.pk, seen_at__lt=now).update(seen_at=now)


def _page_behind(request: HttpRequest) -> str:
    """Path and query of the page from which htmx asks; "" when it names no address."""
    try:
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
    except ValueError:
        return ""
    return page.path + (f"?{page.query}" if page.query else "")


def _to_signin(request: HttpRequest, *, ended: Ended | None = None) -> HttpResponse:
    """The sign-in page, by redirect; for htmx by a header, so that it isn't swapped into a part of a page."""
    htmx = request.headers.get("HX-Request") == "true"
    query: dict[str, str] = {}
    if htmx:
        query["next"] = _page_behind(request)
    elif request.method in ("GET", "HEAD"):
        query["next"] = request.get_full_path()
    if ended is not None:
        query["ended"] = _WORDS[ended]
    if request.method not in ("GET", "HEAD"):
        query["unsent"] = "1"
    address = f"{settings.LOGIN_URL}?{urlencode(query)}"
    if htmx:
        return HttpResponse(status=401, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)
