"""What one access adds to another, and whether one is less than another. Pure: judgements in, judgements out.

A permission set is a role of its own, so what somebody may do on an account is what any of their roles there may. In
doubt something counts as new, and nothing as less: only what a role may do everywhere and always stands for what another
may do under conditions, and a role that isn't known in full stands for nothing but itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from catalog.judging.actions import Level, action_table
from catalog.judging.dangers import BY_KEY, MOST_NAMED, Danger, Finding, Hedge, Kind
from catalog.judging.judgement import Judged, Unknown


@dataclass(frozen=True, slots=True)
class Role:
    """A permission set to be compared; `judged` None while it isn't, or not any more."""

    key: int
    name: str
    judged: Judged | None

    @property
    def known(self) -> bool:
        return self.judged is not None and self.judged.complete


@dataclass(frozen=True, slots=True)
class Place:
    """Accounts on which the same roles are asked for and the same are held."""

    accounts: int
    asked: Collection[Role]
    held: Collection[Role] = ()


@dataclass(frozen=True, slots=True)
class NewDanger:
    """A danger that is new, with the permission sets that bring it."""

    finding: Finding
    roles: Sequence[str]


@dataclass(frozen=True, slots=True)
class Addition:
    """What an access adds on all places together."""

    accounts: int  # on which anything is new
    roles: Sequence[str]  # names of what is new
    bits: int  # actions that are new on at least one account
    dangers: Sequence[NewDanger]  # the gravest first
    unknown: Sequence[tuple[Unknown, str, str]]  # reason, what, permission set
    unjudged: Sequence[str]  # permission sets that aren't judged
    strangers: int
    bounded: bool  # whether everything new is limited by a boundary

    @property
    def kinds(self) -> Sequence[Kind]:
        found = {each.finding.danger.kind for each in self.dangers}
        return [kind for kind in Kind if kind in found]

    @property
    def levels(self) -> Mapping[Level, int]:
        """How many of the new actions are of each access level, zeros left out."""
        found: dict[Level, int] = {}
        for (_, level), number in action_table().counts(self.bits).items():
            found[level] = found.get(level, 0) + number
        return {level: found[level] for level in Level if level in found}


@dataclass(slots=True)
class _Sum:
    accounts: int = 0
    bits: int = 0
    roles: dict[int, Role] = field(default_factory=dict)
    dangers: dict[str, list[tuple[Role, Finding]]] = field(default_factory=dict)


def addition(places: Iterable[Place]) -> Addition:
    """What is asked for and not held."""
    total = _Sum()
    for place in places:
        _add(total, place)
    roles = [total.roles[key] for key in sorted(total.roles, key=lambda key: total.roles[key].name)]
    known = [(role, role.judged) for role in roles if role.judged is not None]
    return Addition(
        accounts=total.accounts,
        roles=[role.name for role in roles],
        bits=total.bits,
        dangers=[_merged(BY_KEY[key], total.dangers[key]) for key in BY_KEY if key in total.dangers],
        unknown=[(reason, what, role.name) for role, judged in known for reason, what in judged.unknown],
        unjudged=[role.name for role in roles if role.judged is None],
        strangers=len({name for _, judged in known for name in judged.strangers}),
        bounded=bool(known) and len(known) == len(roles) and all(judged.bounded for _, judged in known),
    )


def _add(total: _Sum, place: Place) -> None:
    held = {role.key for role in place.held}
    new = [role for role in place.asked if role.key not in held]
    if not new or not place.accounts:
        return
    total.accounts += place.accounts
    had = wide_of(place.held)
    for role in new:
        total.roles[role.key] = role
        if role.judged is None:
            continue
        total.bits |= role.judged.reach.all & ~had
        for finding in role.judged.findings:
            if (
                role.judged.reach.all & _bits_of(finding.danger) & ~had
                or finding.danger.kind is Kind.EVERYTHING
            ):
                found = total.dangers.setdefault(finding.danger.key, [])
                if all(each.key != role.key for each, _ in found):
                    found.append((role, finding))


def wide_of(roles: Iterable[Role]) -> int:
    """What any of these roles may do everywhere and always, as far as that is known for sure."""
    bits = 0
    for role in roles:
        if role.judged is not None and role.judged.complete:
            bits |= role.judged.reach.wide
    return bits


