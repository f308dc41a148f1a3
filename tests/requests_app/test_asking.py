"""What is wrong with an ask is told all at once: every mistake of every field, in one pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from base.clock import business_now
from policy.requestable import Requestability
from requests_app.actions.asking import Asked, mistakes
from requests_app.models import Grant
from tests.policy.test_requestable import a_group, a_match, judged

HOUR = timedelta(hours=1)


def strict() -> Requestability:
    """Two hours at most, a long reason that fits two patterns, and a reference of one form."""
    match = a_match(2 * HOUR)
    assert match.demands is not None
    demands = replace(
        match.demands,
        shortest_justification=20,
        justification_patterns=("INC.*", ".*because.*"),
        reference_required=True,
        reference_patterns=("INC[0-9]+",),
    )
    return judged(match=replace(match, demands=demands))


def told(asked: Asked, held: Grant | None = None) -> list[str]:
    group = a_group(assignment_maximum=3 * HOUR)
    return [each.code for each in mistakes(strict(), group, asked, held=held)]


def test_every_mistake_of_every_field_is_told() -> None:
    now = business_now()
    held = Grant(starts_at=now - 2 * HOUR, ends_at=now + HOUR / 2)
    wrong = Asked(9 * HOUR, now - HOUR, "No", "CHG1")
    assert told(wrong, held) == [
        "justification.short",
        "justification.pattern",
        "justification.pattern",
        "duration.long",
        "extension.long",
        "start.past",
        "reference.pattern",
    ]


def test_what_could_not_be_read_is_left_to_whoever_read_it() -> None:
    assert told(Asked(None, None, None, None)) == []
    assert told(Asked(HOUR, None, "INC1, because the queue is stuck", " ")) == ["reference.missing"]
    hidden = Asked(HOUR, None, "INC1 \x00", "INC1 <>")
    assert told(hidden) == ["text.hidden_characters", "reference.characters"], "once for each field"
