"""What a group opens, summed up on its row, so that lists and search read nothing else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.postgres.search import SearchVector
from django.db.models import Value
from django_subatomic.db import transaction_if_not_already

from catalog.models import AccountAssignment, PimGroup

PREVIEW = 5
# A tsvector holds one megabyte; a group that opens more than this is found by what fits.
_LONGEST_TEXT = 400_000
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[0-9])(?=[A-Z][a-z])")


def refresh_scopes(group_keys: Iterable[int]) -> None:
    """Sum up anew what these groups open: counts, longest session, hash, preview and search words."""
    for group in PimGroup.objects.filter(pk__in=list(group_keys)).order_by("pk"):
        refresh_scope(group)


def refresh_scope(group: PimGroup) -> None:
    """Sum up anew what one group opens. One query, one write."""
    opened = list(
        AccountAssignment.objects.filter(group=group)
        .select_related("account__unit", "permission_set")
        .order_by("account__name", "account__account_id", "permission_set__name")
    )
    facts: dict[str, Any] = {
        "account_count": len({row.account_id for row in opened}),
        "permission_set_count": len({row.permission_set_id for row in opened}),
        "longest_session": max((row.permission_set.session_duration for row in opened), default=None),
        "scope_hash": scope_hash(opened),
        "preview": {
            "permission_sets": sorted({row.permission_set.name for row in opened})[:PREVIEW],
            "accounts": list(dict.fromkeys(row.account.name for row in opened))[:PREVIEW],
        },
    }
    strong, weak = search_words(group, opened)
    with transaction_if_not_already():
        PimGroup.objects.filter(pk=group.pk).update(
            **facts,
            search=SearchVector(Value(strong), config="simple", weight="A")
            + SearchVector(Value(weak), config="simple", weight="B"),
        )
    for name, value in facts.items():
        setattr(group, name, value)


def scope_hash(opened: Sequence[AccountAssignment]) -> str:
    """A hash of what is opened, contents of permission sets included; "" when nothing is."""
    lines = sorted(
        f"{row.account.account_id} {row.permission_set.arn} {row.permission_set.content_hash}"
        for row in opened
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""


def search_words(group: PimGroup, opened: Sequence[AccountAssignment]) -> tuple[str, str]:
    """Text to index: names first; then descriptions, account ids, paths of units and tags."""
    strong = {group.display_name: None}
    weak = {group.description: None}
    for row in opened:
        account, permission_set = row.account, row.permission_set
        strong |= {permission_set.name: None, account.name: None, account.account_id: None}
        weak |= {permission_set.description: None, account.unit.path if account.unit else "": None}
        for tags in (account.tags, permission_set.tags):
            weak |= {f"{key} {value}": None for key, value in tags.items()}
        for policy in permission_set.managed_policies:
            weak[str(policy.get("name", ""))] = None
    return _text(strong), _text(weak)


def _text(words: Iterable[str]) -> str:
    return " \n".join(spaced(each) for each in words if each)[:_LONGEST_TEXT]


def spaced(words: str) -> str:
    """The words as they stand and, after them, taken apart: EC2AdminAccess is also found by "admin"."""
    apart = _HUMP.sub(" ", re.sub(r"[_\-/.:]+", " ", words))
    return words if apart == words else f"{words} {apart}"
