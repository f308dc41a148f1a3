"""The subset of OData `$filter` that the Graph front understands.

`eq ne gt ge lt le`, `and or not`, `in`, `contains startswith endswith`, parentheses, and paths with slashes.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:"
    r"(?P<string>'(?:[^']|'')*')"
    r"|(?P<datetime>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,12})?)?(?:Z|[+-]\d{2}:\d{2}))"
    r"|(?P<guid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_@][\w.@]*(?:/[A-Za-z_][\w.]*)*)"
    r"|(?P<mark>[(),])"
    r")"
)
_COMPARISONS = ("eq", "ne", "gt", "ge", "lt", "le")
_FUNCTIONS = ("contains", "startswith", "endswith")
_MAX_LENGTH = 8_000
_MAX_DEPTH = 30

type Value = str | int | float | bool | dt.datetime | None


class FilterError(ValueError):
    """A `$filter` that can't be read; the text is fit for the error message of a 400."""


@dataclass(frozen=True)
class Comparison:
    """`path operator value`."""

    path: str
    operator: str
    value: Value


@dataclass(frozen=True)
class Membership:
    """`path in (value, ...)`."""

    path: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Function:
    """`contains(path, 'text')` and its like."""

    name: str
    path: str
    text: str


@dataclass(frozen=True)
class Not:
    """`not (...)`."""

    inner: "Node"


@dataclass(frozen=True)
class Junction:
    """`left and right` or `left or right`, over any number of parts."""

    operator: str
    parts: tuple["Node", ...]


type Node = Comparison | Membership | Function | Not | Junction


def parse_datetime(text: str) -> dt.datetime:
    """An OData timestamp, with up to twelve fraction digits of which six are kept. Raises ValueError."""
    fraction = re.search(r"\.(\d+)", text)
    if fraction:
        text = text.replace(fraction.group(0), "." + (fraction.group(1) + "000000")[:6], 1)
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a timestamp needs an offset")
    return moment


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > _MAX_LENGTH:
            raise FilterError("The filter is too long.")
        self.tokens: list[tuple[str, str]] = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = _TOKEN.match(stripped, position)
            if match is None or match.lastgroup is None:
                raise FilterError(f"Syntax error at position {position} in '{text}'.")
            self.tokens.append((match.lastgroup, match.group(match.lastgroup)))
            position = match.end()
        self.index = 0
        self.depth = 0
        self.text = text

    def error(self) -> FilterError:
        return FilterError(f"Syntax error: character(s) not valid at token {self.index} in '{self.text}'.")

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.index] if self.index < len(self.tokens) else ("end", "")

    def take(self, kind: str | None = None, value: str | None = None) -> tuple[str, str]:
        token = self.peek()
        if token[0] == "end" or (kind and token[0] != kind) or (value is not None and token[1] != value):
            raise self.error()
        self.index += 1
        return token

    def word(self, *words: str) -> str | None:
        kind, value = self.peek()
        if kind == "name" and value in words:
            self.index += 1
            return value
        return None

    def parse(self) -> Node:
        node = self.any_of()
        if self.peek()[0] != "end":
            raise self.error()
        return node

    def any_of(self) -> Node:
        parts = [self.all_of()]
        while self.word("or"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else Junction("or", tuple(parts))

    def all_of(self) -> Node:
        parts = [self.term()]
        while self.word("and"):
            parts.append(self.term())
        return parts[0] if len(parts) == 1 else Junction("and", tuple(parts))

    def term(self) -> Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise FilterError("The filter is nested too deeply.")
        try:
            return self._term()
        finally:
            self.depth -= 1

    def _term(self) -> Node:
        if self.word("not"):
            return Not(self.term())
        if self.peek() == ("mark", "("):
            self.take()
            node = self.any_of()
            self.take("mark", ")")
            return node
        _, path = self.take("name")
        if path in _FUNCTIONS and self.peek() == ("mark", "("):
            self.take()
            _, argument = self.take("name")
            self.take("mark", ",")
            text = self.value()
            self.take("mark", ")")
            if not isinstance(text, str):
                raise self.error()
            return Function(path, argument, text)
        if self.word("in"):
            self.take("mark", "(")
            values = [self.value()]
            while self.peek() == ("mark", ","):
                self.take()
                values.append(self.value())
            self.take("mark", ")")
            return Membership(path, tuple(values))
        operator = self.word(*_COMPARISONS)
        if operator is None:
            raise self.error()
        return Comparison(path, operator, self.value())

    def value(self) -> Value:
        kind, text = self.take()
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "datetime":
            try:
                return parse_datetime(text)
            except ValueError as reason:
                raise FilterError(f"'{text}' is not a valid Edm.DateTimeOffset.") from reason
        if kind == "guid":
            return text
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "name" and text in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text]
        raise self.error()


