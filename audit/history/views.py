"""The auditor's pages. To everybody else they don't exist."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from audit.history.activity import case_activity, own_activity
from audit.history.as_of import AsOf, as_of
from audit.history.case import case
from audit.history.forms import AsOfForm, TimelineForm
from audit.history.searching import Timeline, timeline
from audit.ledger.reading import Position
from base.errors import Invalid
from identity.actors import actor_of
from identity.http import PortalRequest, auditor_required
from identity.limiting import Act, spend
from requests_app.activity.viewing import note_view


@auditor_required
@require_http_methods(["GET", "HEAD"])
def history(request: PortalRequest) -> HttpResponse:
    """Every step of every request, newest first, filtered as the address says."""
    form = TimelineForm(request.GET)
    if any(name in request.GET for name in form.fields):
        spend(request.user.person, Act.SEARCH)
    before = Position.parse(request.GET.get("before", ""))
    found = _search(form, before) if form.is_valid() else None
    # Only what the form knows goes on into the next address.
    kept = {name: value for name in form.fields if (value := request.GET.get(name, ""))}
    context = {
        "form": form,
        "filtered": bool(kept),
        "kept": kept,
        "found": found,
        "newest": _address(request, kept) if before else "",
        "older": _address(request, {**kept, "before": str(found.older)}) if found and found.older else "",
    }
    return render(request, "audit/timeline.html", context, status=422 if found is None else 200)


def _search(form: TimelineForm, before: Position | None) -> Timeline | None:
    """The page that the form asks for, or None with the reason on the form."""
    try:
        return timeline(form.cleaned_data, before)
    except Invalid as error:
        form.add_error(error.field or None, error.sentence)
        return None


@auditor_required
@require_http_methods(["GET", "HEAD"])
def access_as_of(request: PortalRequest) -> HttpResponse:
    """Who had access to what at the minute that the address names, or now."""
    form = AsOfForm(request.GET)
    spend(request.user.person, Act.SEARCH)
    found = _as_of(form, request.GET.get("after", "")) if form.is_valid() else None
    kept = {name: value for name in form.fields if (value := request.GET.get(name, ""))}
    minute = {"at": f"{found.at:%Y-%m-%dT%H:%M}"} if found else {}  # so that "now" stays what it was
    context = {
        "form": form,
        "found": found,
        "filtered": bool(kept.keys() - {"at"}),
        "first": _address(request, kept) if "after" in request.GET else "",
        "next": _address(request, {**kept, **minute, "after": str(found.after)})
        if found and found.after
        else "",
        "lasting": _address(request, {**kept, **minute}),
    }
    return render(request, "audit/as_of.html", context, status=422 if found is None else 200)


def _as_of(form: AsOfForm, after: str) -> AsOf | None:
    """The page that the form asks for, or None with the reason on the form. What isn't a grant's id is ignored."""
    try:
        behind = UUID(after) if after else None
    except ValueError:
        behind = None
    try:
        return as_of(form.cleaned_data, behind)
    except Invalid as error:
        form.add_error(error.field or None, error.sentence)
        return None


def _address(request: PortalRequest, parameters: Mapping[str, str]) -> str:
    return f"{request.path}?{urlencode(parameters)}"


@auditor_required
@require_http_methods(["GET", "HEAD"])
def request_case(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """One request from the ask to the end."""
    return render(request, "audit/case.html", {"case": case(request_id)})


@auditor_required
@require_http_methods(["GET", "HEAD"])
def request_activity(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """What was done with one request's access; that somebody looks is recorded before anything is shown."""
    found = case_activity(request_id)
    note_view(found.request, viewer=request.user.person, actor=actor_of(request))
    return render(request, "audit/activity.html", {"case": found})


@require_http_methods(["GET", "HEAD"])
def request_own_activity(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """What somebody did with the access of their own request: no less, and no more, than an auditor sees of it."""
    return render(request, "audit/activity.html", {"case": own_activity(request_id, request.user.person)})
