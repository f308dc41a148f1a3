"""When no approval is needed: emergency use by a few, with a review owed, and automatic approval under conditions. Pure.

Both are what a rule may allow. Where several rules apply, they hold only if each of them allows it, with the conditions
of all of them: who may is named by each, times are the shortest, and each rule's reviewers owe a review.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.duration import duration_iso_string

from base.errors import Invalid
from policy.fields import duration, ids, mapping, refuse_unknown, rows, yes
from policy.hours import Hours, parse_hours, serialise_hours
from policy.scope import Scope, parse_scope, serialise_scope

REVIEW_WITHIN = timedelta(days=2)
BLOCKS_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Named:
    """People and members of directory groups, by object id."""

    people: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.people or self.groups)

    def __or__(self, other: Named) -> Named:
        return Named(self.people | other.people, self.groups | other.groups)


@dataclass(frozen=True, slots=True)
class Panel:
    """Who reviews an emergency use: one of these, and one of the others too once it is overdue."""

    reviewers: Named
    escalates_to: Named = Named()

    @property
    def everybody(self) -> Named:
        return self.reviewers | self.escalates_to


@dataclass(frozen=True, slots=True)
class Emergency:
    """Who may go without an approval: whoever each of `allowed` names. Each panel owes a review of it.

    Times are business time since the approval was waived.
    """

    allowed: tuple[Named, ...]
    longest_duration: timedelta
    panels: tuple[Panel, ...]
    review_within: timedelta = REVIEW_WITHIN
    blocks_after: timedelta = BLOCKS_AFTER  # unreviewed for so long, it blocks the same human's next use

    @property
    def everybody(self) -> Named:
        """All whom it names, in whatever office."""
        found = Named()
        for each in (*self.allowed, *(panel.everybody for panel in self.panels)):
            found |= each
        return found


@dataclass(frozen=True, slots=True)
class Automatic:
    """Conditions under which nobody has to decide: all of them hold, as a worker finds them."""

    longest_duration: timedelta
    only: tuple[Scope, ...] = ()  # all that the PIM group opens is in each of these
    during: tuple[Hours, ...] = ()  # it is asked for within each of these
    read_only: bool = False
    reference_required: bool = False


EMERGENCY_FIELDS = ("allowed", "longest_duration", "reviewers", "review_within", "blocks_after")
AUTOMATIC_FIELDS = ("longest_duration", "only", "during", "read_only", "reference_required")
ONLY_FIELDS = ("permission_sets", "accounts", "units", "account_tags")


def parse_emergency(raw: Mapping[str, Any]) -> Emergency | None:
    """Read `emergency` of a document; None without one.

    Raises:
        Invalid: nobody allowed, nobody who reviews, or a value of the wrong kind.
    """
    found = mapping(raw, "emergency")
    if not found:
        return None
    refuse_unknown(found, EMERGENCY_FIELDS, "emergency")
    allowed = tuple(_named(each, "emergency.allowed") for each in _some(found, "allowed"))
    panels = tuple(_panel(each) for each in _some(found, "reviewers"))
    if not allowed or not panels:
        raise Invalid(
            "rule.emergency",
            "emergency says who is allowed to use it (allowed), and who reviews that (reviewers).",
            field="emergency",
        )
    within = duration(found.get("review_within", duration_iso_string(REVIEW_WITHIN)), "review_within")
    blocks = duration(
        found.get("blocks_after", duration_iso_string(max(BLOCKS_AFTER, within))), "blocks_after"
    )
    if blocks < within:
        raise Invalid(
            "rule.emergency",
            "emergency: blocks_after must not be shorter than review_within, or nobody could review in time.",
            field="emergency",
        )
    return Emergency(
        tuple(sorted(set(allowed), key=_order)),
        duration(found.get("longest_duration"), "longest_duration"),
        tuple(sorted(set(panels), key=lambda each: (_order(each.reviewers), _order(each.escalates_to)))),
        within,
        blocks,
    )


def _some(raw: Mapping[str, Any], field: str) -> Sequence[Mapping[str, Any]]:
    """One mapping, or a list of them."""
    value = raw.get(field)
    return [value] if isinstance(value, Mapping) else rows(raw, field)


def _named(raw: Mapping[str, Any], what: str) -> Named:
    refuse_unknown(raw, ("people", "groups"), what)
    found = Named(ids(raw, "people"), ids(raw, "groups"))
    if not found:
        raise Invalid("rule.emergency", f"{what} names nobody: give people or groups.", field="emergency")
    return found


def _panel(raw: Mapping[str, Any]) -> Panel:
    refuse_unknown(raw, ("people", "groups", "escalates_to"), "emergency.reviewers")
    further = mapping(raw, "escalates_to")
    reviewers = {key: value for key, value in raw.items() if key != "escalates_to"}
    return Panel(
        _named(reviewers, "emergency.reviewers"),
        _named(further, "emergency.reviewers.escalates_to") if further else Named(),
    )


def _order(named: Named) -> tuple[list[str], list[str]]:
    return sorted(named.people), sorted(named.groups)


def parse_automatic(raw: Mapping[str, Any]) -> Automatic | None:
    """Read `automatic` of a document; None without one.

    Raises:
        Invalid: no longest duration, or a value of the wrong kind.
    """
    found = mapping(raw, "automatic")
    if not found:
        return None
    refuse_unknown(found, AUTOMATIC_FIELDS, "automatic")
    only = []
    for each in _some(found, "only"):
        refuse_unknown(each, ONLY_FIELDS, "automatic.only")
        if not each or not (scope := parse_scope(each)).names_pairs:
            raise Invalid(
                "rule.automatic",
                f"automatic: only names nothing. Give some of {', '.join(ONLY_FIELDS)}.",
                field="automatic",
            )
        only.append(scope)
    during = {parse_hours(each, "automatic.during") for each in _some(found, "during")}
    return Automatic(
        duration(found.get("longest_duration"), "longest_duration"),
        tuple(sorted(set(only), key=lambda each: str(serialise_scope(each)))),
        tuple(sorted(during, key=lambda each: str(serialise_hours(each)))),
        yes(found, "read_only"),
        yes(found, "reference_required"),
    )


def serialise_emergency(emergency: Emergency) -> dict[str, Any]:
    """The form that `parse_emergency` reads."""
    allowed = [_serialise_named(each) for each in emergency.allowed]
    panels = [
        _serialise_named(each.reviewers)
        | ({"escalates_to": _serialise_named(each.escalates_to)} if each.escalates_to else {})
        for each in emergency.panels
    ]
    return {
        "allowed": allowed[0] if len(allowed) == 1 else allowed,
        "longest_duration": duration_iso_string(emergency.longest_duration),
        "reviewers": panels[0] if len(panels) == 1 else panels,
        "review_within": duration_iso_string(emergency.review_within),
        "blocks_after": duration_iso_string(emergency.blocks_after),
    }


def _serialise_named(named: Named) -> dict[str, Any]:
    found = {"people": sorted(named.people), "groups": sorted(named.groups)}
    return {name: values for name, values in found.items() if values}


def serialise_automatic(automatic: Automatic) -> dict[str, Any]:
    """The form that `parse_automatic` reads; what isn't demanded has no entry."""
    raw: dict[str, Any] = {"longest_duration": duration_iso_string(automatic.longest_duration)}
    for name, some in (
        ("only", [serialise_scope(each) for each in automatic.only]),
        ("during", [serialise_hours(each) for each in automatic.during]),
    ):
        if some:
            raw[name] = some[0] if len(some) == 1 else some
    if automatic.read_only:
        raw["read_only"] = True
    if automatic.reference_required:
        raw["reference_required"] = True
    return raw


