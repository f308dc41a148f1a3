"""Rules to text: YAML that `policy.reading` reads back to the same rules, with the same bytes for the same rules.

Comments of whoever wrote them aren't kept. With `names`, what an id stands for is said beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from policy.schema import (
    ASSURANCE,
    AUTOMATIC,
    EMERGENCY,
    ESCALATION,
    HOURS,
    NAMED,
    ONLY,
    REVIEWERS,
    RULE,
    SCOPE,
    STAGE,
    STEP_UP,
)

_ENTRY = re.compile(r"^(?P<start>\s*- )(?P<value>\S+)$")
# As Django writes durations; people write PT8H.
_LONG_DURATION = re.compile(r"P(\d+)DT(\d\d)H(\d\d)M(\d\d)S")
# What a name beside an id must not hold: it could end the comment, or hide what follows.
_PLAIN = re.compile(r"[^\w .,:/()'&+-]")


def write_rules(documents: Mapping[str, Mapping[str, Any]], names: Mapping[str, str] | None = None) -> str:
    """Serialised documents by name as a file of rules, in the order of their names."""
    rules = [_ordered({"name": name, **documents[name]}, RULE) for name in sorted(documents)]
    text = yaml.safe_dump(
        {"rules": rules}, sort_keys=False, allow_unicode=True, default_flow_style=False, width=4096, indent=2
    )
    return "".join(_with_name(line, names) for line in text.splitlines(keepends=True)) if names else str(text)


def _ordered(value: Any, schema: Mapping[str, Any]) -> Any:
    """Fields in the order in which the schema has them, without those that say nothing."""
    if not isinstance(value, Mapping):
        return value
    order = list(schema["properties"])
    inner = {
        "escalation": ESCALATION,
        "applies_to": SCOPE,
        "during": HOURS,
        "outside": HOURS,
        "second_approver_outside": HOURS,
        "stages": STAGE,
        "step_up": STEP_UP,
        "ask": ASSURANCE,
        "decide": ASSURANCE,
        "emergency": EMERGENCY,
        "allowed": NAMED,
        "reviewers": REVIEWERS,
        "escalates_to": NAMED,
        "automatic": AUTOMATIC,
        "only": ONLY,
    }
    found = {}
    for key in sorted(value, key=lambda each: (order.index(each) if each in order else len(order), each)):
        each = value[key]
        if each in ([], {}, None):
            continue
        shape = inner.get(key)
        if shape is not None:
            each = [_ordered(one, shape) for one in each] if isinstance(each, list) else _ordered(each, shape)
        found[key] = _short_duration(each) if isinstance(each, str) else each
    return found


def _short_duration(text: str) -> str:
    """A duration without the parts that are nothing; any other text as it is."""
    parts = _LONG_DURATION.fullmatch(text)
    if parts is None:
        return text
    days, *clock = [int(part) for part in parts.groups()]
    time = "".join(f"{number}{unit}" for number, unit in zip(clock, "HMS", strict=True) if number)
    return f"P{f'{days}D' if days else ''}{f'T{time}' if time else ''}"


def _with_name(line: str, names: Mapping[str, str]) -> str:
    entry = _ENTRY.match(line.rstrip("\n"))
    name = names.get(entry["value"], "") if entry else ""
    return f"{line.rstrip()}  # {' '.join(_PLAIN.sub(' ', name).split())[:80]}\n" if name else line
