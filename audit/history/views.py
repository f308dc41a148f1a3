"""The auditor's pages. To everybody else they don't exist."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from audit.history.activity import case_activity, own_activity
from audit.history.as_of import AsOf, as_of
from audit.history.case import case
from audit.history.changes import Changes, changes
from audit.history.forms import AsOfForm, ChangesForm, SaveForm, TimelineForm
from audit.history.proof import proven_event
from audit.history.saving import remove_search, save_search, saved_searches
from audit.history.searching import Timeline, timeline
from audit.ledger.reading import Position
from base.errors import Conflict, Invalid
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
    kept = _kept(form)
    context = {
        "form": form,
        "filtered": bool(kept),
        "kept": kept,
        "found": found,
        "narrower": _narrower(found, request, kept) if found else [],
        "newest": _address(request, kept) if before else "",
        "older": _address(request, {**kept, "before": str(found.older)}) if found and found.older else "",
        "saved": saved_searches(request.user.person, form.fields),
        "saving": SaveForm(),
    }
    return render(request, "audit/timeline.html", context, status=422 if found is None else 200)


def _kept(form: TimelineForm) -> dict[str, str]:
    """The filters that were sent: only what the form knows goes on into another address."""
    return {name: value for name in form.fields if (value := form.data.get(name, ""))}


def _narrower(
    found: Timeline, request: PortalRequest, kept: Mapping[str, str]
) -> list[tuple[str, list[tuple[str, str, int]]]]:
    """The facets as titles with addresses, words and numbers."""
    return [
        (
            facet.title,
            [
                (_address(request, {**kept, choice.field: choice.value}), choice.words, choice.number)
                for choice in facet.choices
            ],
        )
        for facet in found.facets
    ]


@auditor_required
@require_http_methods(["POST"])
def save(request: PortalRequest) -> HttpResponse:
    """Keep a search under a name."""
    form, saving = TimelineForm(request.POST), SaveForm(request.POST)
    kept = _kept(form)
    if form.is_valid() and saving.is_valid():
        try:
            save_search(
                owner=request.user.person,
                name=saving.cleaned_data["name"],
                kept=kept,
                shared=saving.cleaned_data["shared"],
                actor=actor_of(request),
            )
        except (Invalid, Conflict) as error:
            saving.add_error(error.field or None, error.sentence)
        else:
            messages.success(request, "The search is kept.")
            return redirect(f"{reverse('audit_timeline')}?{urlencode(kept)}")
    context = {
        "form": form,
        "filtered": True,
        "kept": kept,
        "saved": saved_searches(request.user.person, form.fields),
        "saving": saving,
    }
    return render(request, "audit/timeline.html", context, status=422)


@auditor_required
@require_http_methods(["POST"])
def remove(request: PortalRequest, search_id: UUID) -> HttpResponse:
    """Remove a search of one's own."""
    remove_search(search_id=search_id, owner=request.user.person, actor=actor_of(request))
    messages.success(request, "The search is removed.")
    return redirect("audit_timeline")


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


@auditor_required
@require_http_methods(["GET", "HEAD"])
def access_changes(request: PortalRequest) -> HttpResponse:
    """What changed between the two minutes that the address names."""
    spend(request.user.person, Act.SEARCH)
    form = ChangesForm(request.GET)
    found = _changes(form, request.GET.get("page", "1")) if form.is_valid() else None
    kept = {name: value for name in form.fields if (value := request.GET.get(name, ""))}
    minutes = {name: f"{getattr(found, name):%Y-%m-%dT%H:%M}" for name in ("since", "until") if found}
    context = {
        "form": form,
        "found": found,
        "filtered": bool(kept.keys() - {"since", "until"}),
        "minutes": minutes,  # so that "now" stays what it was from page to page
        "lasting": _address(request, {**kept, **minutes}),
    }
    return render(request, "audit/changes.html", context, status=422 if found is None else 200)


def _changes(form: ChangesForm, number: str) -> Changes | None:
    """The page that the form asks for, or None with the reason on the form."""
    try:
        return changes(form.cleaned_data, number)
    except Invalid as error:
        form.add_error(error.field or None, error.sentence)
        return None


def _address(request: PortalRequest, parameters: Mapping[str, str]) -> str:
    return f"{request.path}?{urlencode(parameters)}"


@auditor_required
@require_http_methods(["GET", "HEAD"])
def event_proof(request: PortalRequest, event_id: int) -> HttpResponse:
    """One event, and how it leads to its seal."""
    found = proven_event(event_id)
    return render(request, "audit/event.html", {"event": found, "title": f"Event {event_id}"})


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
