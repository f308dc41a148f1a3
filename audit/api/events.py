"""What the ledger holds about tokens: who made and took back one, each day's first use, how much it read, and refusals."""

from __future__ import annotations

from audit.ledger.models import Outcome
from audit.ledger.registry import EventType, Field, Kind, register
from audit.ledger.rows import Watched

# How often it is used is counted, and nobody's word.
TOKEN = Watched(
    "audit_api_apitoken",
    ("name", "digest", "owner_id", "scopes", "created_at", "expires_at", "revoked_at"),
)

_TOKEN = {"token": Field(), "token_id": Field(Kind.NUMBER)}

CREATED = EventType(
    "api.token_created",
    "{actor} made the token “{token}” to read the audit trail until {expires_at}",
    {**_TOKEN, "scopes": Field(Kind.JSON), "expires_at": Field(Kind.INSTANT)},
    tells=(TOKEN,),
)
REVOKED = EventType(
    "api.token_revoked",
    "{actor} revoked the token “{token}” of {about}",
    _TOKEN,
    tells=(TOKEN,),
)
USED = EventType(
    "api.token_used", "The token “{token}” of {about} was used, for the first time on that day", _TOKEN
)
REFUSED = EventType(
    "api.refused",
    "The token “{token}” of {about} was refused: {reason}",
    {
        **_TOKEN,
        "scope": Field(optional=True),
        "reason": Field(),
    },  # what it was shown for; absent: the description
    outcome=Outcome.REFUSED,
)
READ = EventType(
    "api.events_read",
    "The token “{token}” of {about} has read {events} events on that day so far",
    {**_TOKEN, "events": Field(Kind.NUMBER)},
    words=("filter",),
)


def register_all() -> None:
    """Declare this app's event types."""
    register(CREATED, REVOKED, USED, READ, REFUSED)
