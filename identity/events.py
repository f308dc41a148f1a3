"""What the ledger may hold about signing in and out. No token, code or claim is ever part of it."""

from __future__ import annotations

from audit.ledger.models import Outcome
from audit.ledger.registry import EventType, Field, Kind, register

SUCCEEDED = EventType(
    "signin.succeeded",
    "{actor} signed in",
    {"app_roles": Field(Kind.JSON), "first_time": Field(Kind.FLAG)},
)
REFUSED = EventType(
    "signin.refused",
    "A sign-in was refused: {reason}",
    {
        "code": Field(),  # of identity.signin.problems
        "reason": Field(),
        "entra_error": Field(optional=True),  # AADSTS number, digits only
        "tenant": Field(Kind.ID, optional=True),
        "person": Field(Kind.ID, optional=True),  # the object id that the verified token named
    },
    outcome=Outcome.REFUSED,
)
TOKEN_KEPT = EventType(
    "signin.token_kept",
    "{actor}'s permission to activate in their name was sealed for the worker",
    {"key": Field(), "until": Field(Kind.INSTANT)},
)
TOKEN_FORGOTTEN = EventType(
    "signin.token_forgotten",
    "{about}'s permission to activate in their name was deleted: {reason}",
    {"reason": Field()},
)
ENDED = EventType("signin.ended", "{about}'s session ended: {reason}", {"reason": Field()})


def register_all() -> None:
    """Declare this room's event types; called once when Django starts."""
    register(SUCCEEDED, REFUSED, ENDED, TOKEN_KEPT, TOKEN_FORGOTTEN)
