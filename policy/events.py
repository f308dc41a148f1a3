"""What the ledger holds about rules: each new version with its whole wording."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register

RULE_VERSIONED = EventType(
    "rule.versioned",
    "The rule “{name}” got version {number}",
    {
        "name": Field(),
        "number": Field(Kind.NUMBER),
        "document": Field(Kind.JSON),
        "document_hash": Field(),
        "written_by": Field(),
    },
)
RULE_RETIRED = EventType(
    "rule.retired",
    "The rule “{name}” was retired: it judges no new request",
    {"name": Field(), "written_by": Field()},
)


def register_all() -> None:
    """Declare this room's event types; called once when Django starts."""
    register(RULE_VERSIONED, RULE_RETIRED)
