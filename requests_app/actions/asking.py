"""What is wrong with an ask, all of it at a time: whoever mends one mistake shouldn't meet the next only afterwards."""

from __future__ import annotations

from collections.abc import Iterator
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
from requests_app.shortening import shortest_time, too_short
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
    demands, found = judged.demands, list[Invalid]()
    if demands is not None and asked.justification is not None:
        found += _in_justification(asked.justification, demands)
    if asked.duration is not None:
        found += _in_duration(asked.duration, judged, held)
        found += _in_extension(asked.duration, judged, group, held) if held else ()
    if asked.wanted_start is not None:
        found += _in_start(asked.wanted_start, business_now(), judged, held)
    if demands is not None and asked.reference is not None:
        found += _in_reference(asked.reference, demands, group)
    return found


def cleaned_words(justification: str) -> str:
    """The justification as it is kept. Raises Invalid when it is too long or has hidden characters."""
    return clean_words(justification, longest=LONGEST_JUSTIFICATION, field="justification")


def _in_duration(duration: timedelta, judged: Requestability, held: Grant | None) -> Iterator[Invalid]:
    if short := too_short(duration, lengthens=held is not None):
        yield short
    if judged.longest is not None and duration > judged.longest:
        yield Invalid(
            "duration.long",
            f"At most {duration_words(judged.longest)} can be asked for here. Choose a shorter time.",
            field="duration",
        )


def _in_start(
    wanted: datetime, now: datetime, judged: Requestability, held: Grant | None
) -> Iterator[Invalid]:
    if wanted <= now:
        yield Invalid(
            "start.past",
            "This time is over. Choose a later one, or leave it empty to start once it is approved.",
            field="start",
        )
    if wanted > now + settings.LATEST_START:
        yield Invalid(
            "start.far",
            f"At most {settings.LATEST_START.days} days ahead. Choose an earlier start, or ask again nearer to it.",
            field="start",
        )
    shortest = shortest_time(lengthens=held is not None)
    if judged.ends_by is not None and judged.ends_by - wanted < shortest:
        yield Invalid(
            "start.not_eligible",
            f"Your eligibility ends before that, or less than {duration_words(shortest)} after it. Choose an earlier "
            "start, or ask for a longer eligibility.",
            field="start",
        )


def _in_extension(
    duration: timedelta, judged: Requestability, group: PimGroup, held: Grant
) -> Iterator[Invalid]:
    """What is asked for would lengthen access that the person has: it must fit together with that."""
    begins = max(held.ends_at, business_now())
    if judged.ends_by is not None and judged.ends_by - begins < settings.PIM_MINIMUM:
        yield Invalid(
            "extension.eligibility",
            "Your eligibility ends with the access that you have, so nothing can be added. Ask the group's owner.",
            field="duration",
        )
    total, longest = begins + duration - held.starts_at, group.assignment_maximum
    if longest is not None and total > longest:
        yield Invalid(
            "extension.long",
            f"PIM lets one assignment of this group last {duration_words(longest)} in all, and this would make "
            f"{duration_words(total)}. Choose a shorter time, or ask again once your access has ended.",
            field="duration",
        )


def _in_justification(justification: str, demands: Demands) -> Iterator[Invalid]:
    try:
        words = cleaned_words(justification)
    except Invalid as error:
        yield error
        return
    shortest = max(demands.shortest_justification, 1)
    if len(words) < shortest:
        yield Invalid(
            "justification.short",
            f"Say what you need the access for, in at least {shortest} characters: approvers and auditors read it.",
            field="justification",
        )
    for pattern in demands.justification_patterns:
        if not fits(pattern, words):
            yield Invalid(
                "justification.pattern",
                f"The rule for this group wants the justification to fit the pattern {pattern}.",
                field="justification",
            )


def _in_reference(reference: str, demands: Demands, group: PimGroup) -> Iterator[Invalid]:
    try:
        cleaned = clean_reference(reference)
    except Invalid as error:
        yield error
        return
    if not cleaned:
        if group.ticket_demanded:
            yield Invalid(
                "reference.missing",
                "PIM asks for a reference for this group (a ticket number), such as INC0012345.",
                field="reference",
            )
        elif demands.reference_required:
            yield Invalid(
                "reference.missing",
                "The rule for this group asks for a reference, such as INC0012345.",
                field="reference",
            )
        return
    for pattern in demands.reference_patterns:
        if not fits(pattern, cleaned):
            yield Invalid(
                "reference.pattern",
                f"The rule for this group wants references that fit the pattern {pattern}.",
                field="reference",
            )
