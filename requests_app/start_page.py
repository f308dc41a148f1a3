"""The start page, put together from rows: what one has, what waits for one, what one waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from catalog.models import PimGroup
from requests_app import selectors
from requests_app.deliberation.reading import thread_states
from requests_app.lifecycle import ENDABLE, GrantStatus, ItemStatus
from requests_app.models import Grant, RequestItem
from requests_app.presentation import Standing, standing
from requests_app.rows import Row, fingerprint, fingerprint_of, part_of_request, rows, scope_words


@dataclass(frozen=True, slots=True)
class Held:
    """Access on Home."""

    grant: Grant

    @property
    def standing(self) -> Standing:
        return standing(ItemStatus.APPROVED, self.grant)

    @property
    def items(self) -> Sequence[RequestItem]:
        """What it stands on, as read with it: the ask that it began with, and its extensions."""
        return [each.item for each in sorted(self.grant.intervals.all(), key=lambda each: each.starts_at)]

    @property
    def address(self) -> str:
        return self._address("request")

    @property
    def done_address(self) -> str:
        return self._address("end_early")

    def _address(self, name: str) -> str:
        """Of the request that it began with; a grant that was found again may stand on none."""
        items = self.items
        return part_of_request(name, items[0]) if items else reverse(name, args=[self.grant.first_request_id])

    @property
    def action_name(self) -> str:
        return f"done-{self.grant.pk}"

    @property
    def counting(self) -> bool:
        return self.grant.status == GrantStatus.ACTIVE

    @property
    def endable(self) -> bool:
        return self.grant.status in ENDABLE

    @property
    def extendable(self) -> bool:
        return self.grant.status == GrantStatus.ACTIVE

    @property
    def extend_address(self) -> str:
        return reverse("request_access", args=[self.grant.group.object_id])

    @property
    def scope_words(self) -> str:
        return scope_words(self.grant.group)


@dataclass(frozen=True, slots=True)
class Starred:
    """A favourite on Home. What keeps it from being asked for, the form says."""

    group: PimGroup
    standing: Standing | None  # of what the person has or has asked for already
    open_address: str

    @property
    def address(self) -> str:
        return reverse("group", args=[self.group.object_id])

    @property
    def request_address(self) -> str:
        return reverse("request_access", args=[self.group.object_id])

    @property
    def scope_words(self) -> str:
        return scope_words(self.group)


@dataclass(frozen=True, slots=True)
class HomePage:
    """The start page."""

    held: Sequence[Held]
    deciding: Sequence[Row]
    deciding_count: int
    waiting: Sequence[Row]
    recent: Sequence[Row]
    favourites: Sequence[Starred]

    @property
    def live_address(self) -> str:
        return f"{reverse('home_live')}?seen={self.seen}"

    @property
    def summary(self) -> str:
        """Everything that moves here in one sentence, for those who hear the page."""
        held = [f"{each.grant.group.display_name}: {each.standing.words}." for each in self.held]
        waiting = [f"{row.item.group.display_name}: {row.standing.words}." for row in self.waiting]
        deciding = [f"{self.deciding_count} waiting for your decision."] if self.deciding_count else []
        return " ".join([*held, *waiting, *deciding]) or "Nothing is running."

    @property
    def seen(self) -> str:
        return fingerprint(
            [(held.grant.pk, fingerprint_of(held.grant)) for held in self.held],
            [(row.item.pk, row.thread, row.attention and row.attention.person_id) for row in self.deciding],
            self.deciding_count,
            [each.group.pk for each in self.favourites],
            [
                (row.item.pk, row.grant and row.grant.version, row.thread)
                for row in (*self.waiting, *self.recent)
            ],
        )


def home_page(home: selectors.Home) -> HomePage:
    """The start page from what was read."""
    held = {item.pk for grant in home.grants for item in Held(grant).items}
    said = thread_states([*home.to_decide, *home.pending])
    recent = [row for row in rows(home.recent) if row.item.pk not in held]
    known = {row.item.group_id: (row.standing, row.address) for row in map(Row, home.pending)}
    known |= {
        grant.group_id: (each.standing, each.address) for grant in home.grants for each in [Held(grant)]
    }
    return HomePage(
        held=[Held(grant) for grant in home.grants],
        favourites=[Starred(group, *known.get(group.pk, (None, ""))) for group in home.favourites],
        deciding=[Row(item, thread=said.get(item.pk, "")) for item in home.to_decide],
        deciding_count=home.deciding_count,
        waiting=[Row(item, thread=said.get(item.pk, "")) for item in home.pending],
        recent=recent,
    )
