"""Refusals of the API: problem documents of RFC 9457, each with a sentence for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.http import require_http_methods

from audit.api.models import ApiToken, Scope
from audit.api.tokens import Throttled, Unauthorised, accept, note_read, tell_refused
from base.errors import Invalid, Missing
from identity.actors import client_ip

CONTENT_TYPE = "application/problem+json"
_NO_STORE = {"Cache-Control": "no-store"}

type Handler[**P] = Callable[Concatenate[HttpRequest, P], Mapping[str, Any]]
type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class FilterRefused(Exception):
    """A filter that can't be used, with sentences by parameter ("" for what is of no single one)."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__()
        self.errors = errors


def problem(status: int, title: str, detail: str, **more: Any) -> HttpResponse:
    """A problem document. `detail` is a sentence that says what to do."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JsonResponse(document, status=status, content_type=CONTENT_TYPE, headers=_NO_STORE)


def api_view[**P](scope: Scope | None) -> Callable[[Handler[P]], View[P]]:
    """A view that only reads, for whoever sends a token with the scope; None takes any token."""

    def decorate(handler: Handler[P]) -> View[P]:
        @login_not_required
        @require_http_methods(["GET", "HEAD"])
        @wraps(handler)
        def view(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            try:
                token = _token(request, scope or "")
                if scope is not None and scope not in token.scopes:
                    reason = "It isn't for this scope."
                    tell_refused(token, ip=client_ip(request), scope=scope, reason=reason)
                    return problem(
                        403, "Not for this token", f"This token isn't for “{scope}”. Make one that is."
                    )
                found = dict(handler(request, *args, **kwargs))
                asked = {name: text for name, text in request.GET.items() if text and name != "before"}
                events = len(found.get("events", ()))
                note_read(token, events, {**asked, **kwargs}, ip=client_ip(request))
                return JsonResponse(found, headers=_NO_STORE)
            except Unauthorised:
                answer = problem(
                    401,
                    "No token that counts",
                    "Send Authorization: Bearer with a token that is neither revoked nor expired, and whose owner has "
                    f"signed in here within the last {settings.API_SIGN_IN_WITHIN.days} days. "
                    "Auditors make them at /audit/tokens/.",
                )
                answer["WWW-Authenticate"] = 'Bearer realm="audit"'
                return answer
            except Throttled as error:
                answer = problem(429, "Too often", f"Wait {error.seconds} seconds and ask again.")
                answer["Retry-After"] = str(error.seconds)
                return answer
            except Missing as error:
                return problem(404, "Not there", error.sentence)
            except FilterRefused as error:
                sentences = " ".join(each for found in error.errors.values() for each in found)
                return problem(422, "The filter can't be used", sentences, errors=error.errors)
            except Invalid as error:
                errors = {error.field: [error.sentence]}
                return problem(422, "The filter can't be used", error.sentence, errors=errors)

        return view

    return decorate


def _token(request: HttpRequest, scope: str) -> ApiToken:
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text.strip():
        raise Unauthorised
    return accept(text.strip(), ip=client_ip(request), scope=scope)
