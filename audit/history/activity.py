"""What was done with the access of one request, as far as CloudTrail was read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.urls import reverse

from audit.ledger.canonical import instant
from base.errors import Missing
from catalog.models import AwsAccount
from identity.models import Person
from requests_app.activity.models import ActivityLook, ActivityPlace
from requests_app.activity.planning import is_on
from requests_app.activity.reading import Activity, activity_of
from requests_app.models import AccessRequest, GrantInterval

# As many as a case shows.
MOST_GRANTS = 50
MOST_SCOPE = 200


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """An account and Region of which something is missing."""

    place: ActivityPlace
    account: str


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """A permission set on an account, and what is known of its use."""

    permission_set: str
    account: str
    used: bool
    unknown: str
    opened: int
    events: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class GroupActivity:
    """What was done with one grant of the request. A grant may have come from several requests, by extension."""

    group_name: str
    activity: Activity
    names: Mapping[str, str]  # of accounts

    def account(self, account_id: str) -> str:
        """Name and number."""
        name = self.names.get(account_id, "")
        return f"{name} ({account_id})" if name else account_id

    @property
    def complete(self) -> bool:
        return self.activity.look is not None and self.activity.look.complete

    @property
    def gaps(self) -> list[PlaceRow]:
        return [PlaceRow(each, self.account(each.account_id)) for each in self.activity.gaps]

    @property
    def cut_off(self) -> list[PlaceRow]:
        return [PlaceRow(each, self.account(each.account_id)) for each in self.activity.cut_off]

    @property
    def early(self) -> list[PlaceRow]:
        return [PlaceRow(each, self.account(each.account_id)) for each in self.activity.early]

    @property
    def scope(self) -> list[ScopeRow]:
        """What was used first; what wasn't, up to a bound."""
        return [
            ScopeRow(
                permission_set=row.permission_set,
                account=self.account(row.account_id),
                used=row.used,
                unknown=row.unknown,
                opened=row.opened,
                events=row.events,
                last_at=row.last_at,
            )
            for row in self.activity.scope[: max(MOST_SCOPE, self.activity.used)]
        ]

    @property
    def scope_count(self) -> int:
        return len(self.activity.scope)

    @property
    def more_scope(self) -> int:
        return self.scope_count - len(self.scope)

    @property
    def more_unknown(self) -> int:
        """Of how many of those that aren't shown it isn't known whether they were used."""
        return sum(1 for row in self.activity.scope[len(self.scope) :] if row.unknown)


@dataclass(frozen=True, slots=True)
class CaseActivity:
    """Everything about one request's activity."""

    request: AccessRequest
    groups: Sequence[GroupActivity]
    on: bool
    own: bool = False  # whether its reader did it

    @property
    def title(self) -> str:
        return "What you did" if self.own else f"What {self.request.requester.display_name} did"

    @property
    def address(self) -> str:
        """Of the page that it belongs to."""
        return reverse("request" if self.own else "audit_case", args=[self.request.pk])


def own_activity(request_id: UUID, person: Person) -> CaseActivity:
    """The activity of a request of this person's own. Raises Missing for others' as for none."""
    found = case_activity(request_id)
    if found.request.requester_id != person.pk:
        raise Missing("request.missing", "There is no such request.")
    return replace(found, own=True)


def case_activity(request_id: UUID) -> CaseActivity:
    """The activity of one request. Raises Missing when no row knows it."""
    request = AccessRequest.objects.select_related("requester").filter(pk=request_id).first()
    if request is None:
        raise Missing("case.missing", "There is no such request.")
    intervals = (
        GrantInterval.objects.filter(item__request=request)
        .select_related("grant__group")
        .order_by("starts_at", "pk")[:MOST_GRANTS]
    )
    grants = list({interval.grant_id: interval.grant for interval in intervals}.values())
    found = activity_of(grants)
    ids = {place.account_id for each in found.values() for place in each.places}
    ids |= {account for each in found.values() for account, _ in each.granted}
    names = dict(AwsAccount.objects.filter(account_id__in=ids).values_list("account_id", "name"))
    groups = [GroupActivity(grant.group.display_name, found[grant.pk], names) for grant in grants]
    return CaseActivity(request=request, groups=groups, on=is_on())


def activity_file(request_id: UUID) -> bytes | None:
    """The same as JSON, for a pack; None where nothing was read of this request."""
    try:
        found = case_activity(request_id)
    except Missing:
        return None
    groups = [
        _document(each, look)
        for each in found.groups
        if (look := each.activity.look) is not None and each.activity.read
    ]
    return json.dumps(groups, indent=1, default=_plain).encode() if groups else None


def _document(group: GroupActivity, look: ActivityLook) -> Mapping[str, Any]:
    activity = group.activity
    return {
        "group": group.group_name,
        "grant": str(activity.grant.pk),
        "read_at": look.read_at,
        "read_until": look.read_until,
        "complete": look.complete,
        "source": look.source,
        "not_covered": activity.coverage,
        "gaps": [
            {
                "account": row.account,
                "region": row.place.region,
                "of": row.place.event_name,
                "why": row.place.problem,
            }
            for row in group.gaps
        ],
        "cut_off": [
            {"account": row.account, "region": row.place.region, "before": row.place.cut_off_at}
            for row in group.cut_off
        ],
        "read_only_until": [
            {"account": row.account, "region": row.place.region, "until": row.place.read_until}
            for row in group.early
        ],
        "not_asked": [group.account(account) for account in activity.unasked],
        "unreadable": activity.unreadable,
        "more_than_shown": activity.uses_cut,
        "granted": [asdict(row) for row in group.scope],
        "actions": [asdict(row) for row in activity.actions],
        "newest": activity.newest,
    }


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return instant(value)
    raise TypeError(f"{type(value).__name__} has no place in this document.")
