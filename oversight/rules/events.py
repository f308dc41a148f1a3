"""What the ledger holds about a change of rules: every step of its life. Each new wording is `rule.versioned` beside it."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register

_CHANGE = {"change_id": Field(Kind.ID), "rules": Field()}
_DIGEST = Field(optional=True)  # of all the rules that the change has: `told.rules_digest`

PROPOSED = EventType(
    "rules.proposed",
    "{actor} proposed to change the rules: {rules}",
    # The wording of each rule that differs from the one in force, null for one that is retired.
    {
        **_CHANGE,
        "rules_digest": _DIGEST,
        "wording": Field(Kind.JSON),
        "base": Field(Kind.JSON),
        "proposed_by": Field(),
        "restores": Field(Kind.ID, optional=True),
    },
    words=("reason",),
)
ACCEPTED = EventType(
    "rules.accepted",
    "{actor} accepted, as second operator, a change of the rules: {rules}",
    _CHANGE,
    words=("reason",),
)
REJECTED = EventType(
    "rules.rejected", "{actor} rejected a change of the rules: {rules}", _CHANGE, words=("reason",)
)
WITHDRAWN = EventType(
    "rules.withdrawn", "{actor} withdrew a change of the rules: {rules}", _CHANGE, words=("reason",)
)
APPLIED = EventType("rules.applied", "A change of the rules was applied: {rules}", _CHANGE)
NOT_APPLIED = EventType(
    "rules.not_applied",
    "A change of the rules was not applied ({rules}): {problem}",
    {**_CHANGE, "problem": Field()},
)
LOADED = EventType(
    "rules.loaded",
    "The very first rules were loaded by a command, without a second operator: {rules}",
    {**_CHANGE, "rules_digest": _DIGEST},
    words=("reason",),
)


def register_all() -> None:
    """Called once, when the application starts."""
    register(PROPOSED, ACCEPTED, REJECTED, WITHDRAWN, APPLIED, NOT_APPLIED, LOADED)
