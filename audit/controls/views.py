"""The controls page, for auditors. To everybody else it doesn't exist."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from audit.controls.figures import ControlsPage, controls_page
from audit.controls.periods import PeriodForm
from base.errors import Invalid
from identity.http import PortalRequest, auditor_required
from identity.limiting import Act, spend


@auditor_required
@require_http_methods(["GET", "HEAD"])
def page(request: PortalRequest) -> HttpResponse:
    """The figures of the period that the address names, or of the last thirty days."""
    spend(request.user.person, Act.SEARCH)
    form = PeriodForm(request.GET)
    found = _read(form) if form.is_valid() else None
    context = {"form": form, "found": found}
    return render(request, "audit/controls.html", context, status=422 if found is None else 200)


def _read(form: PeriodForm) -> ControlsPage | None:
    """The page, or None with the reason on the form."""
    try:
        return controls_page(form.cleaned_data["period"])
    except Invalid as error:
        form.add_error(None, error.sentence)
        return None
