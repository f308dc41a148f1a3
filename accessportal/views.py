"""Pages that belong to no room: errors."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import requires_csrf_token


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """The same page for what doesn't exist and for what this person may not see."""
    return render(request, "errors/404.html", status=404)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return render(request, "errors/403.html", status=403)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that can't be read; not one whose session couldn't be kept, which Django takes for the same.

    That happens after the page has done its work, when the database goes away just then: it may be done.
    """
    if isinstance(exception, SessionInterrupted):
        return server_error(request)
    return render(request, "errors/400.html", status=400)


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Rendered without the request: whatever broke may be in a context processor."""
    return render(None, "errors/500.html", status=500)


@login_not_required
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """A form came without its token, or with an old one. `reason` is for developers and isn't shown."""
    return render(request, "errors/csrf.html", status=403)
