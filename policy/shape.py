"""Holding a document against a JSON Schema, with every mistake as a sentence and the way to it. Pure.

It knows the part of JSON Schema that `policy.schema` uses and refuses to run on any other, so that what is published
is what is checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

type Path = tuple[str | int, ...]
type Mistakes = Iterator[tuple[Path, str]]

# What says nothing about validity, or is read together with another keyword.
_SILENT = {
    "$schema", "$id", "$defs", "title", "description", "default", "examples", "properties", "$comment",
}  # fmt: skip
_KINDS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
}
_WORDS = {
    "object": "a mapping of fields",
    "array": "a list",
    "string": "a text, in quotation marks if need be",
    "integer": "a whole number",
    "boolean": "true or false",
}


@dataclass(frozen=True, slots=True)
class _At:
    """Where a check stands: the schema that holds here, the whole one for its references, and the way so far."""

    schema: Mapping[str, Any]
    root: Mapping[str, Any]
    path: Path


def mistakes(value: Any, schema: Mapping[str, Any]) -> Mistakes:
    """Every mistake in a document. Raises ValueError for a schema that has a keyword unknown here."""
    yield from _check(value, schema, schema, ())


def _check(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: Path) -> Mistakes:
    if "$ref" in schema:
        yield from _check(value, _found(schema["$ref"], root), root, path)
        return
    kind = schema.get("type")
    if kind is not None and not _is(value, kind):
        yield path, f"must be {_WORDS[kind]}, not {_shown(value)}."
        return
    for keyword, wanted in schema.items():
        if keyword in _SILENT or keyword == "type":
            continue
        yield from _keyword(keyword)(value, wanted, _At(schema, root, path))
    if isinstance(value, dict):
        for key, inner in schema.get("properties", {}).items():
            if key in value:
                yield from _check(value[key], inner, root, (*path, key))


def _found(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def _is(value: Any, kind: str) -> bool:
    # In Python a bool is an int; in a document it is none.
    return isinstance(value, _KINDS[kind]) and not (kind == "integer" and isinstance(value, bool))


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return "a mapping of fields" if isinstance(value, dict) else "a list"
    return f"“{str(value)[:60]}”"


# ------------------------------------------------------------ one function a keyword


def _required(value: Any, wanted: Sequence[str], at: _At) -> Mistakes:
    if isinstance(value, dict):
        for name in wanted:
            if name not in value:
                yield at.path, f"lacks the field “{name}”."


def _additional(value: Any, wanted: Any, at: _At) -> Mistakes:
    if not isinstance(value, dict):
        return
    known = at.schema.get("properties", {})
    for key in value:
        if key in known:
            continue
        if not isinstance(key, str):
            yield (*at.path, str(key)), f"“{key}” is no name of a field: put it in quotation marks."
        elif wanted is False:
            near = _nearest(str(key), known)
            hint = f" Did you mean “{near}”?" if near else f" There are {', '.join(sorted(known))}."
            yield (*at.path, key), f"has no field “{key[:60]}”.{hint}"
        else:
            yield from _check(value[key], wanted, at.root, (*at.path, key))


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    return next(iter(get_close_matches(key, list(known), n=1)), "")


def _items(value: Any, wanted: Mapping[str, Any], at: _At) -> Mistakes:
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _check(each, wanted, at.root, (*at.path, number))


def _enum(value: Any, wanted: Sequence[Any], at: _At) -> Mistakes:
    if value not in wanted:
        yield at.path, f"must be one of {', '.join(map(str, wanted))}, not {_shown(value)}."


def _least(value: Any, wanted: int, at: _At) -> Mistakes:
    if isinstance(value, int) and value < wanted:
        yield at.path, f"must be at least {wanted}, not {value}."


def _most(value: Any, wanted: int, at: _At) -> Mistakes:
    if isinstance(value, int) and value > wanted:
        yield at.path, f"must be at most {wanted}, not {value}."


def _min_items(value: Any, wanted: int, at: _At) -> Mistakes:
    if isinstance(value, list) and len(value) < wanted:
        yield at.path, "needs at least one entry." if wanted == 1 else f"needs at least {wanted} entries."


# Lists of texts only: of other values no schema of ours wants it.
def _unique(value: Any, wanted: bool, at: _At) -> Mistakes:
    if wanted and isinstance(value, list):
        seen: set[str] = set()
        for number, each in enumerate(value):
            if isinstance(each, str) and each in seen:
                yield (*at.path, number), f"has {_shown(each)} twice."
            seen.add(str(each))


def _min_length(value: Any, wanted: int, at: _At) -> Mistakes:
    if isinstance(value, str) and len(value) < wanted:
        yield at.path, "must not be empty." if wanted == 1 else f"must have at least {wanted} characters."


def _max_length(value: Any, wanted: int, at: _At) -> Mistakes:
    if isinstance(value, str) and len(value) > wanted:
        yield at.path, f"must have at most {wanted} characters, and has {len(value)}."


def _pattern(value: Any, wanted: str, at: _At) -> Mistakes:
    if isinstance(value, str) and not re.search(wanted, value):
        yield at.path, f"must be {at.schema.get('title', 'of the form ' + wanted)}, not {_shown(value)}."


def _any_of(value: Any, wanted: Sequence[Mapping[str, Any]], at: _At) -> Mistakes:
    """One of several forms: what is wrong is told of the form whose type it has."""
    told = [list(_check(value, each, at.root, at.path)) for each in wanted]
    if all(told):
        forms = [_found(each["$ref"], at.root) if "$ref" in each else each for each in wanted]
        kinds = [each.get("type", "") for each in forms]
        fitting = [found for kind, found in zip(kinds, told, strict=True) if kind and _is(value, kind)]
        if not any(kinds):
            yield at.path, at.schema["$comment"]
        elif fitting:
            yield from fitting[0]
        else:
            yield (
                at.path,
                f"must be {' or '.join(_WORDS[kind] for kind in kinds if kind)}, not {_shown(value)}.",
            )


_KEYWORDS: Mapping[str, Callable[..., Mistakes]] = {
    "required": _required,
    "additionalProperties": _additional,
    "items": _items,
    "enum": _enum,
    "minimum": _least,
    "maximum": _most,
    "minItems": _min_items,
    "uniqueItems": _unique,
    "minLength": _min_length,
    "maxLength": _max_length,
    "pattern": _pattern,
    "anyOf": _any_of,
}


def _keyword(name: str) -> Callable[..., Mistakes]:
    try:
        return _KEYWORDS[name]
    except KeyError:
        raise ValueError(f"{name} is no keyword that this reads.") from None
