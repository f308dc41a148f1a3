"""/metrics, for whoever has the token. Without a token configured the address doesn't exist."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_http_methods
from prometheus_client import CONTENT_TYPE_LATEST

from oversight.metrics import metrics_text


@login_not_required
@require_http_methods(["GET", "HEAD"])
def page(request: HttpRequest) -> HttpResponse:
    """Prometheus's text format. Anything but the token gets the answer that an unknown address gets."""
    token = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if not token or not constant_time_compare(given, token):
        raise Http404
    return HttpResponse(
        metrics_text(), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"}
    )
