"""The timeline's search: names become ids, the filter goes to the ledger, rows come back ready to show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from audit.history.presentation import Row, rows
from audit.ledger import reading
from audit.ledger.reading import MOST_COUNTED, MOST_VALUES, EventFilter, Position
from base.errors import Invalid
from catalog.models import AwsAccount, PermissionSet, PimGroup
from identity.selectors import people
from requests_app.models import RequestScope

_OBJECT_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
# Requests up to which a filter names each; beyond, what it looks for is common.
MOST_NAMED = 500
_ACCOUNT_ID = re.compile(r"[0-9]{12}")


@dataclass(frozen=True, slots=True)
class Timeline:
    """One page of the timeline."""

    rows: Sequence[Row]
    older: Position | None
    counted: int | None  # only on the first page

    @property
    def count_words(self) -> str:
        """How many there are, as far as it was counted."""
        if self.counted is None:
            return ""
        if self.counted > MOST_COUNTED:
            return f"More than {MOST_COUNTED:,} events"
        return f"{self.counted:,} event{'' if self.counted == 1 else 's'}"


def timeline(wanted: Mapping[str, Any], before: Position | None) -> Timeline:
    """The page of the timeline that a cleaned `TimelineForm` asks for.

    Raises:
        Invalid: a name fits nobody or too many (with the field it was written in), or the search took too long.
    """
    chosen = event_filter(wanted)
    page = reading.events(chosen, before=before)
    counted = None
    if before is None:
        counted = reading.count(chosen) if page.older else len(page.entries)
    return Timeline(rows(page.entries), page.older, counted)


def event_filter(wanted: Mapping[str, Any]) -> EventFilter:
    """The ledger's filter for a cleaned form. Raises Invalid for names that fit nothing or too much."""
    return EventFilter(
        people=_people(wanted["person"]),
        groups=_groups(wanted["group"]),
        types=wanted["types"],
        outcome=wanted["outcome"],
        requests=_requests(wanted["account"], wanted["permission_set"]),
        since=wanted["since"],
        until=wanted["until"],
    )


def _people(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    if _OBJECT_ID.fullmatch(text):
        return (text.lower(),)
    named = people().filter(
        Q(display_name__istartswith=text)
        | Q(surname__istartswith=text)
        | Q(user_principal_name__istartswith=text)
    )
    return _some(named, "object_id", "person", "people")


def _groups(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    if _OBJECT_ID.fullmatch(text):
        return (text.lower(),)
    named = PimGroup.objects.filter(display_name__istartswith=text)
    return _some(named, "object_id", "group", "PIM groups")


def _requests(account: str, permission_set: str) -> Sequence[UUID] | QuerySet[Any, Any] | None:
    """The requests whose scope, as it was when they were made, holds this account and permission set.

    A few are named, so that their events are looked up; many stay a subquery, so that the newest
    events are tried against it. Either way a page reads little.
    """
    if not account and not permission_set:
        return None
    scope = RequestScope.objects.all()
    if account:
        numbers: tuple[str, ...] = (account,)
        if not _ACCOUNT_ID.fullmatch(account):
            named = AwsAccount.objects.filter(name__istartswith=account)
            numbers = _some(named, "account_id", "account", "AWS accounts")
        scope = scope.filter(account_id__in=numbers)
    if permission_set:
        by_arn = permission_set.startswith("arn:")
        fits = Q(arn=permission_set) if by_arn else Q(name__istartswith=permission_set)
        names = _some(PermissionSet.objects.filter(fits), "name", "permission_set", "permission sets")
        scope = scope.filter(permission_set_name__in=names)  # which has an index
        if by_arn:
            scope = scope.filter(permission_set_arn=permission_set)
    wanted = scope.values_list("item__request_id", flat=True)
    few = list(wanted.distinct()[: MOST_NAMED + 1])
    return few if len(few) <= MOST_NAMED else wanted


def _some(rows: QuerySet[Any], key: str, field: str, things: str) -> tuple[str, ...]:
    """The keys of the rows, of which there must be some and not too many."""
    found = tuple(rows.values_list(key, flat=True).distinct().order_by(key)[: MOST_VALUES + 1])
    if not found:
        raise Invalid("audit.nothing_named", f"No {things} are called so, or begin so.", field=field)
    if len(found) > MOST_VALUES:
        sentence = f"More than {MOST_VALUES} {things} have a name that begins so. Write more of it."
        raise Invalid("audit.too_many_named", sentence, field=field)
    return found
