"""Reading the thread of an item and who is looking at it, for pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from base.clock import real_now
from requests_app.deliberation.models import Attention, Remark
from requests_app.models import RequestItem

# A thread longer than this is a conversation to have elsewhere.
MOST_REMARKS = 50


def thread(item: RequestItem) -> Sequence[Remark]:
    """Everything said about an item, oldest first. One query."""
    return list(item.remarks.select_related("author").order_by("written_at", "pk")[:MOST_REMARKS])


def thread_states(items: Iterable[RequestItem]) -> Mapping[UUID, str]:
    """By item: "open" where a question waits for its answer, "answered" where none does. One query."""
    newest = (
        Remark.objects.filter(item__in=[item.pk for item in items])
        .order_by("item_id", "-written_at", "-pk")
        .distinct("item_id")
    )
    return {item: state_after(kind) for item, kind in newest.values_list("item_id", "kind")}


def state_after(kind: str) -> str:
    """The state of a thread by its newest remark."""
    return "open" if kind == Remark.Kind.QUESTION else "answered"


def attention_to(item: RequestItem) -> Attention | None:
    """Who is looking at the item now. No query where the item was read with its attention."""
    attention: Attention | None = getattr(item, "attention", None)
    return attention if attention is not None and attention.stands(real_now()) else None
