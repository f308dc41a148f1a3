"""Health: whether every hop of the way works. Operators act on it, auditors may read it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.errors import Invalid
from identity.actors import actor_of
from identity.http import PortalRequest, operator_required, overseer_required
from oversight.expiries import record_scim_token_end
from oversight.forms import TokenEndForm
from oversight.health import health
from oversight.selectors import alerts_page
from requests_app.cutting.wanting import fast_remove_now, is_on


@overseer_required
@require_http_methods(["GET", "HEAD"])
def page(request: PortalRequest) -> HttpResponse:
    """Each hop with its state and last success."""
    return render(request, "oversight/health.html", _context(TokenEndForm()))


@operator_required
@require_http_methods(["POST"])
def record_end(request: PortalRequest) -> HttpResponse:
    """Keep when the SCIM token ends."""
    form = TokenEndForm(request.POST)
    if form.is_valid():
        try:
            day = form.cleaned_data["day"]
            record_scim_token_end(day=day, by=request.user.person, actor=actor_of(request))
        except Invalid as error:
            form.add_error(error.field, error.sentence)
        else:
            messages.success(request, "Kept. Operators are warned thirty days ahead.")
            return redirect("operations")
    return render(request, "oversight/health.html", _context(form), status=422)


@operator_required
@require_http_methods(["GET", "HEAD"])
def alerts(request: PortalRequest) -> HttpResponse:
    """What stands, and what stood lately."""
    return render(request, "oversight/alerts.html", {"alerts": alerts_page()})


@operator_required
@require_http_methods(["POST"])
def remove_from_aws(request: PortalRequest, grant_id: UUID) -> HttpResponse:
    """Ask the remover to take one membership that is over out of AWS, past a provisioning job that doesn't."""
    fast_remove_now(grant_id=grant_id, actor=actor_of(request))
    messages.success(request, "The remover takes it out of AWS once Entra has been read again.")
    return redirect("operations")


def _context(form: TokenEndForm) -> dict[str, Any]:
    return {"health": health(), "form": form, "fast_removal": is_on()}
