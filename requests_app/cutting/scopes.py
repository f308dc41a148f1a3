"""What grants open, and which grants are in force: in bulk, for planning denials and for the last possible use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from catalog.models import AccountAssignment
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant, RequestScope

# The person may open sessions by right.
CURRENT = frozenset(
    {GrantStatus.SCHEDULED, GrantStatus.ACTIVATING, GrantStatus.PROVISIONING, GrantStatus.ACTIVE}
)


@dataclass(frozen=True, slots=True)
class Scope:
    """One permission set on one AWS account."""

    account_id: str
    permission_set_arn: str


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known about a scope of a grant."""

    name: str
    session: timedelta


type Scopes = Mapping[Scope, Opened]


def scopes_of(grants: Iterable[Grant]) -> Mapping[object, Scopes]:
    """By grant id: what was approved, and what the group opens by now; sessions may be open in either. Two queries."""
    listed = list(grants)
    found: dict[object, dict[Scope, Opened]] = defaultdict(dict)
    for row in RequestScope.objects.filter(item__interval__grant__in=listed).values_list(
        "item__interval__grant", "account_id", "permission_set_arn", "permission_set_name", "session_duration"
    ):
        _add(found[row[0]], Scope(row[1], row[2]), Opened(row[3], row[4]))
    by_group: dict[int, list[tuple[Scope, Opened]]] = defaultdict(list)
    opened = AccountAssignment.objects.filter(group__in={grant.group_id for grant in listed})
    for group_id, account_id, arn, name, session in opened.values_list(
        "group",
        "account__account_id",
        "permission_set__arn",
        "permission_set__name",
        "permission_set__session_duration",
    ):
        by_group[group_id].append((Scope(account_id, arn), Opened(name, session)))
    for grant in listed:
        for scope, what in by_group[grant.group_id]:
            _add(found[grant.pk], scope, what)
    return found


def _add(scopes: dict[Scope, Opened], scope: Scope, what: Opened) -> None:
    known = scopes.get(scope)
    scopes[scope] = Opened(what.name, max(what.session, known.session)) if known else what


def in_force(person_ids: Iterable[int], now: datetime) -> Mapping[int, list[tuple[Grant, Scopes]]]:
    """By person: grants by which they may open sessions now, with what each opens. Three queries."""
    grants = list(Grant.objects.filter(person__in=set(person_ids), status__in=CURRENT, starts_at__lte=now))
    scopes = scopes_of(grants)
    found: dict[int, list[tuple[Grant, Scopes]]] = defaultdict(list)
    for grant in grants:
        found[grant.person_id].append((grant, scopes.get(grant.pk, {})))
    return found


def since(grant: Grant) -> datetime:
    """From when on sessions are opened under this grant's approval."""
    return max(grant.created_at, grant.starts_at)
