"""What is wrong with an ask, all of it at a time: whoever mends one mistake shouldn't meet the next only afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from base.clock import business_now
from base.errors import Invalid
from base.words import duration_words
from catalog.models import PimGroup
from policy.demands import Demands
from policy.fields import fits
from policy.requestable import Requestability
from requests_app.models import Grant
from requests_app.texts import clean_reference, clean_words

LONGEST_JUSTIFICATION = 2000


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for, as they wrote it. None: it could not be read, and somebody else says so."""

    duration: timedelta | None
    wanted_start: datetime | None  # business time; None: once it is approved
    justification: str | None
    reference: str | None


def mistakes(
    judged: Requestability, group: PimGroup, asked: Asked, *, held: Grant | None = None
) -> list[Invalid]:
    """Every mistake, in the order of the form's fields. `held` is access that the ask would lengthen."""
    return [error for check in _checks(judged, group, asked, held) if (error := _refusal(check))]


def _checks(
    judged: Requestability, group: PimGroup, asked: Asked, held: Grant | None
) -> Iterator[Callable[[], None]]:
    demands, duration = judged.demands, asked.duration
    justification, reference = asked.justification, asked.reference
    if demands is not None and justification is not None:
        yield lambda: _check_justification(justification, demands)
    if duration is not None:
        yield lambda: _check_length(duration, judged, held)
    yield lambda: _check_start(asked.wanted_start, business_now(), judged)
    if demands is not None and reference is not None:
        yield lambda: _check_reference(reference, demands, group)


def _refusal(check: Callable[[], None]) -> Invalid | None:
    try:
        check()
    except Invalid as error:
        return error
    return None


def cleaned_words(justification: str) -> str:
    """The justification as it is kept. Raises Invalid when it is too long or has hidden characters."""
    return clean_words(justification, longest=LONGEST_JUSTIFICATION, field="justification")


def _check_length(duration: timedelta, judged: Requestability, held: Grant | None) -> None:
    _check_duration(duration, judged)
    _check_extension(duration, judged, held)


def _check_duration(duration: timedelta, judged: Requestability) -> None:
    if duration < settings.PIM_MINIMUM:
        raise Invalid(
            "duration.short", "PIM assigns at least five minutes. Choose a longer time.", field="duration"
        )
    if judged.longest is not None and duration > judged.longest:
        raise Invalid(
            "duration.long",
            f"At most {duration_words(judged.longest)} can be asked for here. Choose a shorter time.",
            field="duration",
        )


def _check_start(wanted: datetime | None, now: datetime, judged: Requestability) -> None:
    if wanted is None:
        return
    if wanted <= now:
        raise Invalid(
            "start.past",
            "This time is over. Choose a later one, or leave it empty to start once it is approved.",
            field="start",
        )
    if wanted > now + settings.LATEST_START:
        raise Invalid(
            "start.far",
            f"At most {settings.LATEST_START.days} days ahead. Choose an earlier start, or ask again nearer to it.",
            field="start",
        )
    if judged.ends_by is not None and judged.ends_by - wanted < settings.PIM_MINIMUM:
        raise Invalid(
            "start.not_eligible",
            "Your eligibility ends before that. Choose an earlier start, or ask for a longer eligibility.",
            field="start",
        )


def _check_extension(duration: timedelta, judged: Requestability, held: Grant | None) -> None:
    """What is asked for would lengthen access that the person has: it must fit together with that."""
    if held is None:
        return
    begins = max(held.ends_at, business_now())
    if judged.ends_by is not None and judged.ends_by - begins < settings.PIM_MINIMUM:
        raise Invalid(
            "extension.eligibility",
            "Your eligibility ends with the access that you have, so nothing can be added. Ask the group's owner.",
            field="duration",
        )
    total, longest = begins + duration - held.starts_at, held.group.assignment_maximum
    if longest is not None and total > longest:
        raise Invalid(
            "extension.long",
            f"PIM lets one assignment of this group last {duration_words(longest)} in all, and this would make "
            f"{duration_words(total)}. Choose a shorter time, or ask again once your access has ended.",
            field="duration",
        )


def _check_justification(justification: str, demands: Demands) -> None:
    words = cleaned_words(justification)
    shortest = max(demands.shortest_justification, 1)
    if len(words) < shortest:
        raise Invalid(
            "justification.short",
            f"Say what you need the access for, in at least {shortest} characters: approvers and auditors read it.",
            field="justification",
        )
    for pattern in demands.justification_patterns:
        if not fits(pattern, words):
            raise Invalid(
                "justification.pattern",
                f"The rule for this group wants the justification to fit the pattern {pattern}.",
                field="justification",
            )


def _check_reference(reference: str, demands: Demands, group: PimGroup) -> None:
    cleaned = clean_reference(reference)
    if group.ticket_demanded and not cleaned:
        raise Invalid(
            "reference.missing",
            "PIM asks for a reference for this group (a ticket number), such as INC0012345.",
            field="reference",
        )
    if demands.reference_required and not cleaned:
        raise Invalid(
            "reference.missing",
            "The rule for this group asks for a reference, such as INC0012345.",
            field="reference",
        )
    for pattern in demands.reference_patterns if cleaned else ():
        if not fits(pattern, cleaned):
            raise Invalid(
                "reference.pattern",
                f"The rule for this group wants references that fit the pattern {pattern}.",
                field="reference",
            )
