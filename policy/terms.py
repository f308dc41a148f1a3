"""The terms of a request: what a match demands, kept with the rule versions that it came from."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from policy.demands import serialise_demands
from policy.document import document_hash
from policy.matching import Match
from policy.models import Terms


def terms_of(found: Match) -> Terms:
    """The terms that a match makes, not stored. The match has demands."""
    if found.demands is None:
        raise ValueError("No rule judges it, so there are no terms.")
    demands = serialise_demands(found.demands)
    judged_by: list[dict[str, Any]] = [
        {
            "rule": version.rule_id,
            "version": version.pk,
            "name": version.rule.name,
            "number": version.number,
        }
        for version in found.versions
    ]
    return _made(demands, judged_by)


def _made(demands: dict[str, Any], judged_by: list[dict[str, Any]]) -> Terms:
    wording = document_hash({"demands": demands, "judged_by": judged_by})
    return Terms(demands=demands, judged_by=judged_by, document_hash=wording)


def keep_terms(found: Match) -> Terms:
    """The stored terms that a match makes; two requests at once share one row."""
    return _keep(terms_of(found))


def keep_escalated(terms: Terms, age: timedelta) -> Terms:
    """The stored terms that these have become for a request that has waited unanswered for so long."""
    return _keep(_made(serialise_demands(terms.parsed.after(age)), terms.judged_by))


def stands(found: Match, terms: Terms, age: timedelta) -> bool:
    """Whether a match makes these terms, or what they have become for a request of this age."""
    if found.demands is None:
        return False
    demands = found.demands
    possible = [found, *(replace(found, demands=demands.after(each)) for each in demands.escalations(age))]
    return terms.document_hash in {terms_of(each).document_hash for each in possible}


def _keep(made: Terms) -> Terms:
    kept, _ = Terms.objects.get_or_create(
        document_hash=made.document_hash, defaults={"demands": made.demands, "judged_by": made.judged_by}
    )
    return kept
