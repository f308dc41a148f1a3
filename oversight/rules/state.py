"""The rules in force as one state, and whether it still is the one that a change was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django_subatomic.db import transaction_required

from oversight.rules.comparing import Difference, Kind, compare
from policy.document import RuleDocument, parse_document, serialise_document
from policy.matching import current_versions
from policy.schema import LONGEST_NAME

# Of the advisory lock that is held while rules are written or judged to be the same; any number that is nobody else's.
LOCK = 0x52756C65

# Rules named in an event; its wording has all of them.
MOST_NAMED = 20

type Documents = Mapping[str, Mapping[str, Any]]  # serialised, by the rule's name


def in_force() -> tuple[dict[str, Any], dict[str, int]]:
    """Documents as they are written today, and version numbers, of the rules in force by name. One query."""
    versions = current_versions()
    return (
        {version.rule.name: as_written_today(version.document) for version in versions},
        {version.rule.name: version.number for version in versions},
    )


def as_written_today(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A stored document in the form in which its rule would be stored now: what earlier releases wrote differs in form."""
    return serialise_document(parse_document(raw))


def serialised(rules: Mapping[str, RuleDocument]) -> dict[str, Any]:
    """Documents as they are kept, by name."""
    return {name: serialise_document(document) for name, document in sorted(rules.items())}


@transaction_required
def hold_still() -> None:
    """Keep everybody else from applying a change, to the commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def summary(differences: Sequence[Difference]) -> str:
    """What differs, by name, e.g. "changed Production; added Billing"; "nothing" where nothing does."""
    verbs = {Kind.ADDED: "added", Kind.CHANGED: "changed", Kind.RETIRED: "retired"}
    parts = []
    for kind, verb in verbs.items():
        if names := [each.name[:LONGEST_NAME] for each in differences if each.kind is kind]:
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            parts.append(f"{verb} {', '.join(names[:MOST_NAMED])}{more}")
    return "; ".join(parts) or "nothing"


def changed_wording(before: Documents, after: Documents) -> dict[str, Any]:
    """The new wording of each rule that differs, None for one that goes."""
    return {each.name: after.get(each.name) for each in compare(before, after)}
