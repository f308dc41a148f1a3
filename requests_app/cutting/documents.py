"""The policy document that denies sessions, made as a whole from everything that is to be denied. Pure.

Statements of others are kept as they are, in their order; ours carry a Sid that begins with `SID_PREFIX`.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

SID_PREFIX = "AccessPortalSevering"
VERSION = "2012-10-17"
# A policy needs a statement; this one is for nobody.
NOBODY = {
    "Sid": f"{SID_PREFIX}Nobody",
    "Effect": "Deny",
    "Action": "*",
    "Resource": "*",
    "Condition": {"StringEquals": {"identitystore:userId": "nobody"}},
}
_SUFFIX = "?" * 16  # IAM Identity Center ends a role's name in sixteen hexadecimal digits

type Statement = dict[str, Any]


class UnreadableDocument(Exception):
    """What stands in the prepared place is no policy document; the message is a sentence for an operator."""


@dataclass(frozen=True, slots=True)
class Denial:
    """One person's sessions in one permission set on one account; `cut_before` None: whenever they were opened."""

    id: UUID
    user_id: str
    account_id: str
    permission_set_name: str
    cut_before: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Fitted:
    """The document that fits, our statements in it, and what it has no room for (the oldest go first)."""

    document: str
    statements: Sequence[Statement]
    refused: Sequence[Denial]


def principal_pattern(account_id: str, name: str, *, all_names: Collection[str]) -> str:
    """The roles of a permission set on an account, in whatever Region's path they stand.

    The suffix is left open, unless another permission set's name continues this one's: its roles must not match.
    """
    longer = any(other != name and other.startswith(f"{name}_") for other in all_names)
    suffix = _SUFFIX if longer else "*"
    return f"arn:aws:iam::{account_id}:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_{name}_{suffix}"


def statements(denials: Sequence[Denial], *, all_names: Collection[str]) -> list[Statement]:
    """As few statements as say it: people with the same roles and the same instant share one. In a fixed order."""
    roles: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in denials:
        pattern = principal_pattern(each.account_id, each.permission_set_name, all_names=all_names)
        roles[each.user_id, _instant(each.cut_before)].add(pattern)
    people: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (user_id, instant), patterns in sorted(roles.items()):
        people[instant, tuple(sorted(patterns))].append(user_id)
    return [_statement(instant, patterns, users) for (instant, patterns), users in sorted(people.items())]


def _statement(instant: str, patterns: Sequence[str], users: Sequence[str]) -> Statement:
    condition: dict[str, Any] = {
        "StringEquals": {"identitystore:userId": list(users)},
        "ArnLike": {"aws:PrincipalArn": list(patterns)},
    }
    if instant:
        condition["DateLessThan"] = {"aws:TokenIssueTime": instant}
    mark = hashlib.sha256(_compact([instant, patterns, users]).encode()).hexdigest()[:12]
    return {
        "Sid": f"{SID_PREFIX}{mark}",
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": condition,
    }


def _instant(at: datetime | None) -> str:
    """Whole seconds, up: nothing that was issued before may slip through."""
    if at is None:
        return ""
    up = at if at.microsecond == 0 else at.replace(microsecond=0) + timedelta(seconds=1)
    return up.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _parsed(text: str) -> tuple[dict[str, Any], list[Statement]]:
    if not text.strip():
        return {"Version": VERSION}, []
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    found = document.get("Statement", []) if isinstance(document, dict) else None
    rows = [found] if isinstance(found, dict) else found
    if (
        not isinstance(document, dict)
        or not isinstance(rows, list)
        or not all(isinstance(r, dict) for r in rows)
    ):
        raise UnreadableDocument("The prepared policy is no policy document. An operator has to mend it.")
    return document, rows


def _is_ours(statement: Statement) -> bool:
    return str(statement.get("Sid", "")).startswith(SID_PREFIX)


def ours_in(text: str) -> list[Statement]:
    """Our statements in a document. Raises UnreadableDocument."""
    return [row for row in _parsed(text)[1] if _is_ours(row)]


def merged(text: str, ours: Sequence[Statement]) -> str:
    """The document with our statements in place of those that stood there. Raises UnreadableDocument."""
    document, rows = _parsed(text)
    others = [row for row in rows if not _is_ours(row)]
    kept = [*others, *ours]
    return _compact({**document, "Statement": kept or [NOBODY]})


def fitted(
    text: str, denials: Sequence[Denial], *, size: Callable[[str], int], most: int, all_names: Collection[str]
) -> Fitted:
    """The document with as many denials as it has room for; the oldest are left out first. Raises UnreadableDocument."""
    rest = sorted(denials, key=lambda each: (each.created_at, each.id))
    refused: list[Denial] = []
    while True:
        ours = statements(rest, all_names=all_names)
        document = merged(text, ours)
        if size(document) <= most or not rest:
            return Fitted(document, ours_in(document), refused)
        refused.append(rest.pop(0))


def fingerprint(ours: Sequence[Statement]) -> str:
    """A mark of our statements, by which two documents are told apart."""
    return hashlib.sha256(_compact(list(ours)).encode()).hexdigest()
