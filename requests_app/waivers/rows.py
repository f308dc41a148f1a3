"""What pages show of going without an approval, and of a review: pure functions of rows that were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.conf import settings

from base.clock import business_now
from requests_app.estimates import Arrival, arrival
from requests_app.waivers.models import OwedReview, Waiver


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One review in a list."""

    review: OwedReview
    now: datetime

    @property
    def tone(self) -> str:
        if not self.review.open:
            return "problem" if self.review.verdict == OwedReview.Verdict.NOT_IN_ORDER else "live"
        return "problem" if self.overdue else "waiting"

    @property
    def words(self) -> str:
        if not self.review.open:
            return self.review.get_verdict_display()
        if self.review.blocks(self.now):
            return "Overdue; blocks the next use"
        return "Overdue" if self.overdue else "To be reviewed"

    @property
    def overdue(self) -> bool:
        return self.review.overdue(self.now)


@dataclass(frozen=True)
class WithoutApproval:
    """What a request's page says about going without an approval."""

    waiver: Waiver | None
    owed: Sequence[OwedReview]
    waits: bool  # the viewer still waits for the access, so that another way may be faster

    @property
    def reviews(self) -> Sequence[ReviewRow]:
        now = business_now()
        return [ReviewRow(row, now) for row in self.owed]

    @cached_property
    def _arrival(self) -> Arrival:
        return arrival()

    @property
    def usable_from(self) -> datetime:
        """When it will probably be usable, counted from when nobody had to decide any more. One query."""
        return self._since + self._arrival.typical

    @property
    def usable_from_slow(self) -> datetime:
        return self._since + self._arrival.slow

    @property
    def _since(self) -> datetime:
        granted = self.waiver is not None and self.waiver.granted
        return (
            self.waiver.settled_at if granted and self.waiver and self.waiver.settled_at else business_now()
        )

    @property
    def procedure(self) -> str:
        """The organisation's own way in an emergency, as operators recorded it."""
        return str(settings.EMERGENCY_PROCEDURE)

    @property
    def procedure_address(self) -> str:
        return str(settings.EMERGENCY_PROCEDURE_URL)
