"""Health: whether every hop of the way works. Operators act on it, auditors may read it."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from identity.http import PortalRequest, overseer_required
from oversight.health import health


@overseer_required
@require_http_methods(["GET", "HEAD"])
def page(request: PortalRequest) -> HttpResponse:
    """Each hop with its state and last success."""
    return render(request, "oversight/health.html", {"health": health()})
