"""What a person chooses for their own browser."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from identity.http import PortalRequest
from identity.models import User


@require_http_methods(["POST"])
def keyboard(request: PortalRequest) -> HttpResponse:
    """Switch single-key shortcuts on or off (WCAG 2.1.4). It concerns nobody else, and the trail doesn't hold it."""
    on = request.POST.get("shortcuts") == "on"
    User.objects.filter(pk=request.user.pk).update(shortcuts=on)
    messages.success(
        request,
        "Single-key shortcuts are on. Press ? on any page to see them."
        if on
        else "Single-key shortcuts are off. They can be switched on again here.",
    )
    return redirect("preferences")
