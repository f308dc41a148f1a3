"""Two sets of rules against each other, in words: rule by rule, field by field. Pure.

It knows no field by heart: whatever a document holds is compared, so that no field can be forgotten here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from base.words import duration_words
from policy.fields import span_of

# Fields whose code name says too little.
TITLES = {
    "applies_to": "applies to",
    "during": "within hours",
    "groups": "groups",
    "lapses_after": "unanswered, it lapses after",
    "longest_duration": "longest duration",
    "outside": "outside of hours",
    "people": "people",
    "quorum": "how many must agree",
    "reference_required": "a reference is required",
    "shortest_justification": "characters of a justification at least",
    "units": "organisational units",
}
_ISO = re.compile(r"P(?=.)(\d+D)?(T(?=.)[0-9HMS.]+)?")


class Kind(StrEnum):
    """What becomes of a rule."""

    ADDED = "added"
    CHANGED = "changed"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One thing that a rule says differently. `before` or `after` is "" where it says nothing about it."""

    title: str
    before: str
    after: str

    @property
    def sentence(self) -> str:
        if not self.before:
            return f"{self.title}: {self.after}"
        if not self.after:
            return f"{self.title}: no longer {self.before}"
        return f"{self.title}: {self.after} instead of {self.before}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What becomes of one rule. A rule that comes or goes has all its fields on one side."""

    name: str
    kind: Kind
    fields: Sequence[FieldDifference]


def compare(
    before: Mapping[str, Mapping[str, Any]],
    after: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, str] | None = None,
) -> list[Difference]:
    """What differs between two sets of serialised documents, by name. `names`: display names by id."""
    found = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        kind = Kind.ADDED if old is None else Kind.RETIRED if new is None else Kind.CHANGED
        found.append(Difference(name, kind, list(_fields(old or {}, new or {}, names or {}))))
    return found


def in_words(differences: Sequence[Difference]) -> str:
    """The differences as text, a line each."""
    lines = []
    for each in differences:
        lines.append(f"{each.name}: {each.kind.value}")
        lines += [f"  {one.sentence}" for one in each.fields]
    return "".join(f"{line}\n" for line in lines)


def _fields(
    old: Mapping[str, Any], new: Mapping[str, Any], names: Mapping[str, str]
) -> Iterator[FieldDifference]:
    before, after = dict(_leaves(old)), dict(_leaves(new))
    for path in sorted({*before, *after}, key=_order):
        one, other = before.get(path), after.get(path)
        if one == other:
            continue
        if isinstance(one, frozenset) or isinstance(other, frozenset):
            yield from _of_sets(path, _set(one), _set(other), names)
        else:
            yield FieldDifference(title(path), value_words(one, names), value_words(other, names))


def _of_sets(
    path: Sequence[str | int], old: frozenset[str], new: frozenset[str], names: Mapping[str, str]
) -> Iterator[FieldDifference]:
    """Of a list that stays, only what comes and what goes is told."""
    if gone := old - new:
        yield FieldDifference(title(path), value_words(gone, names), "")
    if come := new - old:
        yield FieldDifference(title(path), "", ("also " if old else "") + value_words(come, names))


def _leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value of a document with the way to it; a list of texts is one value, a set."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(each, (*path, str(key)))
    elif isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        for number, each in enumerate(value, start=1):
            yield from _leaves(each, (*path, number))
    elif isinstance(value, list):
        if value:
            yield path, frozenset(map(str, value))
    elif value is not None:
        yield path, value


def _set(value: object) -> frozenset[str]:
    """A leaf as a set: one text and a list of one say the same."""
    if isinstance(value, frozenset):
        return value
    return frozenset() if value is None else frozenset({str(value)})


def _order(path: Sequence[str | int]) -> tuple[tuple[int, str], ...]:
    return tuple((each, "") if isinstance(each, int) else (0, each) for each in path)


def title(path: Sequence[str | int]) -> str:
    """The way to a value in words, e.g. "stage 2: how many must agree"."""
    parts: list[str] = []
    for each in path:
        if isinstance(each, int) and parts:
            parts[-1] = f"{parts[-1].removesuffix('s')} {each}"
        else:
            parts.append(TITLES.get(str(each), str(each).replace("_", " ")))
    return ": ".join(parts)


def value_words(value: object, names: Mapping[str, str]) -> str:
    """A value for people: names for ids, spans in words, yes and no."""
    if value is None:
        return ""
    if isinstance(value, frozenset):
        return ", ".join(sorted(names.get(each, each) for each in value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if _ISO.fullmatch(text) and (span := span_of(text)) is not None:
        return duration_words(span)
    return names.get(text, text)
