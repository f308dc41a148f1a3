"""Which events exist. Each type is declared once, with its fields, its sentence and its personal data.

An app declares its types in its `events.py` and registers them from `AppConfig.ready`. What isn't
declared can't be recorded.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from audit.ledger.models import Outcome
from audit.ledger.rows import Watched

_NAME = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*")
# What every sentence may name beside its own fields and words.
COMMON_PLACEHOLDERS = frozenset({"actor", "about"})


class LedgerError(Exception):
    """A mistake of the programmer: an event that isn't declared, or isn't as declared."""


class Kind(StrEnum):
    """What a field holds, which also says how it is shown to people."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    INSTANT = "instant"  # datetime, aware; kept as ISO 8601 in UTC
    DURATION = "duration"  # timedelta; kept in seconds
    ID = "id"  # UUID or a vendor's identifier
    JSON = "json"  # anything that JSON can say


@dataclass(frozen=True, slots=True)
class Field:
    """One fact of an event. `personal` ones (text only) are kept beside the ledger, under a commitment."""

    kind: Kind = Kind.TEXT
    personal: bool = False
    optional: bool = False  # may be left out or None


@dataclass(frozen=True, slots=True)
class EventType:
    """What one kind of event says. `name` is area.verb; `sentence` has {placeholders} of fields and words."""

    name: str
    sentence: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    words: tuple[str, ...] = ()  # what a person wrote: kept beside the ledger, may be left out
    outcome: Outcome = Outcome.DONE
    tells: tuple[Watched, ...] | None = ()  # of whose rows it says how they stand; None: of any
    nobody: str = ""  # who did it where nobody is signed in, if that isn't somebody: a process

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise LedgerError(f"{self.name!r} isn't an event name: write area.verb in lower case.")
        overlap = (set(self.words) & set(self.fields)) | (COMMON_PLACEHOLDERS & {*self.words, *self.fields})
        if overlap:
            raise LedgerError(f"{self.name} declares {sorted(overlap)} twice.")
        unknown = self.placeholders - COMMON_PLACEHOLDERS - set(self.fields) - set(self.words)
        if unknown:
            raise LedgerError(
                f"The sentence of {self.name} names {sorted(unknown)}, which it doesn't declare."
            )
        for name, declared in self.fields.items():
            if declared.personal and declared.kind is not Kind.TEXT:
                raise LedgerError(f"{self.name}.{name} is personal, and only text can be.")

    @property
    def placeholders(self) -> frozenset[str]:
        """The names in the sentence's braces."""
        return frozenset(
            name for _, name, _, _ in string.Formatter().parse(self.sentence) if name is not None
        )


_types: dict[str, EventType] = {}


def register(*types: EventType) -> None:
    """Declare event types. The very same type again is harmless; another of its name is refused."""
    for event in types:
        if _types.setdefault(event.name, event) != event:
            raise LedgerError(f"Two event types are called {event.name}.")


def event_type(name: str) -> EventType:
    """The type of that name. Raises LedgerError when nobody declared it."""
    try:
        return _types[name]
    except KeyError:
        raise LedgerError(f"No event type is called {name!r}: declare it in the app's events.py.") from None


def registered() -> Mapping[str, EventType]:
    """All types by name, in alphabetical order."""
    return MappingProxyType(dict(sorted(_types.items())))
