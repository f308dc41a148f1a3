"""Events as rows of a page: a sentence in pieces, every fact with its name, and where it is sealed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.urls import reverse

from audit.history.words import action_words, label_words
from audit.ledger import sentences
from audit.ledger.models import Leaf, Outcome
from audit.ledger.reading import Entry
from audit.ledger.said import UNREADABLE
from audit.ledger.sentences import Piece, known_type
from base.visible import visible

# Every state has a tone and so a shape: an outcome is never told by colour alone.
OUTCOME_TONES = {Outcome.DONE: "live", Outcome.REFUSED: "problem", Outcome.FAILED: "problem"}
# Fields that the sentence or the page says already.
_SAID = frozenset({"group_name", "source", "target"})


@dataclass(frozen=True, slots=True)
class Row:
    """One event, ready to show. `batch` is the sealed batch that holds it, None while it waits."""

    entry: Entry
    batch: int | None = None

    @property
    def id(self) -> int:
        return self.entry.event.id

    @property
    def at(self) -> datetime:
        """When, on the machine's clock."""
        return self.entry.event.at

    @property
    def business_at(self) -> datetime:
        """When, on the clock that access lives by."""
        return self.entry.event.business_at

    @property
    def pieces(self) -> Sequence[Piece]:
        return [_shown(piece) for piece in sentences.pieces(self.entry)]

    @property
    def action(self) -> str:
        return action_words(self.entry.event.type)

    @property
    def actor(self) -> str:
        return visible(sentences.actor_name(self.entry))

    @property
    def outcome(self) -> str:
        return Outcome(self.entry.event.outcome).label

    @property
    def done(self) -> bool:
        return self.entry.event.outcome == Outcome.DONE

    @property
    def tone(self) -> str:
        return OUTCOME_TONES[Outcome(self.entry.event.outcome)]

    @property
    def address(self) -> str:
        """The page of this event alone, with its proof."""
        return reverse("audit_event", args=[self.id])

    @property
    def case_address(self) -> str:
        request_id = self.entry.event.request_id
        return reverse("audit_case", args=[request_id]) if request_id else ""

    @property
    def words(self) -> list[tuple[str, str]]:
        """What somebody wrote, by name; erased words say so."""
        declared = known_type(self.entry.event.type)
        names = declared.words if declared else ()
        return [
            (label_words(name), visible(self.entry.texts.get(name, "(erased)")))
            for name in names
            if name in self.entry.texts or name in self.entry.erased
        ]

    @property
    def facts(self) -> list[tuple[str, Piece]]:
        """Every field of the event that says something, in the order of its declaration."""
        declared = known_type(self.entry.event.type)
        order: Sequence[str] = [*declared.fields, UNREADABLE] if declared else sorted(self.entry.fields)
        source, target = self.entry.fields.get("source"), self.entry.fields.get("target")
        step = [("Status", Piece("value", f"{source or 'new'} → {target}"))] if target else []
        return step + [
            (label_words(name), _shown(sentences.field_piece(declared, name, self.entry.fields[name])))
            for name in order
            if name not in _SAID and _says_something(self.entry.fields.get(name))
        ]

    @property
    def origin(self) -> list[tuple[str, str]]:
        """From where it came: ids, address and session, as far as there are any."""
        event = self.entry.event
        given = [
            ("Actor's object id", event.actor_oid),
            ("About", event.about_oid if event.about_oid != event.actor_oid else ""),
            ("PIM group's object id", event.group_oid),
            ("Grant", str(event.grant_id or "")),
            ("Address", event.ip),
            ("Session", event.session),
        ]
        return [(name, visible(value)) for name, value in given if value]

    @property
    def seal_words(self) -> str:
        return f"sealed in batch {self.batch}" if self.batch is not None else "waiting for its seal"


def rows(entries: Sequence[Entry]) -> list[Row]:
    """Rows for entries; one query finds their seals."""
    batches = dict(
        Leaf.objects.filter(event_id__in=[entry.event.id for entry in entries]).values_list(
            "event_id", "batch"
        )
    )
    return [Row(entry, batches.get(entry.event.id)) for entry in entries]


def _shown(piece: Piece) -> Piece:
    """The piece as people read it, with nothing in it that is invisible, or reorders the sentence around it."""
    match piece.value:
        case str(text):
            return replace(piece, value=visible(text))
        case [*several] if all(isinstance(each, str) for each in several):
            return replace(piece, value=visible(", ".join(several)))
        case dict() | list() as nested:
            return replace(piece, value=visible(json.dumps(nested, ensure_ascii=False)))
        case _:
            return piece


def _says_something(value: Any) -> bool:
    return value is not None and value != "" and value != [] and value != {}
