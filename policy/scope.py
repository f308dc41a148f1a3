"""What a rule applies to. Pure: no database, no clock.

A request activates one PIM group, and with it everything that the group opens. So a rule matches the request where
the circumstances are right and at least one of the pairs (account, permission set) that the group opens is in the
rule's scope; which pairs those are is kept, because every pair of a group needs a rule of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from base.errors import Invalid
from policy.fields import ids, mapping, refuse_unknown, texts, texts_by_key
from policy.hours import Hours, parse_hours, serialise_hours

if TYPE_CHECKING:  # floors know demands, demands know scopes
    from policy.floor import Floor

# What of a person a rule may name, as the directory gives it.
ATTRIBUTES = ("department", "job_title")
ANY_VALUE = "*"


@dataclass(frozen=True, slots=True)
class Opened:
    """One permission set on one AWS account, as the catalogue knows them. `units` goes up to the root, ids."""

    account_id: str
    permission_set: str
    units: frozenset[str]
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who is on call for a schedule, by object id; where nobody is known, why not, as part of a sentence.

    `read_at` (business time) is when the source said so last.
    """

    people: frozenset[str] = frozenset()
    problem: str = ""
    read_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request is judged by: the PIM group, all that it opens, who asks, and when (business time).

    `requester_groups` are object ids of directory groups, `attributes` those of ATTRIBUTES. `opened` is None where no
    rule asks for pairs and nobody read them. `people` are object ids by what an account's tag may call its owner: object
    id or sign-in name, case-folded. `floor` is what PIM itself demands.
    `manager` is the requester's, or "" and why; `on_call` has what was known of each schedule at that moment.
    """

    group: str
    opened: frozenset[Opened] | None
    requester_groups: frozenset[str]
    attributes: tuple[tuple[str, str], ...]
    asked_at: datetime
    people: Mapping[str, str] = field(default_factory=dict)
    floor: Floor | None = None  # None: PIM demands nothing
    manager: str = ""
    manager_read_at: datetime | None = None  # business time
    no_manager: str = "who the requester's manager is has never been read"
    on_call: Mapping[str, OnCall] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scope:
    """Conditions, all of which hold: one of the values of each that is given. None given: everything."""

    groups: frozenset[str] = frozenset()  # PIM groups
    permission_sets: frozenset[str] = frozenset()  # names
    accounts: frozenset[str] = frozenset()  # 12 digits
    units: frozenset[str] = frozenset()  # ids of organisational units or roots, with all below them
    account_tags: tuple[tuple[str, frozenset[str]], ...] = ()  # "*" stands for any value
    requester_groups: frozenset[str] = frozenset()  # directory groups
    requester: tuple[tuple[str, frozenset[str]], ...] = ()  # attributes, without regard to case
    during: Hours | None = None
    outside: Hours | None = None

    @property
    def names_pairs(self) -> bool:
        """Whether it depends on what a group opens."""
        return bool(self.permission_sets or self.accounts or self.units or self.account_tags)

    @property
    def everything(self) -> bool:
        return self == Scope()

    def fits(self, ask: Ask) -> bool:
        """Whether the circumstances are right, whatever the group opens."""
        attributes = dict(ask.attributes)
        return (
            (not self.groups or ask.group in self.groups)
            and (not self.requester_groups or bool(self.requester_groups & ask.requester_groups))
            and all(
                attributes.get(name, "").casefold() in {value.casefold() for value in values}
                for name, values in self.requester
            )
            and (self.during is None or self.during.hold(ask.asked_at))
            and (self.outside is None or not self.outside.hold(ask.asked_at))
        )

    def covers(self, pair: Opened) -> bool:
        """Whether this pair is in the scope."""
        tags = dict(pair.tags)
        return (
            (not self.permission_sets or pair.permission_set in self.permission_sets)
            and (not self.accounts or pair.account_id in self.accounts)
            and (not self.units or bool(self.units & pair.units))
            and all(
                key in tags and (ANY_VALUE in values or tags[key] in values)
                for key, values in self.account_tags
            )
        )


FIELDS = (
    "groups",
    "permission_sets",
    "accounts",
    "units",
    "account_tags",
    "requester_groups",
    "requester",
    "during",
    "outside",
)


def parse_scope(raw: Mapping[str, Any]) -> Scope:
    """Read `applies_to`.

    Raises:
        Invalid: an unknown condition, or a value of the wrong kind.
    """
    refuse_unknown(raw, FIELDS, "applies_to")
    accounts = texts(raw, "accounts")
    for account in accounts:
        if not re.fullmatch(r"[0-9]{12}", account):
            raise Invalid(
                "rule.account",
                f"{account[:40]!r} is no AWS account id: twelve digits, in quotation marks.",
                field="accounts",
            )
    units = texts(raw, "units")
    for unit in units:
        if not re.fullmatch(r"(ou|r)-[0-9a-z-]{4,66}", unit):
            raise Invalid(
                "rule.unit",
                f"{unit[:40]!r} is no id of an organisational unit, such as ou-ab12-cdef3456.",
                field="units",
            )
    requester = texts_by_key(raw, "requester")
    refuse_unknown(dict(requester), ATTRIBUTES, "requester")
    return Scope(
        groups=ids(raw, "groups"),
        permission_sets=texts(raw, "permission_sets"),
        accounts=accounts,
        units=units,
        account_tags=texts_by_key(raw, "account_tags"),
        requester_groups=ids(raw, "requester_groups"),
        requester=requester,
        during=parse_hours(mapping(raw, "during"), "during") if raw.get("during") else None,
        outside=parse_hours(mapping(raw, "outside"), "outside") if raw.get("outside") else None,
    )


def serialise_scope(scope: Scope) -> dict[str, Any]:
    """The form that `parse_scope` reads, without the conditions that aren't given."""
    raw: dict[str, Any] = {}
    for name in ("groups", "permission_sets", "accounts", "units", "requester_groups"):
        if values := getattr(scope, name):
            raw[name] = sorted(values)
    for name in ("account_tags", "requester"):
        if pairs := getattr(scope, name):
            raw[name] = {key: sorted(values) for key, values in pairs}
    for name in ("during", "outside"):
        if hours := getattr(scope, name):
            raw[name] = serialise_hours(hours)
    return raw
