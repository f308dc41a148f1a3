"""A mail's HTML part as a page of its own, in which nothing runs and nothing is loaded."""

from __future__ import annotations

from django.http import HttpResponse

_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def inert_page(html: str) -> HttpResponse:
    """The answer with that page."""
    return HttpResponse(html, headers={"Content-Security-Policy": _POLICY})
