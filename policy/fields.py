"""Reading single fields of a rule's document: each refuses what it can't read with a sentence that names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import re2
from django.utils.dateparse import parse_duration

from base.errors import Invalid

# A pattern is matched by RE2, in time linear to the text: no pattern can hang a page.
LONGEST_PATTERN = 200


def refuse_unknown(raw: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    """Raises Invalid where `raw` has a field that nobody reads: a misspelt demand must not be ignored."""
    unknown = set(raw) - set(known)
    if unknown:
        raise Invalid("rule.unknown_field", f"{what} has no field {', '.join(sorted(unknown))}. Remove it.")


def mapping(raw: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """A mapping, empty when the field is absent."""
    value = raw.get(field) or {}
    if not isinstance(value, Mapping):
        raise Invalid("rule.not_a_mapping", f"{field} must be a mapping of fields.", field=field)
    return value


def rows(raw: Mapping[str, Any], field: str) -> Sequence[Mapping[str, Any]]:
    """A list of mappings, empty when the field is absent."""
    value = raw.get(field, [])
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise Invalid("rule.not_a_list", f"{field} must be a list.", field=field)
    return value


def texts(raw: Mapping[str, Any], field: str) -> frozenset[str]:
    """A set of texts, empty when the field is absent."""
    value = raw.get(field, [])
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry.strip() for entry in value):
        raise Invalid("rule.not_texts", f"{field} must be a list of texts.", field=field)
    return frozenset(entry.strip() for entry in value)


def texts_by_key(raw: Mapping[str, Any], field: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """Sets of texts by a key, sorted by it; empty when the field is absent."""
    found = mapping(raw, field)
    return tuple(sorted((str(key), texts(found, key)) for key in found))


def ids(raw: Mapping[str, Any], field: str) -> frozenset[str]:
    """Entra object ids, empty when the field is absent."""
    value = raw.get(field, [])
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry for entry in value):
        raise Invalid("rule.ids", "People and groups are given as lists of Entra object ids.", field=field)
    return frozenset(value)


def span_of(text: str) -> timedelta | None:
    """A text that is an ISO 8601 duration, and not longer than any that can be told."""
    try:
        return parse_duration(text)
    except OverflowError:
        return None


def duration(value: object, field: str) -> timedelta:
    """An ISO 8601 duration longer than nothing."""
    parsed = span_of(value) if isinstance(value, str) else None
    if parsed is None or parsed <= timedelta(0):
        raise Invalid(
            "rule.duration", f"{field}: {value!r} is not a duration such as PT8H or P1D.", field=field
        )
    return parsed


def whole(raw: Mapping[str, Any], field: str, default: int, *, least: int) -> int:
    """A whole number of at least `least`."""
    value = raw.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise Invalid("rule.number", f"{field} must be a whole number of at least {least}.", field=field)
    return value


def yes(raw: Mapping[str, Any], field: str) -> bool:
    """True or false; false when absent. Nothing else is taken for either."""
    value = raw.get(field, False)
    if not isinstance(value, bool):
        raise Invalid("rule.yes", f"{field} must be true or false.", field=field)
    return value


def word(raw: Mapping[str, Any], field: str) -> str:
    """A text without blanks around it, "" when the field is absent."""
    value = raw.get(field, "")
    if not isinstance(value, str) or (field in raw and not value.strip()):
        raise Invalid("rule.text", f"{field} must be a text.", field=field)
    return value.strip()


def patterns(raw: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """One pattern or a list of them, all of which a text has to match as a whole; sorted, each once."""
    value = raw.get(field, [])
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
        raise Invalid("rule.pattern", f"{field} must be a pattern or a list of patterns.", field=field)
    for each in found:
        if len(each) > LONGEST_PATTERN:
            raise Invalid(
                "rule.pattern", f"{field}: a pattern has at most {LONGEST_PATTERN} characters.", field=field
            )
        try:
            re2.compile(each, _quiet())
        except re2.error as error:
            raise Invalid(
                "rule.pattern", f"{field}: {each!r} is not a pattern that RE2 reads ({error}).", field=field
            ) from error
    return tuple(sorted(set(found)))


def fits(pattern: str, text: str) -> bool:
    """Whether the whole text matches. The pattern was read by `patterns`."""
    return re2.fullmatch(pattern, text, _quiet()) is not None


def _quiet() -> Any:
    """RE2 writes a refused pattern to stderr by itself unless told not to; we say it in our own words."""
    options = re2.Options()
    options.log_errors = False
    return options
