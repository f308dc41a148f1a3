"""Whether a PIM group opens more now than was approved: an approval for something that has since grown is void."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.db.models import F

from base.readymade import Readymade
from catalog.models import AccountAssignment, PimGroup
from requests_app.models import Grant, RequestItem, RequestScope


def growth(grant: Grant) -> str:
    """What the grant's group opens beyond what was approved, as a sentence; "" when nothing.

    One query while it is as some of what was approved saw it, which is nearly always, else five.
    """
    return "" if _AS_IT_WAS.rows(grant.pk) else growths([grant], grant.group).get(grant.pk, "")


_AS_IT_WAS = Readymade(
    lambda grant_id: RequestItem.objects.filter(
        interval__grant=grant_id, scope_hash=F("interval__grant__group__scope_hash")
    ).values_list("pk", flat=True)[:1],
    UUID,
)


def growths(grants: Sequence[Grant], group: PimGroup) -> Mapping[UUID, str]:
    """The same for several grants of one group, by grant id; those that didn't grow are left out. Four queries.

    Grown means: another account or permission set, a longer session, or the same ones with another content. A
    group that opens less than was approved is no danger to anybody.
    """
    if not grants:
        return {}
    fresh = PimGroup.objects.get(pk=group.pk)
    items: dict[UUID, list[RequestItem]] = defaultdict(list)
    asked = RequestItem.objects.filter(interval__grant__in=[grant.pk for grant in grants])
    for grant_id, item in ((each.interval.grant_id, each) for each in asked.select_related("interval")):
        items[grant_id].append(item)
    keys = [item.pk for several in items.values() for item in several]
    scopes: dict[UUID, list[RequestScope]] = defaultdict(list)
    for row in RequestScope.objects.filter(item__in=keys):
        scopes[row.item_id].append(row)
    opened = list(
        AccountAssignment.objects.filter(group=group)
        .select_related("account", "permission_set")
        .order_by("pk")
    )
    found = {}
    for grant in grants:
        # Several items may extend one grant: what the newest approval covers was seen by somebody.
        grown = [_grown(item, scopes[item.pk], opened, fresh) for item in items[grant.pk]]
        if grown and all(grown):
            found[grant.pk] = grown[-1]
    return found


def _grown(
    item: RequestItem, approved: Iterable[RequestScope], opened: Sequence[AccountAssignment], group: PimGroup
) -> str:
    if item.scope_hash == group.scope_hash:
        return ""
    sessions = {(row.account_id, row.permission_set_arn): row.session_duration for row in approved}
    new = [row for row in opened if (row.account.account_id, row.permission_set.arn) not in sessions]
    if new:
        first = new[0]
        more = f" and {len(new) - 1} more" if len(new) > 1 else ""
        return (
            f"The PIM group now opens {first.permission_set.name} on {first.account.name}{more}, which was not part of "
            "what was approved."
        )
    for row in opened:
        if row.permission_set.session_duration > sessions[row.account.account_id, row.permission_set.arn]:
            return f"Sessions of {row.permission_set.name} may now last longer than was approved."
    if len(opened) == len(sessions):
        return "What a permission set of this PIM group allows has changed since it was approved."
    return ""
