"""An auditor's own exports as a page shows them: how far, how fast, and how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode

from django.urls import reverse

from audit.exporting.models import Export, How
from audit.exporting.running import exports_of
from audit.exporting.streaming import FORMS, Form
from audit.history.forms import TimelineForm
from audit.history.words import action_words
from base.clock import real_now
from requests_app.rows import fingerprint

MOST_LISTED = 50
# A running export looks up every second, unless nobody takes what it sends.
LOST_AFTER = timedelta(seconds=30)
_TONES = {How.DONE: "live", How.CANCELLED: "ended", How.BROKEN_OFF: "problem", How.FAILED: "problem"}


def search_words(query: str) -> Sequence[tuple[str, str]]:
    """A timeline's address as labels and values, only of what it knows."""
    fields = TimelineForm.base_fields
    return [
        (str(fields[name].label), _spoken(name, value)) for name, value in parse_qsl(query) if name in fields
    ]


def _spoken(name: str, value: str) -> str:
    """A filter's value as the timeline's form says it."""
    if name != "action":
        return value
    return action_words(f"{value}anything" if value.endswith(".") else value)


@dataclass(frozen=True, slots=True)
class Watched:
    """One export at an instant (real time)."""

    export: Export
    now: datetime

    @property
    def form(self) -> Form | None:
        """The kind of file, or None for one that this version of the portal no longer makes."""
        return FORMS.get(self.export.form)

    @property
    def form_label(self) -> str:
        return self.form.label if self.form else self.export.form

    @property
    def search(self) -> Sequence[tuple[str, str]]:
        """The filter: labels and values, only of what the timeline knows."""
        return search_words(self.export.query)

    @property
    def address(self) -> str:
        """The timeline with the same filter."""
        known = [each for each in parse_qsl(self.export.query) if each[0] in TimelineForm.base_fields]
        return f"{reverse('audit_timeline')}?{urlencode(known)}" if known else reverse("audit_timeline")

    @property
    def cancel_address(self) -> str:
        return reverse("audit_cancel_export", args=[self.export.pk])

    @property
    def running(self) -> bool:
        return self.export.ended_at is None

    @property
    def lost(self) -> bool:
        """Whether it should run, and nothing was heard of it."""
        return self.running and self.export.seen_at < self.now - LOST_AFTER

    @property
    def cancelling(self) -> bool:
        return self.running and self.export.cancelled_at is not None

    @property
    def tone(self) -> str:
        if self.lost:
            return "problem"
        if self.cancelling:
            return "ending"
        return "moving" if self.running else _TONES[How(self.export.how)]

    @property
    def words(self) -> str:
        if self.lost:
            return "No sign of life"
        if self.cancelling:
            return "Being cancelled"
        return "Running" if self.running else str(How(self.export.how).label)

    @property
    def total(self) -> int | None:
        """Rows of the whole, where they were counted to the end; what came meanwhile counts in."""
        export = self.export
        if export.expected is None or export.expected_more:
            return None
        return max(export.expected, export.rows)

    @property
    def of_how_many(self) -> str:
        if self.total is not None:
            return f"of {self.total:,}"
        if not self.running or not self.export.expected_more or self.form is None:
            return ""
        # What was counted is behind it: only the most that such a file holds is known.
        passed = self.export.rows >= (self.export.expected or 0)
        return f"of at most {self.form.most:,}" if passed else f"of more than {self.export.expected:,}"

    @property
    def full(self) -> bool:
        """Whether it ended with as many as its form holds, so that older ones may be missing."""
        return self.export.how == How.DONE and self.form is not None and self.export.rows >= self.form.most

    @property
    def rate(self) -> int | None:
        """Rows a second, from the beginning to the last look or the end; None while there is nothing to divide."""
        seconds = (self.export.seen_at - self.export.began_at).total_seconds()
        return round(self.export.rows / seconds) if seconds >= 1 and self.export.rows else None


@dataclass(frozen=True, slots=True)
class Exports:
    """The page."""

    rows: Sequence[Watched]

    @property
    def seen(self) -> str:
        return fingerprint(
            [(each.export.pk, each.export.rows, each.words, each.export.how) for each in self.rows]
        )

    @property
    def live_address(self) -> str:
        return f"{reverse('audit_exports_live')}?seen={self.seen}"


def watched_exports(owner_oid: str) -> Exports:
    """Somebody's own exports. One query."""
    now = real_now()
    return Exports([Watched(each, now) for each in exports_of(owner_oid, MOST_LISTED)])
