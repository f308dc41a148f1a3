"""What stands in the text area of a proposal, and what set of rules comes out of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from base.errors import Invalid, Missing
from oversight.rules.models import RuleChange
from oversight.rules.naming import names_of
from oversight.rules.reading import has_their_shape
from oversight.rules.state import in_force
from policy.document import RuleDocument, parse_document
from policy.models import Rule
from policy.reading import Mistake, read_rules
from policy.writing import write_rules


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody begins with. `only` is the rule that the text is about, "" when it is about all of them."""

    text: str
    base: str  # the versions that were in force, as JSON
    only: str
    restores: UUID | None
    source: RuleChange | None


def draft(*, rule_id: str = "", change_id: str = "") -> Draft:
    """The rules in force, one of them, or those of an earlier change, as text with names beside ids. Seven queries.

    Raises:
        Missing: no such rule in force, or no such change.
        Invalid: the change doesn't say rules.
    """
    documents, versions = in_force()
    only, source = "", None
    if change_id:
        source = _change(change_id)
        if not has_their_shape(source.rules):
            raise Invalid("rules.shape", "What this change says isn't rules, and nothing to begin with.")
        documents = source.rules
    elif rule_id:
        only = _rule_name(rule_id)
        if only not in documents:
            raise Missing("rules.missing", "There is no such rule in force.")
        documents = {only: documents[only]}
    restores = source.pk if source is not None and source.status == RuleChange.Status.APPLIED else None
    return Draft(
        text=write_rules(documents, names_of(documents)) if documents else "rules:\n",
        base=json.dumps(versions, sort_keys=True),
        only=only,
        restores=restores,
        source=source,
    )


def _rule_name(rule_id: str) -> str:
    row = Rule.objects.filter(pk=int(rule_id)).first() if rule_id.isdecimal() and len(rule_id) < 18 else None
    if row is None:
        raise Missing("rules.missing", "There is no such rule.")
    return row.name


def _change(change_id: str) -> RuleChange:
    try:
        key = UUID(change_id)
    except ValueError:
        raise Missing("rules.change_missing", "There is no such change of the rules.") from None
    row = RuleChange.objects.filter(pk=key).first()
    if row is None:
        raise Missing("rules.change_missing", "There is no such change of the rules.")
    return row


@dataclass(frozen=True, slots=True)
class Drafted:
    """The whole set that a text comes to, or what has to be mended first."""

    rules: Mapping[str, RuleDocument]
    mistakes: Sequence[Mistake]


def drafted(text: str, *, only: str) -> Drafted:
    """Read what was written. With `only`, it takes that rule's place and the others stay as they are."""
    read = read_rules(text)
    if read.mistakes or not only:
        return Drafted(read.rules, read.mistakes)
    others = {name: parse_document(raw) for name, raw in in_force()[0].items() if name != only}
    taken = [
        Mistake(
            read.lines.get(name, 1),
            f"Rule “{name}”",
            "is there already. Edit that rule, or all rules at once.",
        )
        for name in read.rules
        if name in others
    ]
    return Drafted({} if taken else {**others, **read.rules}, taken)


def base_of(text: str) -> dict[str, int]:
    """The versions that the proposer looked at. Raises Invalid when the form was tampered with."""
    try:
        raw: Any = json.loads(text)
    except ValueError:
        raw = None
    if not isinstance(raw, dict) or not all(type(number) is int for number in raw.values()):
        raise Invalid("rules.base", "The page's own fields are damaged. Open it again.")
    return raw
