"""What the ledger holds about watching: every finding's life, and what people did about it."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register
from audit.ledger.rows import Watched

# Of the worker's own certificate nobody says anything: it is read, every time anew.
EXPIRY = Watched(
    "oversight_expiry",
    ("name", "ends_at", "recorded_at", "recorded_by_id"),
    unless="{row}.name = 'worker-certificate'",
)

_FINDING = {
    "finding_id": Field(Kind.ID),
    "kind": Field(),
    "finding": Field(),
    "group_name": Field(),
}
_SEEN = {"first_seen_at": Field(Kind.INSTANT)}

DRIFT_FOUND = EventType(
    "drift.found",
    "Drift was found for {about} in {group_name}: {finding}",
    {**_FINDING, "evidence": Field(Kind.JSON)},
)
DRIFT_GONE = EventType(
    "drift.gone",
    "Drift of {about} in {group_name} was gone at a later look: {finding}",
    {**_FINDING, **_SEEN},
)
DRIFT_HANDLED = EventType(
    "drift.handled",
    "{actor} marked drift of {about} in {group_name} as handled: {finding}",
    {**_FINDING, **_SEEN},
    words=("reason",),
)
DRIFT_ACCEPTED = EventType(
    "drift.accepted",
    "{actor} accepted drift of {about} in {group_name} as a known exception until {until}: {finding}",
    {**_FINDING, **_SEEN, "until": Field(Kind.INSTANT)},
    words=("reason",),
)
DRIFT_REOPENED = EventType(
    "drift.reopened",
    "Drift of {about} in {group_name} is open again, because its exception is over: {finding}",
    {**_FINDING, **_SEEN},
)


END_RECORDED = EventType(
    "operations.end_recorded",
    "{actor} recorded that {what} ends at {ends_at}",
    {"what": Field(), "ends_at": Field(Kind.INSTANT)},
    tells=(EXPIRY,),
)


CIRCUIT_OPENED = EventType(
    "operations.circuit_opened",
    "{cloud} did not answer several times in a row ({code}), so calls to it are postponed",
    {"cloud": Field(), "code": Field()},
)
CIRCUIT_CLOSED = EventType(
    "operations.circuit_closed",
    "{cloud} answers again, and calls to it are made as usual",
    {"cloud": Field()},
)
RULE_OUT_OF_REACH = EventType(
    "operations.rule_out_of_reach",
    "The rule “{name}” lacks people to decide by it, or to review by it: {reason}",
    {"name": Field(), "reason": Field()},
)
RULE_IN_REACH = EventType(
    "operations.rule_in_reach",
    "The rule “{name}” lacks nobody any more",
    {"name": Field()},
)


def register_all() -> None:
    """Declare this room's event types; called once when Django starts."""
    register(DRIFT_FOUND, DRIFT_GONE, DRIFT_HANDLED, DRIFT_ACCEPTED, DRIFT_REOPENED, END_RECORDED)
    register(CIRCUIT_OPENED, CIRCUIT_CLOSED, RULE_OUT_OF_REACH, RULE_IN_REACH)
