"""Which conditions a request meets, in words for whoever decides: why each rule judges it, and what they demand of it.

They were held against it when it was made. Here each is looked at once more, by what the rows say now.
"""

from __future__ import annotations

from collections.abc import Iterator

from base.words import duration_words
from policy.assurance import unproven
from policy.fields import fits
from policy.matching import Match
from policy.terms import terms_of
from requests_app.models import RequestItem
from requests_app.waivers.conditions import Condition


def conditions_of(item: RequestItem, judging: Match) -> list[Condition]:
    """Every condition with whether it holds. `judging` is what the rules make of the same ask now. No query.

    Why a rule judges it is told only while the rules are those by which it was asked for: what has become of them since
    is told otherwise (`shown.since_asked`).
    """
    same = judging.demands is not None and terms_of(judging).versions == item.terms.versions
    reasons = [Condition(holds=True, words=each) for each in judging.reasons] if same else []
    return [*reasons, *_demanded(item)]


def _demanded(item: RequestItem) -> Iterator[Condition]:
    demands, words, reference = item.terms.parsed, item.request.justification, item.request.reference
    if (longest := demands.longest_duration) is not None:
        yield Condition(
            item.duration <= longest,
            f"It is for {duration_words(item.duration)}, of {duration_words(longest)} at most.",
        )
    if least := demands.shortest_justification:
        yield Condition(
            len(words) >= least, f"Its justification has {len(words)} characters, of {least} at least."
        )
    for pattern in demands.justification_patterns:
        yield _fitting("justification", pattern, fits(pattern, words))
    if demands.reference_required:
        yield Condition(bool(reference), "It has a reference." if reference else "It has no reference.")
    for pattern in demands.reference_patterns if reference else ():
        yield _fitting("reference", pattern, fits(pattern, reference))
    if wanted := demands.step_up.ask:
        lacking = unproven(wanted, item.request.proof, item.requester.object_id)
        yield Condition(not lacking, f"It was asked for with {' and '.join(wanted.words)}.")


def _fitting(what: str, pattern: str, holds: bool) -> Condition:
    return Condition(holds, f"Its {what} {'fits' if holds else 'does not fit'} the pattern {pattern}.")
