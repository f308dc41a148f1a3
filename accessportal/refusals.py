"""What somebody tried without the right to it is told in the trail: a form that was sent to what isn't theirs.

It is told by the answer, so that no page has to think of it: 403, where an action refused the person, and 404, which is
also what somebody gets who may not know whether the thing is there. Looking at a page changes nothing and is no attempt.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch

from audit.ledger.recorder import record_alone
from base.errors import DomainError, TooOften, noting_refusals
from identity.actors import actor_of
from identity.limiting import Act, spend
from identity.models import User

log = structlog.get_logger(__name__)
NOT_THEIRS = "There is no such thing, or it is not for this person."
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class RefusalMiddleware:
    """Records `action.refused`, in a transaction of its own, before the refusal is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in _SAFE:
            return self.get_response(request)
        with noting_refusals() as noted:
            response = self.get_response(request)
        match = request.resolver_match
        refused = [error for error in noted if error.status == response.status_code]
        if match is None or not isinstance(request.user, User):
            return response
        if response.status_code == 404 or (response.status_code == 403 and refused):
            _tell(request, request.user, match, refused[-1] if refused else None)
        return response


def _tell(request: HttpRequest, user: User, match: ResolverMatch, error: DomainError | None) -> None:
    """Each attempt is an event, as many as a person makes; what a script repeats beyond that is logged only."""
    try:
        spend(user.person, Act.BE_REFUSED)
    except TooOften:
        log.warning("refusal_not_recorded", person=user.person.object_id, action=match.view_name)
        return
    record_alone(
        "action.refused",
        actor=actor_of(request),
        fields={
            "action": match.view_name,
            "target": ", ".join(str(value) for value in match.kwargs.values()) or None,
            "code": error.code if error else "missing",
            # That there is such a thing isn't told to whoever may not know; the trail doesn't claim it either.
            "reason": error.sentence if error and error.status != 404 else NOT_THEIRS,
        },
    )
