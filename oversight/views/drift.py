"""Drift: what differs between the portal, PIM and AWS. Operators resolve it, auditors may read it."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.errors import Invalid
from identity.actors import actor_of
from identity.http import PortalRequest, operator_required, overseer_required
from oversight.drift.resolving import accept_finding, handle_finding
from oversight.forms import DriftFilter, ResolveForm
from oversight.selectors import drift_page, finding_or_missing


@overseer_required
@require_http_methods(["GET", "HEAD"])
def page(request: PortalRequest) -> HttpResponse:
    """The list, filtered as the address says."""
    form = DriftFilter(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    drift = drift_page(**wanted, number=request.GET.get("page", "1"))
    filtered = any(wanted.values())
    return render(request, "oversight/drift.html", {"form": form, "drift": drift, "filtered": filtered})


@overseer_required
@require_http_methods(["GET", "HEAD"])
def finding(request: PortalRequest, finding_id: UUID) -> HttpResponse:
    """One finding with its evidence."""
    row = finding_or_missing(finding_id)
    return render(request, "oversight/finding.html", {"row": row, "form": ResolveForm()})


@operator_required
@require_http_methods(["POST"])
def resolve(request: PortalRequest, finding_id: UUID) -> HttpResponse:
    """An operator's word on it."""
    form = ResolveForm(request.POST)
    if form.is_valid():
        try:
            _resolve(request, finding_id, form)
        except Invalid as error:
            form.add_error(error.field or None, error.sentence)
        else:
            messages.success(request, "The finding is resolved, and the audit trail says why.")
            return redirect("operations_drift")
    row = finding_or_missing(finding_id)
    return render(request, "oversight/finding.html", {"row": row, "form": form}, status=422)


def _resolve(request: PortalRequest, finding_id: UUID, form: ResolveForm) -> None:
    by, actor, reason = request.user.person, actor_of(request), form.cleaned_data["reason"]
    if form.cleaned_data["how"] == "accepted":
        accept_finding(finding_id=finding_id, by=by, reason=reason, until=form.instant(), actor=actor)
    else:
        handle_finding(finding_id=finding_id, by=by, reason=reason, actor=actor)
