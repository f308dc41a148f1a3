"""An IAM policy document as statements of which only the outline is kept: what, and whether everywhere and always."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# The resource part of an ARN that names no single thing: `*`, `*/*`, `role/*`, `function:*`, `table/*/index/*`.
_ANYTHING = re.compile(r"\*[*:/]*")
_ANY_OF_A_TYPE = re.compile(r"[a-zA-Z-]+[:/]\*[*:/]*(?:[a-zA-Z-]+[:/]\*+)*")
# Services whose resource part begins with the thing's own name instead of its type.
_WITHOUT_TYPE = frozenset({"s3", "sqs", "sns", "codecommit", "execute-api"})


class NotAPolicy(ValueError):
    """A text that is no policy document as IAM describes one."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `actions` are patterns; `everything_but`: all actions except those (`NotAction`)."""

    allows: bool
    actions: tuple[str, ...]
    everything_but: bool
    named_resources: bool  # not on all resources
    conditional: bool


def read_policy(text: str) -> tuple[Statement, ...]:
    """The statements of a policy's JSON text.

    Raises:
        NotAPolicy: what it allows is not known then.
        ValueError: it isn't even JSON.
    """
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise NotAPolicy("nested too deeply") from error
    if not isinstance(document, dict):
        raise NotAPolicy("not a policy")
    statements = document.get("Statement")
    rows = [statements] if isinstance(statements, dict) else statements
    if not isinstance(rows, list):
        raise NotAPolicy("not a policy")
    return tuple(_statement(row) for row in rows)


def _statement(row: Any) -> Statement:
    if not isinstance(row, dict) or row.get("Effect") not in ("Allow", "Deny"):
        raise NotAPolicy("a statement has no effect")
    if ("Action" in row) == ("NotAction" in row):
        raise NotAPolicy("a statement says either Action or NotAction")
    everything_but = "NotAction" in row
    return Statement(
        allows=row["Effect"] == "Allow",
        actions=tuple(_texts(row["NotAction" if everything_but else "Action"])),
        everything_but=everything_but,
        named_resources=_named_resources(row),
        conditional=bool(row.get("Condition")),
    )


def _named_resources(row: dict[str, Any]) -> bool:
    if "NotResource" in row:
        return True
    if "Resource" not in row:
        return False  # IAM would refuse it; nothing says that it is limited
    resources = _texts(row["Resource"])
    if row["Effect"] == "Deny":  # a denial counts only where it holds everywhere
        return "*" not in resources
    return not any(is_everywhere(each) for each in resources)


def is_everywhere(resource: str) -> bool:
    """Whether a `Resource` entry names a whole kind of thing, in every account and Region."""
    if resource.strip("*") == "":
        return True
    parts = resource.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn" or parts[3].strip("*") or parts[4].strip("*"):
        return False
    if _ANYTHING.fullmatch(parts[5]):
        return True
    return parts[2] not in _WITHOUT_TYPE and _ANY_OF_A_TYPE.fullmatch(parts[5]) is not None


def _texts(value: Any) -> Sequence[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise NotAPolicy("neither a text nor a list of texts")
    return texts
