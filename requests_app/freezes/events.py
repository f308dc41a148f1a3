"""What the ledger holds about an incident: who froze what and why, what a worker ended, who lifted it and why."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register

_WHAT = {"kind": Field(), "subject": Field(), "what": Field(personal=True)}
_DONE = {"grants": Field(Kind.NUMBER), "requests": Field(Kind.NUMBER)}

FROZEN = EventType(
    "incident.frozen",
    "{actor} froze {what} in an incident; {grants} grants of {people} people and {requests} requests were open there",
    {**_WHAT, **_DONE, "people": Field(Kind.NUMBER)},
    words=("reason",),
)
CARRIED = EventType(
    "incident.carried",
    "What was open under the freeze of {what} is ended: {grants} grants are on their way out, {requests} requests closed",
    {**_WHAT, **_DONE},
)
LIFTED = EventType(
    "incident.lifted",
    "{actor} lifted the freeze of {what}; {grants} grants were ended and {requests} requests closed under it",
    {**_WHAT, **_DONE},
    words=("reason",),
)


def register_all() -> None:
    """Called once, when the application starts."""
    register(FROZEN, CARRIED, LIFTED)
