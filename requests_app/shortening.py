"""The time that approvers give: as long as was asked for, or as short as the shortest approval says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings

from base.errors import Invalid
from base.words import duration_words
from requests_app.lifecycle import DecisionStatus
from requests_app.models import Decision, RequestItem, Verdict


def time_given(item: RequestItem, decisions: Iterable[Decision]) -> timedelta:
    """For how long the item is, by these decisions on it: counted ones, and those that may come to count."""
    shorter = [
        decision.duration
        for decision in decisions
        if decision.duration is not None
        and decision.verdict == Verdict.APPROVE
        and decision.status != DecisionStatus.REFUSED
    ]
    return min([item.duration, *shorter])


def shorter_time(item: RequestItem, duration: timedelta | None) -> timedelta | None:
    """What an approval for `duration` keeps: None when that is as asked. Raises Invalid when it can't be given."""
    if duration is None or duration == item.duration:
        return None
    if duration > item.duration:
        raise Invalid(
            "decision.longer",
            f"{duration_words(item.duration)} was asked for. Approve that or less; for more, they ask again.",
            field="duration",
        )
    if duration < settings.PIM_MINIMUM:
        raise Invalid(
            "duration.short", "PIM assigns at least five minutes. Choose a longer time.", field="duration"
        )
    return duration
