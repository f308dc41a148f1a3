"""The star on a PIM group."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from base.errors import Conflict
from identity.http import PortalRequest
from identity.signin.views import own_path
from requests_app.favourites.marking import star, unstar


@require_http_methods(["POST"])
def favourite(request: PortalRequest, group_id: UUID) -> HttpResponse:
    """Set it or take it away, then back to the page that it was on, with the focus where it was."""
    act = star if request.POST.get("star") == "on" else unstar
    try:
        act(person=request.user.person, group_object_id=str(group_id))
    except Conflict as error:
        messages.warning(request, error.sentence)
    return redirect(f"{own_path(request.POST.get('back', ''))}#star-{group_id}")
