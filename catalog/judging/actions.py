"""The IAM actions that AWS documents, as bits of one number, so that what two policies allow can be compared.

The table is `actions.txt` beside this file (ADR 0038). An action's bit is its place in that file; `version` names the
file, and sets of different versions can't be compared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).with_name("actions.txt")


class Level(StrEnum):
    """AWS's access levels, the weightiest first."""

    PERMISSIONS = "P"
    WRITE = "W"
    TAGGING = "T"
    READ = "R"
    LIST = "L"


@dataclass(frozen=True, slots=True)
class Span:
    """The actions of one service and access level: bits `first` to `first + len(names) - 1`."""

    service: str
    level: Level
    first: int
    names: tuple[str, ...]

    def of(self, bits: int) -> int:
        """Those of `bits` that are in this span, moved down to bit 0."""
        return bits >> self.first & (1 << len(self.names)) - 1


@dataclass(frozen=True, slots=True)
class ActionTable:
    """All known actions. Build it with `action_table()`."""

    version: str
    spans: tuple[Span, ...]
    _by_service: Mapping[str, Mapping[str, int]] = field(repr=False)

    @property
    def count(self) -> int:
        return self.spans[-1].first + len(self.spans[-1].names)

    @property
    def everything(self) -> int:
        return (1 << self.count) - 1

    def matching(self, pattern: str) -> int:
        """The actions that a policy's `Action` entry matches, by IAM's rules: any case, `*` and `?`; 0 for none."""
        pattern = pattern.lower()
        service, colon, verb = pattern.partition(":")
        if not colon:
            return self.everything if set(pattern) == {"*"} else 0
        found = 0
        for actions in self._services(service):
            if not _has_wildcard(verb):
                place = actions.get(verb)
                found |= 0 if place is None else 1 << place
                continue
            if set(verb) == {"*"}:
                found |= sum(1 << place for place in actions.values())
                continue
            wanted = _expression(verb)
            for name, place in actions.items():
                if wanted.fullmatch(name):
                    found |= 1 << place
        return found

    def _services(self, pattern: str) -> Iterator[Mapping[str, int]]:
        if not _has_wildcard(pattern):
            yield self._by_service.get(pattern, {})
            return
        wanted = _expression(pattern)
        yield from (actions for service, actions in self._by_service.items() if wanted.fullmatch(service))

    def names(self, bits: int) -> Iterator[tuple[Span, str]]:
        """The actions of `bits` with their spans, in the table's order."""
        for span in self.spans:
            rest = span.of(bits)
            while rest:
                lowest = rest & -rest
                yield span, span.names[lowest.bit_length() - 1]
                rest ^= lowest

    def counts(self, bits: int) -> dict[tuple[str, Level], int]:
        """How many actions of each service and access level are in `bits`, the zeros left out."""
        return {
            (span.service, span.level): number for span in self.spans if (number := span.of(bits).bit_count())
        }


def _has_wildcard(text: str) -> bool:
    return "*" in text or "?" in text


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*+|\?)", pattern)
    wild = {"?": "."}
    return re.compile(
        "".join(".*" if part.startswith("*") else wild.get(part, re.escape(part)) for part in parts)
    )


def read_table(text: str) -> ActionTable:
    """The table of a file's text: lines of service, level's letter and names.

    Raises:
        ValueError: for a line that is none.
    """
    spans: list[Span] = []
    by_service: dict[str, dict[str, int]] = {}
    first = 0
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        service, letter, *names = line.split(" ")
        spans.append(Span(service, Level(letter), first, tuple(names)))
        places = by_service.setdefault(service, {})
        places.update((name.lower(), first + place) for place, name in enumerate(names))
        first += len(names)
    return ActionTable(hashlib.sha256(text.encode()).hexdigest()[:16], tuple(spans), by_service)


@lru_cache(maxsize=1)
def action_table() -> ActionTable:
    """The table of this release: some 20 ms and 5 MB at the first call in a process."""
    return read_table(_FILE.read_text())