def parse_filter(text: str) -> Node:
    """The tree of a `$filter`. Raises FilterError with a message for people."""
    return _Parser(text).parse()


def equality_terms(node: Node) -> dict[str, Value]:
    """The `path eq value` terms that must all hold: those at the top, joined by `and` only."""
    if isinstance(node, Comparison):
        return {node.path: node.value} if node.operator == "eq" else {}
    if isinstance(node, Junction) and node.operator == "and":
        found: dict[str, Value] = {}
        for part in node.parts:
            found.update(equality_terms(part))
        return found
    return {}


def paths(node: Node) -> set[str]:
    """Every property path that the filter names."""
    if isinstance(node, Junction):
        return set().union(*(paths(part) for part in node.parts))
    if isinstance(node, Not):
        return paths(node.inner)
    return {node.path}


def _look_up(item: Mapping[str, Any], path: str) -> Any:
    current: Any = item
    for part in path.split("/"):
        if not isinstance(current, Mapping):
            return None
        current = current.get(part)
    return current


def _comparable(actual: Any, wanted: Value, *, fold: bool) -> tuple[Any, Any] | None:
    """Both sides in one type, or None when they can't be compared."""
    if isinstance(actual, str) and isinstance(wanted, dt.datetime):
        try:
            return parse_datetime(actual), wanted
        except ValueError:
            return None
    if isinstance(actual, str) and isinstance(wanted, str):
        return (actual.casefold(), wanted.casefold()) if fold else (actual, wanted)
    if isinstance(actual, bool) != isinstance(wanted, bool):
        return None
    if isinstance(actual, int | float) and isinstance(wanted, int | float):
        return actual, wanted
    return None


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "gt": lambda a, b: bool(a > b),
    "ge": lambda a, b: bool(a >= b),
    "lt": lambda a, b: bool(a < b),
    "le": lambda a, b: bool(a <= b),
}


def _compare(actual: Any, operator: str, wanted: Value, *, fold: bool) -> bool:
    if operator == "ne":
        return not _compare(actual, "eq", wanted, fold=fold)
    if actual is None or wanted is None:
        return operator == "eq" and actual is None and wanted is None
    pair = _comparable(actual, wanted, fold=fold)
    return pair is not None and _ORDER[operator](*pair)


def matches(node: Node, item: Mapping[str, Any], *, case_sensitive: bool = False) -> bool:
    """Whether a JSON object satisfies the filter. Text compares without case unless told otherwise."""
    fold = not case_sensitive
    if isinstance(node, Junction):
        combine = all if node.operator == "and" else any
        return combine(matches(part, item, case_sensitive=case_sensitive) for part in node.parts)
    if isinstance(node, Not):
        return not matches(node.inner, item, case_sensitive=case_sensitive)
    actual = _look_up(item, node.path)
    if isinstance(node, Comparison):
        return _compare(actual, node.operator, node.value, fold=fold)
    if isinstance(node, Membership):
        return any(_compare(actual, "eq", value, fold=fold) for value in node.values)
    if not isinstance(actual, str):
        return False
    text, sought = (actual.casefold(), node.text.casefold()) if fold else (actual, node.text)
    if node.name == "contains":
        return sought in text
    return text.startswith(sought) if node.name == "startswith" else text.endswith(sought)
