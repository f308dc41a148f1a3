"""The auditor's pages. To everybody else they don't exist."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from audit.history.case import case
from audit.history.forms import TimelineForm
from audit.history.searching import Timeline, timeline
from audit.ledger.reading import Position
from base.errors import Invalid
from identity.http import PortalRequest, auditor_required


@auditor_required
@require_http_methods(["GET", "HEAD"])
def history(request: PortalRequest) -> HttpResponse:
    """Every step of every request, newest first, filtered as the address says."""
    form = TimelineForm(request.GET)
    before = Position.parse(request.GET.get("before", ""))
    found = _search(form, before) if form.is_valid() else None
    # Only what the form knows goes on into the next address.
    kept = {name: value for name in form.fields if (value := request.GET.get(name, ""))}
    context = {
        "form": form,
        "filtered": bool(kept),
        "kept": kept,
        "found": found,
        "newest": f"{request.path}?{urlencode(kept)}" if before else "",
        "older": f"{request.path}?{urlencode({**kept, 'before': str(found.older)})}"
        if found and found.older
        else "",
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
def request_case(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """One request from the ask to the end."""
    return render(request, "audit/case.html", {"case": case(request_id)})
