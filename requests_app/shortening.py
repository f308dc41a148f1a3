"""The time that approvers give: as long as was asked for, or as short as the shortest approval says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings

from base.errors import Invalid
from base.words import duration_words
from requests_app.lifecycle import DecisionStatus
from requests_app.models import Decision, RequestItem, Verdict


def shortest_time(*, lengthens: bool) -> timedelta:
    """For how long access is given at least; what lengthens access that is there needs nothing beyond PIM's own minimum."""
    return settings.PIM_MINIMUM if lengthens else settings.SHORTEST_ACCESS


def too_short(duration: timedelta, *, lengthens: bool) -> Invalid | None:
    """Why nobody is given access for this long, or None."""
    if duration >= shortest_time(lengthens=lengthens):
        return None
    sentence = "PIM assigns at least five minutes."
    if not lengthens:
        sentence = (
            f"Access is given for at least {duration_words(settings.SHORTEST_ACCESS)}: PIM assigns no less than five, and "
            "some may pass before it does."
        )
    return Invalid("duration.short", f"{sentence} Choose a longer time.", field="duration")


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


def shorter_time(item: RequestItem, duration: timedelta | None, *, lengthens: bool) -> timedelta | None:
    """What an approval for `duration` keeps: None when that is as asked. Raises Invalid when it can't be given.

    `lengthens`: the requester has the access, and this would add to it.
    """
    if duration is None or duration == item.duration:
        return None
    if duration > item.duration:
        raise Invalid(
            "decision.longer",
            f"{duration_words(item.duration)} was asked for. Approve that or less; for more, they ask again.",
            field="duration",
        )
    if short := too_short(duration, lengthens=lengthens):
        raise short
    return duration
