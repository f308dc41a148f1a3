"""What people write in a filter, as the keys that rows are found by: names, object ids, numbers and ARNs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet

from audit.ledger.reading import MOST_VALUES
from base.errors import Invalid
from catalog.models import AwsAccount, OrganizationalUnit, PermissionSet, PimGroup
from identity.selectors import people
from requests_app.models import RequestScope

_OBJECT_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_UNIT_ID = re.compile(r"(ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32})")
_ACCOUNT_ID = re.compile(r"[0-9]{12}")


def people_named(text: str, field: str = "person") -> tuple[str, ...]:
    """Object ids of everybody whose name begins so; empty for no text. Raises Invalid for nobody, or too many."""
    if not text:
        return ()
    if _OBJECT_ID.fullmatch(text):
        return (text.lower(),)
    named = people().filter(
        Q(display_name__istartswith=text)
        | Q(surname__istartswith=text)
        | Q(user_principal_name__istartswith=text)
    )
    return _some(named, "object_id", field, "people")


def groups_named(text: str) -> tuple[str, ...]:
    """Object ids of the PIM groups whose name begins so; empty for no text. Raises Invalid for none, or too many."""
    if not text:
        return ()
    if _OBJECT_ID.fullmatch(text):
        return (text.lower(),)
    named = PimGroup.objects.filter(display_name__istartswith=text)
    return _some(named, "object_id", "group", "PIM groups")


def scope_named(wanted: Mapping[str, Any]) -> QuerySet[RequestScope] | None:
    """The rows of frozen scope with a cleaned form's account, OU and permission set; None when none is named.

    Raises:
        Invalid: a name fits nothing, or too much.
    """
    account, permission_set, unit = wanted["account"], wanted["permission_set"], wanted.get("unit", "")
    if not account and not permission_set and not unit:
        return None
    scope = RequestScope.objects.all()
    if unit:
        scope = scope.filter(account_id__in=accounts_below(unit))
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
    return scope


def accounts_below(unit: str) -> tuple[str, ...]:
    """The numbers of the accounts in the OUs of this name, and in all OUs below, as the organisation is now.

    Raises:
        Invalid: no OU has the name, too many have, or there is no account in them.
    """
    fits = Q(unit_id=unit) if _UNIT_ID.fullmatch(unit) else Q(name__istartswith=unit)
    reached = set(_some(OrganizationalUnit.objects.filter(fits), "unit_id", "unit", "OUs"))
    below: dict[str, list[str]] = {}
    tree = OrganizationalUnit.objects.exclude(parent=None)  # an organisation has 2,000 at most
    for key, parent in tree.values_list("unit_id", "parent__unit_id"):
        below.setdefault(parent, []).append(key)
    left = list(reached)
    while left:
        further = [key for key in below.get(left.pop(), []) if key not in reached]
        reached.update(further)
        left += further
    inside = AwsAccount.objects.filter(unit__unit_id__in=reached)
    found = tuple(inside.values_list("account_id", flat=True))
    if not found:
        raise Invalid("audit.empty_unit", "There is no AWS account in this OU, nor below it.", field="unit")
    return found


def _some(rows: QuerySet[Any], key: str, field: str, things: str) -> tuple[str, ...]:
    """The keys of the rows, of which there must be some and not too many."""
    found = tuple(rows.values_list(key, flat=True).distinct().order_by(key)[: MOST_VALUES + 1])
    if not found:
        raise Invalid(
            "audit.nothing_named", f"No {things} have this name, or one that begins with it.", field=field
        )
    if len(found) > MOST_VALUES:
        sentence = f"More than {MOST_VALUES} {things} have a name that begins with this. Write more of it."
        raise Invalid("audit.too_many_named", sentence, field=field)
    return found
