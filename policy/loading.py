"""Writing rules: from a file that an operator keeps, idempotently, a new version only where the wording changed.

The file names people and groups by Entra object id: names can change hands, ids can't.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import real_now
from base.errors import Invalid
from policy.document import RuleDocument, document_hash, parse_document, serialise_document
from policy.models import Rule, RuleVersion


class Change(StrEnum):
    """What loading did to a rule."""

    CREATED = "created"
    VERSIONED = "new version"
    UNCHANGED = "unchanged"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Loaded:
    """One rule after loading."""

    name: str
    change: Change
    number: int  # of its current version


def parse_rules(raw: object) -> dict[str, RuleDocument]:
    """The rules of a file by name: a mapping with one entry `rules`, a list of named documents.

    Raises:
        Invalid: anything else, a name twice, an id that is none, or a document that says nothing valid.
    """
    if not isinstance(raw, Mapping) or set(raw) != {"rules"} or not isinstance(raw["rules"], list):
        raise Invalid("rules.shape", "The file must hold one entry “rules”, a list of rules.")
    rules: dict[str, RuleDocument] = {}
    for position, entry in enumerate(raw["rules"], start=1):
        if not isinstance(entry, Mapping):
            raise Invalid("rules.shape", f"Rule {position} is not a mapping of fields.")
        name = entry.get("name")
        if not isinstance(name, str) or not 0 < len(name.strip()) <= 128:
            raise Invalid("rules.name", f"Rule {position} needs a name of at most 128 characters.")
        name = name.strip()
        if name in rules:
            raise Invalid("rules.name", f"Two rules are called “{name}”. Each name may occur once.")
        rules[name] = _document(name, {key: value for key, value in entry.items() if key != "name"})
    return rules


def _document(name: str, raw: Mapping[str, Any]) -> RuleDocument:
    if not {"applies_to", "groups", "fallback"} & set(raw):
        raise Invalid(
            "rule.applies_to",
            f"Rule “{name}” doesn't say what it applies to. Give applies_to, or `fallback: true` for whatever has no "
            "other rule.",
            field="applies_to",
        )
    try:
        document = parse_document(_with_plain_ids(raw))
    except Invalid as error:
        raise Invalid(error.code, f"Rule “{name}”: {error.sentence}", field=error.field) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise Invalid("rules.shape", f"Rule “{name}” has a field of the wrong kind.") from error
    return document


def _with_plain_ids(raw: Mapping[str, Any]) -> dict[str, Any]:
    plain = dict(raw)
    plain["stages"] = [_ids_in(stage, "people", "groups") for stage in raw.get("stages", [])]
    if isinstance(raw.get("applies_to"), Mapping):
        plain["applies_to"] = _ids_in(raw["applies_to"], "groups", "requester_groups")
    return _ids_in(plain, "groups")


def _ids_in(raw: Mapping[str, Any], *fields: str) -> dict[str, Any]:
    return {**raw, **{field: _ids(raw[field]) for field in fields if field in raw}}


def _ids(values: object) -> list[str]:
    if not isinstance(values, list):
        raise Invalid("rule.ids", "People and groups are given as lists of Entra object ids.")
    plain = [str(value).strip().lower() for value in values]
    for value in plain:
        try:
            same = str(UUID(value)) == value
        except ValueError:
            same = False
        if not same:
            raise Invalid(
                "rule.ids",
                f"{value[:60]!r} is no Entra object id. Names are not taken, because they can change hands.",
            )
    return plain


def load_rules(
    rules: Mapping[str, RuleDocument], *, written_by: str, retire_others: bool = False
) -> Sequence[Loaded]:
    """Make these the current wording of these rules, all or none, each change with its event.

    `written_by` is an object id or the name of a command. With `retire_others`, rules that aren't
    among these judge no new request any more.
    """
    with transaction():
        loaded = [_load(name, document, written_by=written_by) for name, document in sorted(rules.items())]
        if retire_others:
            loaded += [
                _retire(rule, written_by=written_by)
                for rule in Rule.objects.select_for_update(of=("self",))
                .filter(retired=False)
                .exclude(name__in=rules)
                .select_related("current")
                .order_by("name")
            ]
    return loaded


def _load(name: str, document: RuleDocument, *, written_by: str) -> Loaded:
    raw = serialise_document(document)
    wording = document_hash(raw)
    Rule.objects.get_or_create(name=name)
    rule = Rule.objects.select_for_update(of=("self",)).select_related("current").get(name=name)
    current = rule.current
    if current is not None and current.document_hash == wording and not rule.retired:
        return Loaded(name, Change.UNCHANGED, current.number)
    last = rule.versions.order_by("-number").values_list("number", flat=True).first() or 0
    version = RuleVersion.objects.create(
        rule=rule,
        number=last + 1,
        document=raw,
        document_hash=wording,
        created_at=real_now(),
        created_by=written_by,
    )
    Rule.objects.filter(pk=rule.pk).update(current=version, retired=False)
    record(
        "rule.versioned",
        actor=Actor.system(),
        fields={
            "name": name,
            "number": version.number,
            "document": raw,
            "document_hash": wording,
            "written_by": written_by,
        },
    )
    return Loaded(name, Change.VERSIONED if last else Change.CREATED, version.number)


def _retire(rule: Rule, *, written_by: str) -> Loaded:
    Rule.objects.filter(pk=rule.pk).update(retired=True)
    record("rule.retired", actor=Actor.system(), fields={"name": rule.name, "written_by": written_by})
    return Loaded(rule.name, Change.RETIRED, rule.current.number if rule.current else 0)
