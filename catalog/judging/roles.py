"""Permission sets with their judgements, as roles to compare."""

from __future__ import annotations

from collections.abc import Collection

from catalog.judging.comparing import Role
from catalog.judging.judgement import Judged
from catalog.judging.storing import read_judgement
from catalog.models import AccountAssignment, Judgement, PermissionSet, PimGroup

MOST_ROLES = 60
_JUDGED = (
    "permission_set",
    "content_hash",
    "actions",
    "wide",
    "named",
    "conditional",
    "findings",
    "unknown",
    "strangers",
    "bounded",
)


def read_roles(keys: Collection[int]) -> dict[int, Role]:
    """Permission sets with their judgements; one that was judged for other contents counts as not judged. One query.

    Of more than can be looked at, the rest counts as not judged, too.
    """
    rows = PermissionSet.objects.filter(pk__in=keys).order_by("name", "pk").select_related("judgement")
    found = rows.only("name", "content_hash", *(f"judgement__{name}" for name in _JUDGED))
    roles = {row.pk: Role(row.pk, row.name, _judged(row)) for row in found[:MOST_ROLES]}
    return roles | {key: Role(key, "a further one", None) for key in keys if key not in roles}


def _judged(row: PermissionSet) -> Judged | None:
    judgement: Judgement | None = getattr(row, "judgement", None)
    if judgement is None or judgement.content_hash != row.content_hash:
        return None
    return read_judgement(judgement)


def sets_opened(group: PimGroup) -> set[int]:
    """Keys of the permission sets that a PIM group opens on any account. One query; one more than can be looked at."""
    rows = AccountAssignment.objects.filter(group=group).values_list("permission_set_id", flat=True)
    return set(rows.distinct()[: MOST_ROLES + 1])
