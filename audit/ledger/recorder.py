"""Writing events: the only door into the ledger.

`record` belongs to a change and shares its transaction: both happen or neither. `record_alone` is for
what changes nothing of ours (a refusal, a sign-in, a write to a cloud, an export) and commits by itself.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from django.db import connection
from django_subatomic.db import transaction, transaction_required

from audit.ledger.canonical import (
    FORMAT,
    JSON,
    Value,
    canonical,
    check_fields,
    clean,
    clean_deep,
    commitment,
    instant,
    written,
)
from audit.ledger.models import ActorKind
from audit.ledger.registry import COMMON_PLACEHOLDERS, EventType, LedgerError, event_type
from audit.ledger.rows import Row
from base.clock import business_now

SALT_BYTES = 16
_KINDS = frozenset(ActorKind.values)
_NONE: Mapping[str, Value] = {}
_NO_WORDS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: a person (with object id), a worker, the system itself, or nobody signed in.

    `session` is the session's key; only a hash of it is kept.
    """

    kind: str
    object_id: str = ""
    name: str = ""
    ip: str = ""
    session: str = ""

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise LedgerError(f"{self.kind!r} is no kind of actor; there are {ActorKind.values}.")
        if (self.kind == ActorKind.PERSON) != bool(self.object_id):
            raise LedgerError("A person acts with an object id, and nobody else has one.")

    @classmethod
    def person(cls, object_id: str, name: str, *, ip: str = "", session: str = "") -> Self:
        """Somebody of the directory."""
        return cls(ActorKind.PERSON, object_id, name, ip, session)

    @classmethod
    def worker(cls) -> Self:
        """The worker that carries out what was decided."""
        return cls(ActorKind.WORKER)

    @classmethod
    def system(cls) -> Self:
        """The portal itself: a clock ran out, a command was run."""
        return cls(ActorKind.SYSTEM)

    @classmethod
    def anonymous(cls, *, ip: str = "", session: str = "") -> Self:
        """Nobody signed in."""
        return cls(ActorKind.ANONYMOUS, ip=ip, session=session)


@dataclass(frozen=True, slots=True)
class Subject:
    """The guarded thing that this event brings to `version`: one event for each."""

    kind: str
    id: UUID
    version: int


def record(
    event: str,
    *,
    actor: Actor,
    fields: Mapping[str, Value] = _NONE,
    words: Mapping[str, str] = _NO_WORDS,
    subject: Subject | None = None,
    rows: Sequence[Row] = (),
    about_oid: str = "",
    about_name: str = "",
    group_oid: str = "",
    request_id: UUID | None = None,
    grant_id: UUID | None = None,
) -> int:
    """Write one event in the caller's transaction and give its id.

    `about_oid` is the person whom it concerns, `words` what a person wrote (kept beside the ledger), `rows` how watched
    rows stand after it: change them first, so that whoever waits for them speaks later too.
    Raises LedgerError when the event isn't as its type declares, and subatomic's error outside a
    transaction; IntegrityError when `subject` already came to that version.
    """
    with transaction_required():
        references = _references(about_oid, group_oid, request_id, grant_id)
        texts = _texts(words, actor, about_name)
        return _write(event_type(event), actor, fields, texts, references, subject, rows)


def record_alone(
    event: str,
    *,
    actor: Actor,
    fields: Mapping[str, Value] = _NONE,
    words: Mapping[str, str] = _NO_WORDS,
    about_oid: str = "",
    about_name: str = "",
    group_oid: str = "",
    request_id: UUID | None = None,
    grant_id: UUID | None = None,
) -> int:
    """Write one event and commit it, whatever becomes of the caller; gives its id.

    Raises RuntimeError inside a transaction, which could still undo the event: end that one first.
    """
    with transaction():
        references = _references(about_oid, group_oid, request_id, grant_id)
        return _write(event_type(event), actor, fields, _texts(words, actor, about_name), references, None)


_RECORD = "SELECT public.audit_record(%s, %s)"


def _write(
    event: EventType,
    actor: Actor,
    fields: Mapping[str, Value],
    texts: Mapping[str, str],
    references: Mapping[str, str],
    subject: Subject | None,
    rows: Sequence[Row] = (),
) -> int:
    unknown = set(texts) - set(event.words) - COMMON_PLACEHOLDERS
    if unknown:
        raise LedgerError(f"{event.name} declares no words {sorted(unknown)}, only {list(event.words)}.")
    kept = check_fields(event, fields)
    personal = {name: str(kept.pop(name)) for name in list(kept) if event.fields[name].personal}
    personal |= {name: clean(text) for name, text in texts.items() if text}
    salts = {name: secrets.token_bytes(SALT_BYTES) for name in personal}
    document: dict[str, JSON] = {
        "v": FORMAT,
        "type": event.name,
        "outcome": event.outcome.value,
        "business_at": instant(business_now()),
        "actor": _actor(actor),
        "fields": kept,
        "commitments": {name: commitment(salts[name], text) for name, text in personal.items()},
        **{name: value for name, value in references.items() if value},
    }
    if subject is not None:
        document["subject"] = {"kind": subject.kind, "id": str(subject.id), "version": subject.version}
    if rows:
        document["rows"] = _rows(event, rows)
    kept_beside: JSON = [
        {"field": name, "salt": salts[name].hex(), "words": text} for name, text in personal.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, [canonical(document), written(kept_beside)])
        ((event_id,),) = cursor.fetchall()
    return int(event_id)


def _texts(words: Mapping[str, str], actor: Actor, about_name: str) -> dict[str, str]:
    claimed = COMMON_PLACEHOLDERS & set(words)
    if claimed:
        raise LedgerError(f"{sorted(claimed)} are names, not words: they come with the actor and about_name.")
    return {**words, "actor": actor.name, "about": about_name}


def _references(
    about_oid: str, group_oid: str, request_id: UUID | None, grant_id: UUID | None
) -> dict[str, str]:
    return {
        "about": about_oid,
        "group": group_oid,
        "request": str(request_id) if request_id else "",
        "grant": str(grant_id) if grant_id else "",
    }


def _rows(event: EventType, rows: Sequence[Row]) -> JSON:
    strangers = {row.table for row in rows} - {each.table for each in event.tells or ()}
    if strangers and event.tells is not None:
        raise LedgerError(f"{event.name} doesn't declare that it tells of rows of {sorted(strangers)}.")
    return [{"table": row.table, "id": row.id, "is": clean_deep(row.stands)} for row in rows]


def _actor(actor: Actor) -> dict[str, JSON]:
    session = hashlib.sha256(actor.session.encode()).hexdigest()[:32] if actor.session else ""
    document = {"kind": str(actor.kind), "oid": actor.object_id, "ip": clean(actor.ip), "session": session}
    return {name: value for name, value in document.items() if value}
