"""Dataclasses to JSON and back, by their type hints; unknown keys are dropped and missing ones take defaults."""

import types
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints


def dump(value: Any) -> Any:
    """What JSON can hold of a dataclass: instants as ISO-8601 text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: dump(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [dump(each) for each in value]
    if is_dataclass(value):
        return {each.name: dump(getattr(value, each.name)) for each in fields(value)}
    return value


@cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return get_type_hints(cls)


def load[T](cls: type[T], data: Any) -> T:
    """The dataclass that `dump` made `data` of. Raises ValueError or TypeError for anything else."""
    if not isinstance(data, dict):
        raise ValueError(f"{cls.__name__} is kept as an object")  # noqa: TRY004  (callers catch ValueError)
    hints: dict[str, Any] = _hints(cls)  # type: ignore[arg-type]  # a class is hashable
    return cls(**{name: _value(hint, data[name]) for name, hint in hints.items() if name in data})


def _value(hint: Any, data: Any) -> Any:
    if data is None or hint is Any:
        return data
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return _value(next(each for each in arguments if each is not type(None)), data)
    if hint is datetime:
        return datetime.fromisoformat(data)
    if origin is list:
        return [_value(arguments[0], each) for each in data]
    if origin is dict:
        return {key: _value(arguments[1], each) for key, each in data.items()}
    return load(hint, data) if isinstance(hint, type) and is_dataclass(hint) else data
