"""A request with several items on one page: where each of them stands, with its tracker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from requests_app.deliberation.reading import thread_states
from requests_app.lifecycle import TERMINAL, DecisionStatus, ItemStatus
from requests_app.models import AccessRequest, Decision, Grant, RequestItem
from requests_app.presentation import WAITS, Phase, Standing, phases
from requests_app.rows import Row, fingerprint, fingerprint_of, part_of_request, rows


@dataclass(frozen=True, slots=True)
class Part:
    """One item of a request."""

    row: Row
    being_checked: bool
    mine: bool

    @property
    def item(self) -> RequestItem:
        return self.row.item

    @property
    def grant(self) -> Grant | None:
        return self.row.grant

    @property
    def pending(self) -> bool:
        return self.item.status == ItemStatus.PENDING

    @property
    def standing(self) -> Standing:
        if self.pending and self.being_checked:
            return Standing("moving", "Being checked", "A decision is being checked.")
        if self.pending and self.row.thread == "open":
            return Standing("waiting", "Question open", "A question waits for an answer.")
        if self.sign_in_wanted:
            return Standing("waiting", WAITS, "Approved. Waiting for you to sign in again.")
        return self.row.standing

    @property
    def sign_in_wanted(self) -> bool:
        """Whether it goes on only once the viewer has signed in once more, which its own page offers."""
        return self.mine and self.grant is not None and self.grant.waits_for_person

    @property
    def phases(self) -> Sequence[Phase]:
        return phases(self.item, self.grant, being_checked=self.being_checked, turn=None, hop=None)

    @property
    def moving(self) -> bool:
        """Whether anything can still happen to it by itself."""
        if self.item.status == ItemStatus.APPROVED:
            return self.grant is None or self.grant.status not in TERMINAL
        return self.pending

    @property
    def seen(self) -> object:
        return (
            self.item.pk,
            self.item.version,
            self.being_checked,
            self.row.thread,
            self.grant and fingerprint_of(self.grant),
        )

    @property
    def withdraw_address(self) -> str:
        return part_of_request("withdraw", self.item)

    @property
    def action_name(self) -> str:
        return f"withdraw-{self.item.pk}"


@dataclass(frozen=True, slots=True)
class Overview:
    """All items of a request that the viewer may see."""

    request: AccessRequest
    parts: Sequence[Part]
    mine: bool

    @property
    def title(self) -> str:
        return f"Request for {len(self.parts)} PIM groups"

    @property
    def waiting(self) -> int:
        return sum(part.pending for part in self.parts)

    @property
    def moving(self) -> bool:
        return any(part.moving for part in self.parts)

    @property
    def summary(self) -> str:
        """Where each stands, in one sentence each, for those who hear the page."""
        return " ".join(f"{part.item.group.display_name}: {part.standing.words}." for part in self.parts)

    @property
    def seen(self) -> str:
        return fingerprint([part.seen for part in self.parts])

    @property
    def live_address(self) -> str:
        return f"{reverse('request_live', args=[self.request.pk])}?seen={self.seen}"

    @property
    def withdraw_address(self) -> str:
        return reverse("withdraw", args=[self.request.pk])

    @property
    def again_address(self) -> str:
        return f"{reverse('request_several')}?again={self.request.pk}"


def overview(items: Sequence[RequestItem], *, viewer_id: int) -> Overview:
    """The page from the items of one request, in three queries."""
    request = items[0].request
    checked = set(
        Decision.objects.filter(item__in=items, status=DecisionStatus.SUBMITTED).values_list(
            "item_id", flat=True
        )
    )
    said = thread_states(items)
    mine = request.requester_id == viewer_id
    parts = [
        Part(Row(row.item, row.grant, said.get(row.item.pk, "")), row.item.pk in checked, mine)
        for row in rows(items)
    ]
    return Overview(request, parts, mine)
