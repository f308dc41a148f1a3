"""What a request would add to what somebody has now, and what less they could ask for. From stored judgements alone.

What somebody has is what the portal's own open grants give them; access that comes from elsewhere isn't counted, and the
page says so. Seven queries at most, each bounded, however large the PIM groups are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet

from base.clock import business_now
from catalog.judging.comparing import Addition, Opened, Place, Role, Smaller, addition, smaller
from catalog.judging.roles import MOST_ROLES, read_roles, sets_opened
from catalog.models import AccountAssignment, Eligibility, PimGroup
from identity.models import Person
from requests_app.lifecycle import ENDABLE, GrantStatus
from requests_app.models import Grant

# Grants by which somebody has access now, or is about to; what ends already doesn't count.
HAVING = ENDABLE - {GrantStatus.SCHEDULED}
MOST_HELD = 20
# Pairs of account and permission set that are compared; of a PIM group that opens more, its sets alone are looked at.
MOST_PAIRS = 4000
MOST_CANDIDATES = 12
MOST_SUGGESTED = 2


@dataclass(frozen=True, slots=True)
class Less:
    """A PIM group that opens less than what is asked for."""

    group: PimGroup
    how: Smaller


@dataclass(frozen=True, slots=True)
class Weight:
    """What a request means beside what somebody has. `through`: names of what gives them part of it now.

    Not `compared` with that, where one of the two is too large: all of it counts as new then, and may not be.
    """

    adds: Addition
    accounts: int  # that the PIM group opens
    held: bool  # whether they have this PIM group itself now
    through: Sequence[str]
    less: Sequence[Less]
    compared: bool


type _Pairs = dict[int, dict[int, set[int]]]  # PIM group to account to permission sets


def weigh(person: Person, group: PimGroup) -> Weight:
    """Weigh a PIM group for one person."""
    now = business_now()
    held = _held(person, now)
    mine_too = group.pk in held
    others = [key for key in held if key != group.pk]
    asked = _pairs(AccountAssignment.objects.filter(group=group))
    opened: Mapping[int, set[int]] = {} if asked is None else asked.get(group.pk, {})
    sets = sets_opened(group) if asked is None else _keys([opened])
    candidates = _candidates(person, group, now) if opened else []
    having = _pairs(_on_the_same_accounts(others, [group])) if others and opened and not mine_too else {}
    offered = _pairs(AccountAssignment.objects.filter(group__in=candidates)) if candidates else {}
    offered = offered or {}
    roles = read_roles({*sets, *_keys((having or {}).values()), *_keys(offered.values())})
    return _weight(group, held, having, opened, sets, roles, _less(candidates, offered, opened, roles))


def weigh_several(person: Person, groups: Sequence[PimGroup]) -> dict[int, Weight]:
    """Weigh PIM groups that are asked for together, each by itself beside what the person has now; by the group's key.

    Five queries, however many there are. No smaller ones are looked for: who asks for several has compared them.
    """
    held = _held(person, business_now())
    compared, left = [], MOST_PAIRS
    for group in sorted(groups, key=lambda each: each.account_count * each.permission_set_count):
        left -= group.account_count * group.permission_set_count
        if left >= 0:
            compared.append(group)
    asked = (_pairs(AccountAssignment.objects.filter(group__in=compared)) if compared else {}) or {}
    sets = {group.pk: _keys([asked.get(group.pk, {})]) for group in groups}
    for key, permission_set in _sets_of([group for group in groups if group.pk not in asked]):
        sets[key].add(permission_set)
    having = _pairs(_on_the_same_accounts(held, compared)) if held and asked else {}
    roles = read_roles({*_keys((having or {}).values()), *(key for each in sets.values() for key in each)})
    return {
        group.pk: _weight(group, held, having, asked.get(group.pk, {}), sets[group.pk], roles)
        for group in groups
    }


def _weight(
    group: PimGroup,
    held: Mapping[int, str],
    having: _Pairs | None,
    opened: Mapping[int, set[int]],
    sets: Collection[int],
    roles: Mapping[int, Role],
    less: Sequence[Less] = (),
) -> Weight:
    """`having` holds at least what the person has on its accounts, None where that is too much to look at; without
    `opened`, its sets are all that is known."""
    beside = {key: accounts for key, accounts in (having or {}).items() if key != group.pk}
    if group.pk in held:
        places = [Place(group.account_count, _some(sets, roles), _some(sets, roles))]
    elif not opened:
        places = [Place(group.account_count, _some(sets, roles))]
    else:
        places = _places(opened, beside, roles)
    through = [held[key] for key, accounts in beside.items() if not opened.keys().isdisjoint(accounts)]
    return Weight(
        adds=addition(places),
        accounts=group.account_count,
        held=group.pk in held,
        through=[name for name in held.values() if name in through],
        less=less,
        compared=group.pk in held
        or not held
        or not group.account_count
        or (having is not None and bool(opened)),
    )


def _held(person: Person, now: datetime) -> dict[int, str]:
    """PIM groups that the person has now, with their names."""
    rows = Grant.objects.filter(person=person, status__in=HAVING, starts_at__lte=now, ends_at__gt=now)
    named = rows.order_by("group__display_name", "group_id").values_list("group_id", "group__display_name")
    return dict(named.distinct()[:MOST_HELD])


def _on_the_same_accounts(groups: Collection[int], asked: Sequence[PimGroup]) -> QuerySet[AccountAssignment]:
    same = AccountAssignment.objects.filter(group__in=asked, account=OuterRef("account"))
    return AccountAssignment.objects.filter(Exists(same), group__in=groups)


def _pairs(rows: QuerySet[AccountAssignment]) -> _Pairs | None:
    """What PIM groups open; None where that is more than can be compared account by account."""
    found = list(rows.values_list("group_id", "account_id", "permission_set_id")[: MOST_PAIRS + 1])
    if len(found) > MOST_PAIRS:
        return None
    pairs: _Pairs = {}
    for group, account, permission_set in found:
        pairs.setdefault(group, {}).setdefault(account, set()).add(permission_set)
    return pairs


def _sets_of(groups: Sequence[PimGroup]) -> list[tuple[int, int]]:
    """PIM groups with the permission sets that each opens on any account; no more than can be looked at."""
    if not groups:
        return []
    rows = AccountAssignment.objects.filter(group__in=groups).values_list("group_id", "permission_set_id")
    return list(rows.order_by("group_id", "permission_set_id").distinct()[: len(groups) * MOST_ROLES])


def _keys(opened: Iterable[Mapping[int, set[int]]]) -> set[int]:
    return {key for each in opened for sets in each.values() for key in sets}


def _some(keys: Iterable[int], roles: Mapping[int, Role]) -> list[Role]:
    return [roles[key] for key in sorted(keys)]


def _places(opened: Opened, having: _Pairs, roles: Mapping[int, Role]) -> list[Place]:
    """Accounts that are alike, counted: there are far fewer kinds of them than accounts."""
    held: dict[int, set[int]] = {}
    for accounts in having.values():
        for account, sets in accounts.items():
            held.setdefault(account, set()).update(sets)
    alike = Counter((frozenset(sets), frozenset(held.get(account, ()))) for account, sets in opened.items())
    return [Place(number, _some(ask, roles), _some(had, roles)) for (ask, had), number in alike.items()]


# --- What less they could ask for


def _candidates(person: Person, group: PimGroup, now: datetime) -> list[PimGroup]:
    """PIM groups that the person could ask for now and that open no more accounts, the most similar first."""
    held = Eligibility.objects.filter(
        Q(ends_at=None) | Q(ends_at__gt=now),
        Q(starts_at=None) | Q(starts_at__lte=now),
        person=person,
        group=OuterRef("pk"),
    )
    same = AccountAssignment.objects.filter(group=OuterRef("pk"), account__account_assignments__group=group)
    found = (
        PimGroup.objects.filter(Exists(held), Exists(same), present=True, managed=True)
        .filter(assigned_to_application=True, account_count__lte=group.account_count)
        .exclude(pk=group.pk)
        .order_by("-account_count", "permission_set_count", "display_name", "pk")
        .only("object_id", "display_name", "account_count", "permission_set_count")[:MOST_CANDIDATES]
    )
    left, chosen = MOST_PAIRS, []
    for each in found:
        left -= each.account_count * each.permission_set_count
        if left < 0:
            break
        chosen.append(each)
    return chosen


def _less(
    candidates: Sequence[PimGroup], offered: _Pairs, opened: Opened, roles: Mapping[int, Role]
) -> list[Less]:
    found = [
        Less(each, how)
        for each in candidates
        if (how := smaller(offered.get(each.pk, {}), opened, roles)) is not None
    ]
    found.sort(key=lambda less: (-less.how.accounts, less.how.actions, less.group.display_name))
    return found[:MOST_SUGGESTED]
