"""The request of a signed-in page, and who may open one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate

from django.http import Http404, HttpRequest, HttpResponseBase
from django_htmx.middleware import HtmxDetails

from identity.models import User


class PortalRequest(HttpRequest):
    """A request of somebody signed in, which LoginRequiredMiddleware has made sure of."""

    user: User
    htmx: HtmxDetails
    # How much waits for the user's decision, where a view has counted it anyway: the navigation doesn't count again.
    waiting_count: int


type View[**P] = Callable[Concatenate[PortalRequest, P], HttpResponseBase]


def auditor_required[**P](view: View[P]) -> View[P]:
    """For auditors only; to everybody else the page doesn't exist."""
    return _only_if(view, lambda user: user.is_auditor)


def operator_required[**P](view: View[P]) -> View[P]:
    """For operators only; to everybody else the page doesn't exist."""
    return _only_if(view, lambda user: user.is_operator)


def overseer_required[**P](view: View[P]) -> View[P]:
    """For operators and auditors; to everybody else the page doesn't exist."""
    return _only_if(view, lambda user: user.is_operator or user.is_auditor)


def not_activity[**P](view: View[P]) -> View[P]:
    """For what a page fetches by itself: it doesn't keep an idle session alive."""
    view.is_not_activity = True  # type: ignore[attr-defined]  # read by SessionGuardMiddleware
    return view


def _only_if[**P](view: View[P], may: Callable[[User], bool]) -> View[P]:
    @wraps(view)
    def guarded(request: PortalRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not may(request.user):
            raise Http404
        return view(request, *args, **kwargs)

    return guarded
