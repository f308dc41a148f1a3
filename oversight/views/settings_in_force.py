"""What this installation was told: the settings that decide about access, without any secret."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from identity.http import PortalRequest, operator_required
from oversight.settings_in_force import settings_in_force


@operator_required
@require_http_methods(["GET", "HEAD"])
def page(request: PortalRequest) -> HttpResponse:
    """Name, value and meaning of each."""
    return render(request, "oversight/settings.html", {"groups": settings_in_force()})