def _bits_of(danger: Danger) -> int:
    table = action_table()
    bits = 0
    for way in danger.ways:
        for action in way.split("+"):
            bits |= table.matching(action)
    return bits


def _merged(danger: Danger, found: Sequence[tuple[Role, Finding]]) -> NewDanger:
    ways = list(dict.fromkeys(way for _, finding in found for way in finding.ways))
    more = max(finding.more for _, finding in found) + max(0, len(ways) - MOST_NAMED)
    hedges = [finding.hedge for _, finding in found]
    furthest = next(hedge for hedge in Hedge if hedge in hedges)
    names = sorted({role.name for role, _ in found})
    return NewDanger(Finding(danger, tuple(ways[:MOST_NAMED]), more, furthest), names)


# --- Less than what is asked for

type Opened = Mapping[int, Collection[int]]  # account to permission sets


@dataclass(frozen=True, slots=True)
class Smaller:
    """In which ways an access is less than another: of it, and of the other."""

    accounts: int
    asked_accounts: int
    actions: int
    asked_actions: int | None  # None: not known in full
    spared: Sequence[Kind]  # kinds of danger that it leaves out

    @property
    def same_accounts(self) -> bool:
        return self.accounts == self.asked_accounts


def smaller(offered: Opened, asked: Opened, roles: Mapping[int, Role]) -> Smaller | None:
    """How `offered` is less than `asked`; None when it isn't, opens anything else, or can't be told.

    Less: no account that isn't asked for, and on each account nothing that the roles asked for there don't allow.
    """
    if not offered or any(account not in asked for account in offered):
        return None
    pairs = {(frozenset(sets), frozenset(asked[account])) for account, sets in offered.items()}
    if not all(_covered(_roles(ours, roles), _roles(theirs, roles)) for ours, theirs in pairs):
        return None
    fewer = len(offered) < len(asked)
    if not fewer and not any(_is_less(_roles(o, roles), _roles(t, roles)) for o, t in pairs):
        return None
    ours = _roles({key for sets in offered.values() for key in sets}, roles)
    theirs = _roles({key for sets in asked.values() for key in sets}, roles)
    return Smaller(
        accounts=len(offered),
        asked_accounts=len(asked),
        actions=_all_of(ours).bit_count(),
        asked_actions=_all_of(theirs).bit_count() if all(role.known for role in theirs) else None,
        spared=_spared(ours, theirs),
    )


def _roles(keys: Iterable[int], roles: Mapping[int, Role]) -> list[Role]:
    return [roles[key] for key in sorted(keys)]


def _covered(ours: Sequence[Role], theirs: Sequence[Role]) -> bool:
    same = {role.key for role in theirs}
    wide = wide_of(theirs)
    everything = wide == action_table().everything
    strangers = {name for role in theirs if role.judged is not None for name in role.judged.strangers}
    for role in ours:
        if role.key in same:
            continue
        if role.judged is None or not role.judged.complete or role.judged.reach.all & ~wide:
            return False
        if not everything and not strangers.issuperset(role.judged.strangers):
            return False
    return True


def _is_less(ours: Sequence[Role], theirs: Sequence[Role]) -> bool:
    """Whether covered roles are really less: a left out set allows something more, or isn't known in full."""
    left_out = [role for role in theirs if role.key not in {each.key for each in ours}]
    had = wide_of(ours)
    return any(role.judged is None or not role.known or role.judged.reach.all & ~had for role in left_out)


def _all_of(roles: Iterable[Role]) -> int:
    bits = 0
    for role in roles:
        bits |= role.judged.reach.all if role.judged is not None else 0
    return bits


def _spared(ours: Sequence[Role], theirs: Sequence[Role]) -> list[Kind]:
    if not all(role.known for role in ours):
        return []
    keep = _kinds(ours)
    gone = _kinds(theirs)
    if Kind.EVERYTHING in gone:
        gone = set(Kind)
    return [kind for kind in Kind if kind in gone and kind not in keep]


def _kinds(roles: Iterable[Role]) -> set[Kind]:
    return {
        finding.danger.kind for role in roles if role.judged is not None for finding in role.judged.findings
    }
