"""Rules that came to be as they are in a way of which the trail doesn't tell. `audit_verify` asks.

A version can't be changed, and a rule is only the worker's to write; but that role can write one without a word in the
trail. Each version has one event with its whole wording, and a rule stands as its newest event says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from audit.ledger.checks import expect_guards
from audit.ledger.findings import Finding
from audit.ledger.unexplained import register_further
from policy.document import document_hash
from policy.events import RULE_RETIRED, RULE_VERSIONED
from policy.guards import GUARDS
from policy.models import Rule, RuleVersion

# In no web process's name: Postgres refuses it events of the portal itself.
_TOLD = """
SELECT data #>> '{fields,name}', (data #>> '{fields,number}')::integer, data #>> '{fields,document_hash}', id
FROM audit_event WHERE type = ANY (%s) AND actor_kind = 'system' ORDER BY at, id
"""


@dataclass(slots=True)
class _Told:
    """What the events say: of each version its hashes, of each rule the version in force, None once retired."""

    wordings: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    newest: dict[str, tuple[int | None, int]] = field(default_factory=dict)  # with the event


def _told() -> _Told:
    told = _Told()
    with connection.cursor() as cursor:
        cursor.execute(_TOLD, [[RULE_VERSIONED.name, RULE_RETIRED.name]])
        for name, number, wording, event_id in cursor.fetchall():
            if number is not None:
                told.wordings.setdefault((name, number), []).append(wording)
            told.newest[name] = number, event_id
    return told


def unexplained_rules(gone_until: datetime | None) -> Iterator[Finding]:
    """A finding for each rule, or version of one, that isn't as its events say.

    Of versions from before `gone_until` (real time), up to which events were removed, no event is expected.
    """
    told, there = _told(), set[tuple[str, int]]()
    versions = RuleVersion.objects.select_related("rule").order_by("rule__name", "number")
    for version in versions.only(
        "number", "document", "document_hash", "created_at", "rule__name"
    ).iterator():
        key = version.rule.name, version.number
        there.add(key)
        wordings = told.wordings.get(key, [])
        if not wordings and gone_until is not None and version.created_at < gone_until:
            continue
        said = f"version {version.number} of rule “{version.rule.name}”"
        if len(wordings) != 1:
            yield Finding("change_unexplained", f"{len(wordings)} events tell of {said}, not one.")
        elif {version.document_hash, document_hash(version.document)} != {*wordings}:
            yield Finding("change_unexplained", f"The wording of {said} isn't the one that its event has.")
    for name, number in sorted(told.wordings.keys() - there):
        sentence = f"An event tells of version {number} of rule “{name}”, which isn't there: deleted."
        yield Finding("subject_missing", sentence)
    for rule in Rule.objects.select_related("current").only("name", "retired", "current__number"):
        if rule.name not in told.newest:
            continue  # its versions were looked at
        newest, event_id = told.newest[rule.name]
        stands = None if rule.retired or rule.current is None else rule.current.number
        if stands != newest:
            sentence = f"Rule “{rule.name}” is {_words(stands)}, and its newest event says: {_words(newest)}."
            yield Finding("status_unexplained", sentence, None, event_id)


def _words(number: int | None) -> str:
    return "retired" if number is None else f"in force as version {number}"


def register_all() -> None:
    """Have `audit_verify` ask; called once when Django starts."""
    register_further(unexplained_rules)
    expect_guards(GUARDS)
