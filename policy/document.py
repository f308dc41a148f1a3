"""A rule's wording as typed values, and its validation. Pure: no database, no clock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.dateparse import parse_duration
from django.utils.duration import duration_iso_string

from base.errors import Invalid


@dataclass(frozen=True, slots=True)
class Approvers:
    """Who may decide at a stage: named people and members of directory groups (object ids)."""

    people: frozenset[str]
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a decision: `quorum` different approvers must agree."""

    approvers: Approvers
    quorum: int


@dataclass(frozen=True, slots=True)
class RuleDocument:
    """What a rule says. `groups` are object ids of PIM groups; empty means every managed group."""

    groups: frozenset[str]
    stages: tuple[Stage, ...]
    longest_duration: timedelta | None
    shortest_justification: int  # characters
    reference_required: bool
    lapses_after: timedelta  # business time until an unanswered request lapses


KNOWN_FIELDS = {
    "groups",
    "stages",
    "longest_duration",
    "shortest_justification",
    "reference_required",
    "lapses_after",
}


def parse_document(raw: Mapping[str, Any]) -> RuleDocument:
    """Read a stored or submitted document.

    Raises:
        Invalid: an unknown field, no stage, a stage without approvers, a quorum below one, a bad duration.
    """
    unknown = set(raw) - KNOWN_FIELDS
    if unknown:
        raise Invalid("rule.unknown_field", f"A rule has no field {', '.join(sorted(unknown))}. Remove it.")
    stages = tuple(_stage(entry, number) for number, entry in enumerate(_list(raw, "stages"), start=1))
    if not stages:
        raise Invalid("rule.no_stage", "A rule needs at least one approval stage.", field="stages")
    return RuleDocument(
        groups=_ids(raw.get("groups", [])),
        stages=stages,
        longest_duration=_duration(raw["longest_duration"]) if raw.get("longest_duration") else None,
        shortest_justification=int(raw.get("shortest_justification", 10)),
        reference_required=bool(raw.get("reference_required", False)),
        lapses_after=_duration(raw.get("lapses_after", "P1D")),
    )


def serialise_document(document: RuleDocument) -> dict[str, Any]:
    """The JSON form that `parse_document` reads, with sorted members, so that equal rules hash equally."""
    raw: dict[str, Any] = {
        "groups": sorted(document.groups),
        "stages": [
            {
                "quorum": stage.quorum,
                "people": sorted(stage.approvers.people),
                "groups": sorted(stage.approvers.groups),
            }
            for stage in document.stages
        ],
        "shortest_justification": document.shortest_justification,
        "reference_required": document.reference_required,
        "lapses_after": duration_iso_string(document.lapses_after),
    }
    if document.longest_duration is not None:
        raw["longest_duration"] = duration_iso_string(document.longest_duration)
    return raw


def document_hash(raw: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON; what a decision names as its basis."""
    return hashlib.sha256(json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _stage(raw: Mapping[str, Any], number: int) -> Stage:
    approvers = Approvers(people=_ids(raw.get("people", [])), groups=_ids(raw.get("groups", [])))
    quorum = int(raw.get("quorum", 1))
    if not approvers.people and not approvers.groups:
        raise Invalid("rule.no_approver", f"Stage {number} names nobody who may decide.", field="stages")
    if quorum < 1:
        raise Invalid("rule.quorum", f"Stage {number} needs a quorum of at least one.", field="stages")
    return Stage(approvers=approvers, quorum=quorum)


def _list(raw: Mapping[str, Any], field: str) -> Sequence[Mapping[str, Any]]:
    value = raw.get(field, [])
    if not isinstance(value, list):
        raise Invalid("rule.not_a_list", f"{field} must be a list.", field=field)
    return value


def _ids(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry for entry in value):
        raise Invalid("rule.ids", "People and groups are given as lists of Entra object ids.")
    return frozenset(value)


def _duration(value: str) -> timedelta:
    parsed = parse_duration(value)
    if parsed is None or parsed <= timedelta(0):
        raise Invalid("rule.duration", f"{value!r} is not a duration such as PT8H or P1D.")
    return parsed
