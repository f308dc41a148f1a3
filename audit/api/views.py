"""The API, and the page on which auditors make tokens for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from audit.api.documents import access_document, case_document, event_document
from audit.api.forms import TokenForm
from audit.api.models import Scope
from audit.api.openapi import description
from audit.api.problems import FilterRefused, api_view
from audit.api.tokens import Made, make_token, revoke_token, tokens
from audit.history.as_of import as_of
from audit.history.case import case
from audit.history.forms import AsOfForm, TimelineForm
from audit.history.searching import timeline
from audit.ledger.canonical import instant
from audit.ledger.reading import Position
from base.clock import real_now
from base.errors import Conflict, Invalid
from identity.actors import actor_of
from identity.http import PortalRequest, auditor_required


@api_view(Scope.EVENTS)
def events(request: HttpRequest) -> Mapping[str, Any]:
    """A page of the timeline, with the filters of the page."""
    form = _valid(TimelineForm(request.GET), request, "before")
    before = Position.parse(request.GET.get("before", ""))
    if before is None and request.GET.get("before"):
        raise FilterRefused({"before": ["This is no place in the trail. Follow the addresses in `next`."]})
    found = timeline(form.cleaned_data, before)
    following = _address(request, before=str(found.older)) if found.older else None
    return {"events": [event_document(row) for row in found.rows], "next": following}


@api_view(Scope.CASES)
def one_case(_request: HttpRequest, request_id: UUID) -> Mapping[str, Any]:
    """One request."""
    return case_document(case(request_id))


@api_view(Scope.AS_OF)
def access_as_of(request: HttpRequest) -> Mapping[str, Any]:
    """Who had access at a minute, with the filters of the page."""
    form = _valid(AsOfForm(request.GET), request, "after")
    try:
        after = UUID(request.GET["after"]) if request.GET.get("after") else None
    except ValueError:
        raise FilterRefused({"after": ["This is no grant's id. Follow the addresses in `next`."]}) from None
    found = as_of(form.cleaned_data, after)
    minute = f"{found.at:%Y-%m-%dT%H:%M}"  # so that "now" stays what it was
    return {
        "at": instant(found.at),
        "accesses": [access_document(each) for each in found.accesses],
        "next": _address(request, at=minute, after=str(found.after)) if found.after else None,
    }


@api_view(None)
def openapi(_request: HttpRequest) -> Mapping[str, Any]:
    """The description of all this."""
    return description()


def _valid[F: forms.Form](form: F, request: HttpRequest, *more: str) -> F:
    """The form, when it is valid and nothing else was sent: a filter that is misspelled must not find everything."""
    unknown = sorted(set(request.GET) - {*form.fields, *more})
    errors = {name: ["There is no such parameter."] for name in unknown}
    if not form.is_valid():
        errors |= {
            "" if name == "__all__" else name: [str(each) for each in found]
            for name, found in form.errors.items()
        }
    if errors:
        raise FilterRefused(errors)
    return form


def _address(request: HttpRequest, **place: str) -> str:
    return f"{request.path}?{urlencode(request.GET.dict() | place)}"


@auditor_required
@require_http_methods(["GET", "HEAD", "POST"])
def token_page(request: PortalRequest) -> HttpResponse:
    """The tokens that there are, and making one; its text is on the answer to that, and never again."""
    form = TokenForm(request.POST if request.method == "POST" else None)
    made: Made | None = None
    if request.method == "POST" and form.is_valid():
        made = _made(request, form)
    context = {
        "form": TokenForm() if made else form,
        "made": made,
        "tokens": tokens(),
        "now": real_now(),
        "sign_in_days": settings.API_SIGN_IN_WITHIN.days,
    }
    status = 422 if form.is_bound and made is None else 200
    return render(request, "audit/tokens.html", context, status=status)


def _made(request: PortalRequest, form: TokenForm) -> Made | None:
    try:
        return make_token(
            owner=request.user.person,
            name=form.cleaned_data["name"],
            scopes=form.cleaned_data["scopes"],
            lasts=form.lasts,
            actor=actor_of(request),
        )
    except (Invalid, Conflict) as error:
        form.add_error(error.field or None, error.sentence)
        return None


@auditor_required
@require_POST
def revoke(request: PortalRequest, token_id: int) -> HttpResponse:
    """Take one back."""
    revoke_token(token_id=token_id, actor=actor_of(request))
    messages.success(request, "The token is revoked. What sends it is turned away from now on.")
    return redirect("audit_tokens")
