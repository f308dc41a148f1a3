"""The operator's page of the narrow path: who waits, in which order, and what was used lately."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from identity.actors import actor_of
from identity.http import PortalRequest, not_activity, operator_required
from requests_app.actions.pathing import move_to_front
from requests_app.queue_page import queue_page


@operator_required
@require_http_methods(["GET", "HEAD"])
def page(request: PortalRequest) -> HttpResponse:
    """The queue as it is now."""
    return render(request, "oversight/queue.html", {"queue": queue_page()})


@not_activity
@operator_required
@require_http_methods(["GET", "HEAD"])
def live(request: PortalRequest) -> HttpResponse:
    """The part that changes by itself, or 204 while the browser shows it already."""
    shown = queue_page()
    if request.GET.get("seen") == shown.seen:
        return HttpResponse(status=204)
    return render(request, "oversight/_queue.html", {"queue": shown})


@operator_required
@require_http_methods(["POST"])
def front(request: PortalRequest, ticket_id: int) -> HttpResponse:
    """Let one go first."""
    move_to_front(ticket_id=ticket_id, actor=actor_of(request))
    messages.success(request, "It goes next, after removals. The audit trail names you.")
    return redirect("operations_queue")
