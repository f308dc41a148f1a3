"""Writing rules: a new version only where the wording changed, each with its event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django_subatomic.db import transaction, transaction_required

from audit.ledger.recorder import Actor, record
from base.clock import real_now
from policy.document import RuleDocument, document_hash, serialise_document
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


def load_rules(
    rules: Mapping[str, RuleDocument], *, written_by: str, retire_others: bool = False
) -> Sequence[Loaded]:
    """`put_in_force` in a transaction of its own."""
    with transaction():
        return put_in_force(rules, written_by=written_by, retire_others=retire_others)


@transaction_required
def put_in_force(
    rules: Mapping[str, RuleDocument], *, written_by: str, retire_others: bool
) -> Sequence[Loaded]:
    """Make these the current wording of these rules in the caller's transaction, each change with its event.

    `written_by` says whose change it is. With `retire_others`, rules that aren't among these judge no new request
    any more.
    """
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
    # Not by the hash: what an earlier release wrote says the same in another form.
    if current is not None and current.parsed == document and not rule.retired:
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
