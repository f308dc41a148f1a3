"""Pages of signing in and out. Signing in starts with a POST, so that no link can start it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from allauth.core.internal import ratelimit
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.csp import CSP
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_GET, require_POST

from audit.ledger.recorder import Actor, record_alone
from identity.actors import client_ip
from identity.models import Person, User
from identity.signin import sessions
from identity.signin.entra import tenant
from identity.signin.problems import TOO_MANY, Problem, SignInError
from identity.signin.provider import PROVIDER_ID, EntraCallbackView, EntraOAuth2Adapter
from identity.signin.stepping_up import Wanted, ask_afresh, parameters

# A whole office may share one address; each web process counts for itself.
RATE_LIMITS = {"start": "60/m/ip", "callback": "60/m/ip", "front-channel": "120/m/ip"}
# What the sign-in page says to somebody whose session ended by itself, by `?ended=`.
ENDED_SENTENCES = {
    "idle": "You were signed out because the portal wasn't used for a while.",
    "age": "You were signed out because this session had been open for a whole working day.",
    "disabled": "You were signed out because this account is switched off in your organisation's directory.",
    "elsewhere": "You were signed out in another window, or by Microsoft Entra.",
}

LONGEST_SID = 64  # what `sessions` keeps of one

# Nobody is sent on to these after signing in.
OWN_DOORS = ("/signin", "/signout", "/signed-out", "/accounts/")


def _limited(action: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def limited(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            if not ratelimit.consume(
                request, app="identity", action=action, config=RATE_LIMITS, limit_get=True
            ):
                return problem_page(request, TOO_MANY)
            return view(request, **kwargs)

        return limited

    return decorate


def own_path(text: str) -> str:
    """A path of this portal to go to after sign-in: `text` when it is one, else the overview."""
    safe = (
        text.startswith("/")
        and text.isprintable()
        and url_has_allowed_host_and_scheme(text, allowed_hosts=None)
    )
    return text if safe and not text.startswith(OWN_DOORS) else "/"


@login_not_required
@require_GET
@never_cache
def signin(request: HttpRequest) -> HttpResponse:
    """One sentence and one button."""
    following = own_path(request.GET.get("next", ""))
    if request.user.is_authenticated:
        return redirect(following)
    if request.get_host() != urlsplit(settings.PORTAL_ORIGIN).netloc and "here" not in request.GET:
        # Entra sends browsers back to PORTAL_ORIGIN, where cookies of another name of it don't go.
        query = urlencode({"next": following, "here": "1"})
        return redirect(f"{settings.PORTAL_ORIGIN}{reverse('signin')}?{query}")
    context = {
        "next": following,
        "ended": ENDED_SENTENCES.get(request.GET.get("ended", ""), ""),
        "unsent": "unsent" in request.GET,
    }
    return render(request, "signin/signin.html", context)


@login_not_required
@require_POST
@never_cache
@_limited("start")
def start(request: HttpRequest) -> HttpResponse:
    """Send the browser to Entra, with state, nonce and a PKCE challenge of this session."""
    extra = {"prompt": "select_account"} if "other_account" in request.POST else {}
    return _to_entra(request, extra, following=own_path(request.POST.get("next", "")))


@_limited("start")
def start_again(
    request: HttpRequest,
    *,
    person: Person,
    claims: str,
    following: str,
    fresh_within: timedelta | None = None,
) -> HttpResponse:
    """Send somebody who is signed in to Entra once more, with the claims that it wants of them ("": afresh).

    With `fresh_within`, coming back has to prove an authentication that is no older than this (real time).

    Not a page: for the view of a POST. Coming back as somebody else, or without a context that was asked for, changes
    nothing and says so.
    """
    extra, contexts = parameters(claims)
    if fresh_within is not None:
        extra |= ask_afresh(fresh_within)
    known: sessions.AtEntra | None = request.session.get(sessions.SESSION_KEY)
    if known and known["login_hint"]:
        extra["login_hint"] = known["login_hint"]
    return _to_entra(
        request, extra, following=following, wanted=Wanted(person.object_id, contexts, fresh_within)
    )


def _to_entra(
    request: HttpRequest, extra: dict[str, str], *, following: str, wanted: Wanted | None = None
) -> HttpResponse:
    nonce = secrets.token_urlsafe(32)
    provider = get_adapter(request).get_provider(request, PROVIDER_ID)
    try:
        response: HttpResponse = provider.redirect(
            request,
            AuthProcess.LOGIN,
            next_url=following,
            auth_params={"nonce": nonce, **extra},
            nonce=nonce,
            **(wanted.state if wanted else {}),
        )
    except SignInError as error:
        return refuse(request, error)
    return response


@login_not_required
@require_GET
@never_cache
@_limited("callback")
def callback(request: HttpRequest, *, provider_id: str) -> HttpResponse:
    """The way back from Entra: a session, or a page that says why not."""
    adapter = EntraOAuth2Adapter(request, provider_id)
    view = EntraCallbackView.adapter_view(adapter)
    try:
        response: HttpResponse = view(request)
    except SignInError as error:
        return refuse(request, error, back=own_path(adapter.following) if adapter.wanted.object_id else "")
    return response


@login_not_required
@require_POST
@never_cache
def signout(request: HttpRequest) -> HttpResponse:
    """End the session here, then at Entra, which sends the browser on to the last page."""
    known: sessions.AtEntra | None = request.session.get(sessions.SESSION_KEY)
    if isinstance(request.user, User):
        sessions.end(request, request.user, sessions.Ended.SIGNED_OUT)
    last = settings.PORTAL_ORIGIN + reverse("signed_out")
    if not known or not known["end_session"]:
        return redirect("signed_out")
    query = {"post_logout_redirect_uri": last}
    if known["login_hint"]:
        query["logout_hint"] = known["login_hint"]
    return HttpResponseRedirect(f"{known['end_session']}?{urlencode(query)}")


@login_not_required
@require_GET
@never_cache
def signed_out(request: HttpRequest) -> HttpResponse:
    """The last page."""
    return render(request, "signin/signed_out.html")


@login_not_required
@require_GET
@never_cache
@_limited("front-channel")
@xframe_options_exempt
@csp_override({"default-src": [CSP.NONE], "frame-ancestors": [settings.ENTRA_BROWSER_ORIGIN]})
def front_channel_logout(request: HttpRequest) -> HttpResponse:
    """Entra says, from a frame on its own sign-out page, that one of its sessions ended.

    The frame may come without our cookie, so the session is found by `sid`, which only Entra and we know.
    """
    sid = request.GET.get("sid", "")
    if 0 < len(sid) <= LONGEST_SID and sid.isprintable() and request.GET.get("iss", "") == tenant().issuer:
        sessions.end_at_entra(sid, ip=client_ip(request))
    return HttpResponse("", content_type="text/plain")


def refuse(request: HttpRequest, error: SignInError, *, back: str = "") -> HttpResponse:
    """Record a refusal and show why. `back` is where somebody who is signed in came from."""
    fields = {
        "code": error.problem.code,
        "reason": error.problem.heading,
        "entra_error": error.entra_error,
        "tenant": error.tenant_id,
        "person": error.object_id,
    }
    event_id = record_alone(
        "signin.refused",
        actor=Actor.anonymous(ip=client_ip(request)),
        fields={name: value for name, value in fields.items() if value},
        about_oid=error.object_id,
    )
    return problem_page(request, error.problem, entra_error=error.entra_error, reference=event_id, back=back)


def problem_page(
    request: HttpRequest,
    problem: Problem,
    *,
    entra_error: str = "",
    reference: int | None = None,
    back: str = "",
) -> HttpResponse:
    """What went wrong and what to do next."""
    context = {"problem": problem, "entra_error": entra_error, "reference": reference}
    context["back"] = back if request.user.is_authenticated else ""
    return render(request, "signin/problem.html", context, status=problem.status)
