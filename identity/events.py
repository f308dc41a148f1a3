"""What the ledger may hold about signing in and out. No token, code or claim is ever part of it."""

from __future__ import annotations

from audit.ledger.models import Outcome
from audit.ledger.registry import EventType, Field, Kind, register
from audit.ledger.rows import Watched

# Who somebody is once they are signed in, and what they may: neither comes or changes without an event.
LOGIN = Watched("identity_user", ("person_id", "app_roles", "is_active"))

ROLES_CHANGED = EventType(
    "signin.roles_changed",
    "{about} has these roles in the portal from now on, as Entra says: {roles}",
    {"roles": Field(), "before": Field(optional=True)},  # by name; none before at the first sign-in
    tells=(LOGIN,),
)
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
    register(ROLES_CHANGED, SUCCEEDED, REFUSED, ENDED, TOKEN_KEPT, TOKEN_FORGOTTEN)
