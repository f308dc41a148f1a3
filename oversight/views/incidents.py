"""Incidents: freezing a person, an AWS account or a permission set, and lifting that. Auditors may read."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.errors import DomainError, Missing
from identity.actors import actor_of
from identity.http import PortalRequest, operator_required, overseer_required
from identity.limiting import Act, spend
from oversight.forms import SubjectSearch
from oversight.incidents import candidates, incident_or_missing, incidents_page, preview
from requests_app.actions.freezing import freeze, lift, lift_refusal, subject_of
from requests_app.forms import ReasonForm


@overseer_required
@require_http_methods(["GET", "HEAD"])
def page(request: PortalRequest) -> HttpResponse:
    """What is frozen now, and what was."""
    return render(
        request, "oversight/incidents.html", {"incidents": incidents_page(request.GET.get("page", "1"))}
    )


@operator_required
@require_http_methods(["GET", "HEAD"])
def new(request: PortalRequest) -> HttpResponse:
    """Find who or what is to be frozen."""
    form = SubjectSearch(request.GET)
    query = form.cleaned_data["q"] if form.is_valid() else ""
    if query:
        spend(request.user.person, Act.SEARCH)
    return render(request, "oversight/incident_new.html", {"query": query, "found": candidates(query)})


@operator_required
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: PortalRequest) -> HttpResponse:
    """What would end, and why it has to."""
    row = subject_of(request.GET.get("kind", ""), request.GET.get("subject", ""))
    form = ReasonForm(
        request.POST if request.method == "POST" else None,
        read_by="Whoever loses access reads it, and it stays in the history.",
    )
    status = 200
    if form.is_bound and form.is_valid():
        try:
            made = freeze(
                kind=row.kind,
                subject=row.subject,
                person_id=request.user.person.pk,
                reason=form.cleaned_data["reason"],
                actor=actor_of(request),
            )
        except Missing:
            raise
        except DomainError as error:
            form.refuse(error)
            status = error.status
        else:
            messages.success(request, "Frozen from now on. Workers are ending what is open there.")
            return redirect("operations_incident", made)
    context = {"row": row, "form": form, "preview": preview(row)}
    return render(request, "oversight/incident_confirm.html", context, status=status)


@overseer_required
@require_http_methods(["GET", "HEAD"])
def incident(request: PortalRequest, freeze_id: UUID) -> HttpResponse:
    """One incident, how far its ending is, and lifting it."""
    return _show(request, freeze_id, _lift_form())


@operator_required
@require_http_methods(["POST"])
def lift_it(request: PortalRequest, freeze_id: UUID) -> HttpResponse:
    """A second operator's word that it is over."""
    form, who, actor = _lift_form(request), request.user.person.pk, actor_of(request)
    if form.carries_out(
        lambda said: lift(freeze_id=freeze_id, person_id=who, reason=said["reason"], actor=actor)
    ):
        messages.success(request, "Lifted. Nothing comes back by itself: whoever needs access asks again.")
        return redirect("operations_incident", freeze_id)
    return _show(request, freeze_id, form, status=form.status)


def _lift_form(request: PortalRequest | None = None) -> ReasonForm:
    return ReasonForm(request.POST if request else None, read_by="It stays in the history.")


def _show(request: PortalRequest, freeze_id: UUID, form: ReasonForm, *, status: int = 200) -> HttpResponse:
    shown = incident_or_missing(freeze_id)
    refusal = lift_refusal(shown.freeze, request.user.person) if shown.holds else ""
    context = {"incident": shown, "row": shown.freeze, "form": form, "refusal": refusal}
    return render(request, "oversight/incident.html", context, status=status)
