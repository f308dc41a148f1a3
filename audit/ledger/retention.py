"""How long what people wrote, and their names, stay readable beside the events: a setting, off by default.

`AUDIT_WORDS_KEPT_DAYS` gives days for event types, by blanks: `signin=90 request.submitted=1825 *=3650`. A name is an
event type, an area (what stands before the dot) or `*` for all others; the most precise one holds. What none names is
kept for ever. `AUDIT_EVENTS_KEPT_DAYS` says the same of the events themselves (`retirement`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

LEAST_DAYS = 30  # the database refuses to erase what is younger (erasure.ERASE)
_RULE = re.compile(r"(?P<name>\*|[a-z][a-z_]*(?:\.[a-z][a-z_]*)?)=(?P<days>[0-9]{1,6})")


class RetentionError(Exception):
    """The setting says something that can't be carried out; the message says what."""


def parse(text: str, *, least: int = LEAST_DAYS) -> Mapping[str, int]:
    """Days by name, at least `least`. Raises RetentionError."""
    found: dict[str, int] = {}
    for each in text.split():
        match = _RULE.fullmatch(each)
        if match is None:
            raise RetentionError(f"{each!r} isn't NAME=DAYS, where NAME is an event type, an area or *.")
        if match["name"] in found:
            raise RetentionError(f"{match['name']} is named twice.")
        if int(match["days"]) < least:
            raise RetentionError(f"{each}: that is kept for at least {least} days.")
        found[match["name"]] = int(match["days"])
    return found


def unknown(rules: Mapping[str, int], types: Collection[str]) -> Sequence[str]:
    """The names that no event type has."""
    areas = {name.partition(".")[0] for name in types}
    return sorted(name for name in rules if name != "*" and name not in types and name not in areas)


def by_days(rules: Mapping[str, int], types: Collection[str]) -> Mapping[int, Sequence[str]]:
    """The event types whose words are kept for so many days, in alphabetical order; without those of no rule."""
    found: dict[int, list[str]] = {}
    for name in sorted(types):
        for rule in (name, name.partition(".")[0], "*"):
            if rule in rules:
                found.setdefault(rules[rule], []).append(name)
                break
    return found
