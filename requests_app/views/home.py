"""The start page: what one has, what waits for one, what one waits for."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from identity.http import PortalRequest, not_activity
from requests_app import selectors
from requests_app.start_page import HomePage, home_page


@require_http_methods(["GET", "HEAD"])
def home(request: PortalRequest) -> HttpResponse:
    """The start page."""
    return render(request, "home/page.html", {"home": _read(request)})


@not_activity
@require_http_methods(["GET", "HEAD"])
def live(request: PortalRequest) -> HttpResponse:
    """The start page's content, or 204 while it is what the browser shows already."""
    page = _read(request)
    if request.GET.get("seen") == page.seen:
        return HttpResponse(status=204)
    return render(request, "home/_live.html", {"home": page, "fragment": True})


def _read(request: PortalRequest) -> HomePage:
    read = selectors.home(request.user.person)
    request.waiting_count = read.deciding_count
    return home_page(read)
