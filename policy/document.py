"""A rule's wording as typed values: what it applies to, and what it demands. Pure: no database, no clock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from base.errors import Invalid
from policy import demands, scope
from policy.demands import Demands, parse_demands, serialise_demands
from policy.fields import ids, mapping, refuse_unknown, yes
from policy.scope import Scope, parse_scope, serialise_scope


@dataclass(frozen=True, slots=True)
class RuleDocument:
    """What a rule says. A `fallback` judges what no other rule applies to, and nothing else."""

    applies_to: Scope
    demands: Demands
    fallback: bool = False


# `groups` at the top is how rules named their PIM groups before `applies_to`; without any they were what a fallback is.
FIELDS = ("applies_to", "fallback", "groups", *demands.FIELDS)


def parse_document(raw: Mapping[str, Any]) -> RuleDocument:
    """Read a stored or submitted document.

    Raises:
        Invalid: an unknown field, nothing or two things that it applies to, or a demand that says nothing valid.
    """
    refuse_unknown(raw, FIELDS, "A rule")
    return RuleDocument(
        applies_to=(applies := _applies_to(raw)), demands=parse_demands(raw), fallback=_fallback(raw, applies)
    )


def _applies_to(raw: Mapping[str, Any]) -> Scope:
    if raw.get("groups") and raw.get("applies_to"):
        raise Invalid(
            "rule.applies_twice",
            "Name the PIM groups in applies_to only, not at the top too.",
            field="applies_to",
        )
    if raw.get("applies_to") == "everything":
        return Scope()
    found = parse_scope(mapping(raw, "applies_to"))
    if "applies_to" in raw and found.everything:
        raise Invalid(
            "rule.applies_to",
            f"applies_to names nothing. Give some of {', '.join(scope.FIELDS)}, or the word everything.",
            field="applies_to",
        )
    return Scope(groups=ids(raw, "groups")) if raw.get("groups") else found


def _fallback(raw: Mapping[str, Any], applies: Scope) -> bool:
    if "fallback" in raw:
        return yes(raw, "fallback")
    return applies.everything and "applies_to" not in raw


def serialise_document(document: RuleDocument) -> dict[str, Any]:
    """The JSON form that `parse_document` reads, with sorted members, so that equal rules hash equally."""
    raw: dict[str, Any] = {
        "applies_to": serialise_scope(document.applies_to) or "everything",
        **serialise_demands(document.demands),
    }
    if document.fallback:
        raw["fallback"] = True
    return raw


def document_hash(raw: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON; what a decision names as its basis."""
    return hashlib.sha256(json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
