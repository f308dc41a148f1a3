"""IAM policy documents, as far as deny statements about role sessions need them.

A document is read once (`parse`) and asked whether it denies one action of one session. Operators and
their treatment of a missing key follow the IAM user guide: a positive operator fails without the key, a negated one
holds; `IfExists` holds without the key; `ForAnyValue:` fails and `ForAllValues:` holds without values. A deny
statement that isn't understood is refused when the policy is written, never ignored when it is judged. What a role is
allowed isn't judged, so allow statements may say anything that is well formed.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

type Values = tuple[str, ...]
type Context = Mapping[str, Values]  # condition keys in lower case

DENY_KEYS = {"Sid", "Effect", "Action", "NotAction", "Resource", "Condition"}
ALLOW_KEYS = DENY_KEYS | {"NotResource"}


@dataclass(frozen=True)
class Condition:
    """One operator on one key. `quantifier` is "", "ForAnyValue" or "ForAllValues"."""

    quantifier: str
    operator: str
    if_exists: bool
    key: str
    values: Values

    def holds(self, context: Context) -> bool:
        """Whether the session's values meet it."""
        present = context.get(self.key, ())
        if self.operator == "Null":
            return bool(present) != (self.values[0].lower() == "true")
        if not present and self.if_exists:
            return True
        test, negated = OPERATORS[self.operator]
        if self.quantifier == "ForAllValues":
            return all(self._one(test, each, negated) for each in present)
        if self.quantifier == "ForAnyValue":
            return any(self._one(test, each, negated) for each in present)
        if not present:
            return negated
        return self._one(test, present[0], negated)

    def _one(self, test: Callable[[str, str], bool], value: str, negated: bool) -> bool:
        return any(test(value, wanted) for wanted in self.values) != negated


@dataclass(frozen=True)
class Statement:
    """A deny statement."""

    actions: Values
    not_actions: Values
    resources: Values
    conditions: tuple[Condition, ...]

    def applies(self, action: str, resource: str, context: Context) -> bool:
        """Whether the statement speaks about this action of this session on this resource."""
        if not any(_like(resource, each) for each in self.resources):
            return False
        named = [_like(action.lower(), each.lower()) for each in self.actions or self.not_actions]
        if any(named) != bool(self.actions):
            return False
        return all(each.holds(context) for each in self.conditions)


@dataclass(frozen=True)
class Policy:
    """The deny statements of a document."""

    denials: tuple[Statement, ...]

    def denies(self, action: str, resource: str, context: Context) -> bool:
        """Whether a statement denies this action of this session on this resource (an ARN, or `*`)."""
        return any(each.applies(action, resource, context) for each in self.denials)


def parse(document: str) -> Policy:
    """The policy of a JSON document. Raises ValueError, which says what is wrong or not simulated."""
    try:
        content = json.loads(document)
    except ValueError as error:
        raise ValueError("it is no JSON") from error
    if not isinstance(content, dict) or content.get("Version") not in ("2012-10-17", "2008-10-17", None):
        raise ValueError("it is no policy document of a known version")
    statements = content.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not all(isinstance(each, dict) for each in statements):
        raise ValueError("Statement is missing or no list")
    for each in statements:
        _check(each)
    return Policy(tuple(_denial(each) for each in statements if each["Effect"] == "Deny"))


def _check(content: dict[str, Any]) -> None:
    effect = content.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise ValueError("Effect is neither Allow nor Deny")
    if unknown := set(content) - (ALLOW_KEYS if effect == "Allow" else DENY_KEYS):
        raise ValueError(f"{', '.join(sorted(unknown))} in a statement is not understood")
    if ("Action" in content) == ("NotAction" in content):
        raise ValueError("a statement has either Action or NotAction")
    if ("Resource" in content) == ("NotResource" in content):
        raise ValueError("a statement has either Resource or NotResource")
    _texts(content.get("Action", content.get("NotAction")))
    _texts(content.get("Resource", content.get("NotResource")))
    if not isinstance(content.get("Condition", {}), dict):
        raise ValueError("Condition is no object")  # noqa: TRY004  (callers catch ValueError)


def _denial(content: dict[str, Any]) -> Statement:
    conditions = content.get("Condition", {})
    return Statement(
        actions=_texts(content.get("Action")),
        not_actions=_texts(content.get("NotAction")),
        resources=_texts(content["Resource"]),
        conditions=tuple(
            _condition(name, key, values)
            for name, keys in conditions.items()
            for key, values in _keys(keys).items()
        ),
    )


def _keys(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise ValueError("a condition operator has at least one key")
    return value


def _texts(value: Any) -> Values:
    """One text or a list of texts, as a tuple; empty for None. Raises ValueError."""
    if value is None:
        return ()
    rows = value if isinstance(value, list) else [value]
    if not rows or not all(isinstance(each, str | int | bool) for each in rows):
        raise ValueError("a text or a list of texts is expected")
    return tuple(str(each).lower() if isinstance(each, bool) else str(each) for each in rows)


def _condition(name: str, key: str, values: Any) -> Condition:
    quantifier, _, operator = name.rpartition(":")
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    if quantifier not in ("", "ForAnyValue", "ForAllValues") or (
        operator not in OPERATORS and operator != "Null"
    ):
        raise ValueError(f"the condition operator {name} is not understood")
    wanted = _texts(values)
    if operator.startswith("Date"):
        for each in wanted:
            _moment(each)
    return Condition(quantifier, operator, if_exists, key.lower(), wanted)


# ---------------------------------------------------------------- operators


def _like(value: str, pattern: str) -> bool:
    """`*` and `?` as IAM reads them; brackets are brackets."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def _arn_like(value: str, pattern: str) -> bool:
    """Each of the six parts of an ARN is compared for itself."""
    mine, wanted = value.split(":", 5), pattern.split(":", 5)
    return len(mine) == len(wanted) and all(map(_like, mine, wanted))


def _moment(text: str) -> datetime:
    """An instant, in ISO 8601 or seconds since 1970. Raises ValueError."""
    if re.fullmatch(r"\d{1,12}(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"'{text}' is no date") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


# operator -> (test of the session's value against a policy's, whether it is negated)
OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (lambda mine, wanted: mine == wanted, False),
    "StringNotEquals": (lambda mine, wanted: mine == wanted, True),
    "StringEqualsIgnoreCase": (lambda mine, wanted: mine.lower() == wanted.lower(), False),
    "StringNotEqualsIgnoreCase": (lambda mine, wanted: mine.lower() == wanted.lower(), True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "ArnEquals": (_arn_like, False),
    "ArnLike": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnNotLike": (_arn_like, True),
    "Bool": (lambda mine, wanted: mine.lower() == wanted.lower(), False),
    "DateEquals": (lambda mine, wanted: _moment(mine) == _moment(wanted), False),
    "DateLessThan": (lambda mine, wanted: _moment(mine) < _moment(wanted), False),
    "DateLessThanEquals": (lambda mine, wanted: _moment(mine) <= _moment(wanted), False),
    "DateGreaterThan": (lambda mine, wanted: _moment(mine) > _moment(wanted), False),
    "DateGreaterThanEquals": (lambda mine, wanted: _moment(mine) >= _moment(wanted), False),
}
