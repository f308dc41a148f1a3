"""Who was told what about a request: its messages as they stand, for as long as they are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from notifications.kinds import MANNERS, Kind
from notifications.models import Message

# Of one case; beyond them the page says so.
MOST_TOLD = 200
_TONES = {
    Message.State.OWED: "waiting",
    Message.State.SENT: "live",
    Message.State.DROPPED: "ended",
    Message.State.GIVEN_UP: "problem",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One message, ready to show. The words that it was sent with aren't kept."""

    what: str
    to: str
    state: str
    tone: str
    at: datetime  # real time: when that was settled, or planned while it is owed
    problem: str


def told_about(item_ids: Sequence[UUID], items_of: Mapping[UUID, UUID]) -> dict[UUID, list[Told]]:
    """By item, the oldest first, at most MOST_TOLD in all; `items_of` says to which item a grant belongs. One query."""
    about = Q(item__in=item_ids) | Q(item=None, grant__in=list(items_of))
    rows = Message.objects.filter(about).select_related("person").order_by("pk")[:MOST_TOLD]
    found: dict[UUID, list[Told]] = {}
    for row in rows:
        key = row.item_id or (items_of.get(row.grant_id) if row.grant_id else None)
        if key is not None:
            found.setdefault(key, []).append(_told(row))
    return found


def _told(row: Message) -> Told:
    state = Message.State(row.state)
    return Told(
        what=MANNERS[Kind(row.kind)].name if row.kind in MANNERS else row.kind,
        to=row.person.display_name if row.person else f"Chat {row.recipient.partition(':')[2]}",
        state=str(state.label),
        tone=_TONES[state],
        at=row.settled_at or row.planned_at,
        problem=row.problem,
    )
