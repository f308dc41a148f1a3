"""The rules that a change's row keeps: whatever stands there comes to documents, or to a sentence why not.

Postgres takes nearly any JSON object from the web process, which checks the rest itself. Were that taken over, it needn't.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import structlog

from base.errors import Invalid
from oversight.rules.comparing import compare
from oversight.rules.state import Documents, summary
from policy.document import RuleDocument, parse_document
from policy.schema import LONGEST_NAME

log = structlog.get_logger(__name__)

UNREADABLE = "what can't be read as rules"


def has_their_shape(rules: object) -> TypeGuard[dict[str, dict[str, Any]]]:
    """Whether it is mappings by name, which can be compared with others."""
    return isinstance(rules, Mapping) and all(isinstance(each, Mapping) for each in rules.values())


def differing(before: Documents, rules: object) -> str:
    """What these would change, by name, for events."""
    return summary(compare(before, rules)) if has_their_shape(rules) else UNREADABLE


def read(rules: object) -> dict[str, RuleDocument]:
    """The documents by name.

    Raises:
        Invalid: it isn't rules, or a rule isn't one that this release can read.
    """
    if not has_their_shape(rules) or not rules:
        raise Invalid("rules.shape", "It isn't rules by name, each a mapping of fields.")
    return {_named(name): _document(name, raw) for name, raw in rules.items()}


def _named(name: str) -> str:
    if not name.strip() or len(name) > LONGEST_NAME:
        raise Invalid("rules.name", f"A rule's name has at most {LONGEST_NAME} characters, and one at least.")
    return name


def _document(name: str, raw: Mapping[str, Any]) -> RuleDocument:
    try:
        return parse_document(raw)
    except Invalid:
        raise
    except Exception as error:
        log.exception("rule_not_read", rule=name, error=type(error).__name__)
        raise Invalid("rules.unreadable", f"Rule “{name}” has a value that no rule can have.") from error
