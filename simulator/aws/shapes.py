"""Holds an answer to botocore's output shape: required members, types, patterns, lengths, nothing unknown."""

import re
from datetime import datetime
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from simulator.aws.patterns import compiled

# Refusals that every operation may give without its model saying so.
COMMON_ERRORS = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredTokenException",
    "Throttling",
    "ThrottlingException",
    "ValidationError",
}


def problems(shape: Shape | None, value: Any, path: str = "") -> list[str]:
    """Everything about `value` that the model doesn't allow."""
    if shape is None:
        return []
    if isinstance(shape, StructureShape):
        return _structure(shape, value, path)
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            return [f"{path}: not a list"]
        least, most = shape.metadata.get("min", 0), shape.metadata.get("max", len(value))
        found = [] if least <= len(value) <= most else [f"{path}: {len(value)} entries"]
        for i, item in enumerate(value):
            found += problems(shape.member, item, f"{path}[{i}]")
        return found
    if isinstance(shape, MapShape):
        return _map(shape, value, path)
    return _scalar(shape, value, path)


def _structure(shape: StructureShape, value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: not a structure"]
    found = [f"{path}.{name}: required" for name in shape.required_members if name not in value]
    for name, content in value.items():
        if name == "ResponseMetadata":
            continue
        if name not in shape.members:
            found.append(f"{path}.{name}: unknown")
        elif content is None:
            found.append(f"{path}.{name}: null")
        else:
            found += problems(shape.members[name], content, f"{path}.{name}")
    return found


def _map(shape: MapShape, value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: not a map"]
    found = []
    for name, content in value.items():
        found += problems(shape.key, name, f"{path}[{name!r}] as a name")
        found += problems(shape.value, content, f"{path}[{name!r}]")
    return found


def _scalar(shape: Shape, value: Any, path: str) -> list[str]:
    expected: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "integer": int,
        "long": int,
        "boolean": bool,
        "timestamp": (datetime, int, float),
        "double": (int, float),
    }
    mistaken = isinstance(value, bool) and shape.type_name != "boolean"  # which Python takes for a number
    if mistaken or not isinstance(value, expected.get(shape.type_name, object)):
        return [f"{path}: {value!r} is no {shape.type_name}"]
    found = []
    if isinstance(value, str):
        if shape.enum and value not in shape.enum:
            found.append(f"{path}: {value!r} is not one of {shape.enum}")
        pattern = shape.metadata.get("pattern")
        if pattern:
            found += _pattern(pattern, value, path)
        length = len(value)
        if not shape.metadata.get("min", 0) <= length <= shape.metadata.get("max", length):
            found.append(f"{path}: {length} characters")
    return found


def _pattern(pattern: str, value: str, path: str) -> list[str]:
    try:
        matches = compiled(pattern).fullmatch(value) is not None
    except re.error as error:
        return [f"{path}: its pattern {pattern} can't be read: {error}"]
    return [] if matches else [f"{path}: {value!r} doesn't match {pattern}"]


def is_known_error(operation: OperationModel, code: str) -> bool:
    """Whether the model lets this operation refuse with this code."""
    named = {each.name for each in operation.error_shapes} | {
        str(each.metadata.get("error", {}).get("code")) for each in operation.error_shapes
    }
    return code in COMMON_ERRORS or code in named
