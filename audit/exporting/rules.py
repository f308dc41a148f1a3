"""The wordings of rules that judged what a pack is about, as the events that wrote them down: sealed like the rest."""

from __future__ import annotations

from collections.abc import Sequence

from audit.exporting.evidence import MOST_EVENTS
from audit.ledger.models import ActorKind, Event
from audit.ledger.reading import Entry, Position, events_at
from policy.events import RULE_VERSIONED
from policy.models import Terms

MOST = 500  # wordings in a pack


def rule_events(entries: Sequence[Entry]) -> Sequence[Entry]:
    """The events `rule.versioned` of every version that a request among these events is held to; the newest, at most MOST.

    A version whose event is no longer in the trail is left out, and so is what the web process might have written: it
    can't speak as the portal itself.
    """
    requests = {entry.event.request_id for entry in entries if entry.event.request_id}
    judged = (
        Terms.objects.filter(request_items__request__in=requests)
        .distinct()
        .values_list("judged_by", flat=True)[:MOST_EVENTS]
    )
    wanted = {(each["name"], each["number"]) for terms in judged for each in terms}
    if not wanted:
        return ()
    names = sorted({name for name, _ in wanted})
    found = (
        Event.objects.filter(
            type=RULE_VERSIONED.name, actor_kind=ActorKind.SYSTEM, data__fields__name__in=names
        )
        .order_by("-at", "-id")
        .values_list("at", "id", "data__fields__name", "data__fields__number")
    )
    places = [Position(at, number) for at, number, name, version in found if (name, version) in wanted]
    return events_at(places[:MOST])