def combine_emergencies(found: Sequence[Emergency | None]) -> Emergency | None:
    """Emergency use where all of these apply: only if each allows it, as strict as each."""
    every = [each for each in found if each is not None]
    if not every or len(every) < len(found):
        return None
    return Emergency(
        _distinct([named for each in every for named in each.allowed], _order),
        min(each.longest_duration for each in every),
        _distinct(
            [panel for each in every for panel in each.panels],
            lambda panel: (_order(panel.reviewers), _order(panel.escalates_to)),
        ),
        min(each.review_within for each in every),
        min(each.blocks_after for each in every),
    )


def combine_automatics(found: Sequence[Automatic | None]) -> Automatic | None:
    """Automatic approval where all of these apply: only if each allows it, under the conditions of each."""
    every = [each for each in found if each is not None]
    if not every or len(every) < len(found):
        return None
    return Automatic(
        min(each.longest_duration for each in every),
        _distinct(
            [scope for each in every for scope in each.only], lambda scope: str(serialise_scope(scope))
        ),
        _distinct(
            [hours for each in every for hours in each.during], lambda hours: str(serialise_hours(hours))
        ),
        any(each.read_only for each in every),
        any(each.reference_required for each in every),
    )


def _distinct[T](found: Sequence[T], order: Callable[[T], Any]) -> tuple[T, ...]:
    return tuple(sorted(set(found), key=order))
