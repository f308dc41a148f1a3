"""What the page of the narrow path shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.urls import reverse

from requests_app.narrow_path import Queue, Waiting, read_queue
from requests_app.path_models import PathKind, PathUse
from requests_app.rows import fingerprint

# Rows that are shown; the count says what is cut.
MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Row:
    """Somebody who waits."""

    waiting: Waiting
    movable: bool  # not the first of its kind

    @property
    def what(self) -> str:
        return PathKind(self.waiting.ticket.kind).label

    @property
    def address(self) -> str:
        return reverse("request", args=[self.waiting.ticket.grant.first_request_id])

    @property
    def front_address(self) -> str:
        return reverse("operations_queue_front", args=[self.waiting.ticket.pk])

    @property
    def front_title(self) -> str:
        grant = self.waiting.ticket.grant
        return f"Let {grant.person.display_name} with {grant.group.display_name} go first?"

    @property
    def action_name(self) -> str:
        return f"front-{self.waiting.ticket.pk}"


@dataclass(frozen=True, slots=True)
class Used:
    """A place that was taken lately."""

    use: PathUse

    @property
    def what(self) -> str:
        return PathKind(self.use.kind).label

    @property
    def address(self) -> str:
        return reverse("request", args=[self.use.grant.first_request_id])


@dataclass(frozen=True, slots=True)
class QueuePage:
    """The page."""

    rows: Sequence[Row]
    count: int
    used: Sequence[Used]
    held_until: datetime | None

    @property
    def more(self) -> int:
        return self.count - len(self.rows)

    @property
    def places(self) -> int:
        return int(settings.NARROW_PATH_PLACES)

    @property
    def seen(self) -> str:
        return fingerprint(
            [(row.waiting.ticket.pk, row.waiting.ticket.front_at) for row in self.rows],
            self.count,
            [used.use.pk for used in self.used],
            self.held_until is not None,
        )

    @property
    def live_address(self) -> str:
        return f"{reverse('operations_queue_live')}?seen={self.seen}"


def queue_page() -> QueuePage:
    """Three bounded queries."""
    queue = read_queue()
    return QueuePage(
        rows=_rows(queue)[:MOST_SHOWN],
        count=len(queue.waiting),
        used=[Used(use) for use in queue.used],
        held_until=queue.held_until,
    )


def _rows(queue: Queue) -> list[Row]:
    first: set[int] = set()
    rows = []
    for waiting in queue.waiting:
        rank = waiting.ticket.rank
        rows.append(Row(waiting, movable=rank in first))
        first.add(rank)
    return rows
