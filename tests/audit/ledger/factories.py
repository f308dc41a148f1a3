"""Events of these tests' own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID, uuid4

from audit.ledger.canonical import Value
from audit.ledger.models import Outcome
from audit.ledger.recorder import Actor, Subject, record, record_alone
from audit.ledger.registry import EventType, Field, Kind, register

ASKED = EventType(
    "trial.asked",
    "{actor} asked for {group} for {duration}: {justification}",
    {"group": Field(), "duration": Field(Kind.DURATION), "mail": Field(personal=True, optional=True)},
    words=("justification",),
)
NOTED = EventType("trial.noted", "{actor} noted {note}", {"note": Field(optional=True)})
REFUSED = EventType("trial.refused", "{actor} was refused", outcome=Outcome.REFUSED)
register(ASKED, NOTED, REFUSED)

ADA = Actor.person("00000000-0000-4000-8000-00000000ada1", "Ada Lovelace", ip="192.0.2.1", session="cookie")


def ask(
    *,
    actor: Actor = ADA,
    subject: Subject | None = None,
    words: str = "Disk is full",
    request_id: UUID | None = None,
    about: Actor | None = None,
    fields: Mapping[str, Value] | None = None,
) -> int:
    """An event with everything in it, in the caller's transaction."""
    return record(
        "trial.asked",
        actor=actor,
        fields=fields or {"group": "Storage", "duration": timedelta(hours=1), "mail": "ada@example.org"},
        words={"justification": words},
        subject=subject or Subject("trial", uuid4(), 1),
        about_oid=(about or actor).object_id,
        about_name=(about or actor).name,
        request_id=request_id,
    )


def note(text: str = "something", *, actor: Actor = ADA) -> int:
    """An event that stands alone."""
    return record_alone("trial.noted", actor=actor, fields={"note": text})
