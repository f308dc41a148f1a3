"""What the rooms above tell people of, registered when the application starts.

A room that people have to be told about keeps its own rows, which this one doesn't know. It says here which of its
events are planned for, and for each kind of message what the texts need, where the link leads, and when it is too late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from audit.ledger.models import Event
from audit.ledger.registry import event_type
from notifications.kinds import Kind
from notifications.languages import Language
from notifications.models import Message

type Facts = dict[str, str]
type Planned = Callable[[Event], Iterable[Message]]


@dataclass(frozen=True, slots=True)
class Occasion:
    """One kind of message, as the room that it is about knows it; each is asked when the message is sent."""

    facts: Callable[[Message, Language, ZoneInfo], Facts]  # inert values for the texts
    path: Callable[[Message], str]  # the page that the link leads to
    over: Callable[[Message], str]  # a sentence when telling would mislead, else ""


_planned: dict[str, Planned] = {}
_occasions: dict[Kind, Occasion] = {}


def register(plans: Mapping[str, Planned], occasions: Mapping[Kind, Occasion]) -> None:
    """Plan for these events, by type, and tell these kinds of messages. Raises LedgerError for an undeclared event."""
    for name, planned in plans.items():
        event_type(name)
        _planned[name] = planned
    _occasions.update(occasions)


def planned_for(event: str) -> Planned | None:
    """How an event of this type is planned for by a room above."""
    return _planned.get(event)


def occasion_of(kind: Kind) -> Occasion | None:
    """The kind as a room above knows it, None where it is this room's own."""
    return _occasions.get(kind)
