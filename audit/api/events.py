"""What the ledger holds about tokens: who made one for what, who took it back, and each day's first use."""

from __future__ import annotations

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


def register_all() -> None:
    """Declare this app's event types."""
    register(CREATED, REVOKED, USED)
