"""The words of what a request adds, for the requester and for whoever decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from catalog.judging.actions import Level, action_table
from catalog.judging.comparing import NewDanger
from catalog.judging.dangers import Kind
from catalog.judging.judgement import Unknown
from requests_app.weighing import Less, Weight

MOST_SERVICES = 12
MOST_UNKNOWN = 6
# With more dangers than this, the kinds are folded.
MOST_UNFOLDED = 6
_LEVELS = {
    Level.PERMISSIONS: "Permissions",
    Level.WRITE: "Write",
    Level.TAGGING: "Tag",
    Level.READ: "Read",
    Level.LIST: "List",
}
_DOES = {
    Level.PERMISSIONS: "change permissions",
    Level.WRITE: "write",
    Level.TAGGING: "tag",
    Level.READ: "read",
    Level.LIST: "list",
}
_UNKNOWN = {
    Unknown.MANAGED: "What the AWS managed policy {} allows couldn't be read.",
    Unknown.CUSTOMER: "What your organisation's own policy {} allows is not known here: it is kept in each account.",
    Unknown.INLINE: "The inline policy of {} can't be read as a policy.",
    Unknown.BOUNDARY: "The permissions boundary {} limits it further; what it leaves is not known here.",
}
_GRAVEST = frozenset({Kind.EVERYTHING, Kind.POWER, Kind.TRACES})


@dataclass(frozen=True, slots=True)
class DangerLine:
    """One danger as a line: what, by which actions, how far, and from which permission sets."""

    words: str
    ways: Sequence[str]
    more: int
    hedge: str
    roles: str


@dataclass(frozen=True, slots=True)
class KindGroup:
    """The dangers of one kind."""

    words: str
    tone: str
    dangers: Sequence[DangerLine]


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """How much of a service is new, by access level in the order of `Weighed.level_names`."""

    name: str
    counts: Sequence[int]


@dataclass(frozen=True, slots=True)
class LessLine:
    """A PIM group that opens less, and in which ways."""

    name: str
    words: str
    address: str


@dataclass(frozen=True, slots=True)
class Weighed:
    """A weight in words; `name` is the requester's, "" where they read it themselves."""

    weight: Weight
    name: str = ""

    @property
    def lede(self) -> str:
        weight, adds = self.weight, self.weight.adds
        if weight.held:
            have = f"{self.name} has" if self.name else "You have"
            return f"{have} this PIM group now: it adds time, and nothing else."
        if not weight.accounts:
            return "It opens nothing now."
        if not weight.compared:
            have = f"{self.name} has" if self.name else "you have"
            return (
                f"It opens {_accounts(weight.accounts)}. That was too much to compare with what {have} now: all of it is "
                "counted as new, and some of it may not be."
            )
        through = ", ".join(weight.through)
        if not adds.accounts:
            return f"Everything in it is held already, through {through}."
        if weight.through:
            return f"New on {adds.accounts} of {_accounts(weight.accounts)}. Held there already: {through}."
        return f"All of it is new, on {_accounts(weight.accounts)}."

    @property
    def counted(self) -> str:
        """How many actions are new, by what they do; "" when none is known to be."""
        adds = self.weight.adds
        if not adds.bits:
            return "" if adds.unjudged or adds.unknown or not adds.accounts else "No action in it is new."
        services = len({service for service, _ in action_table().counts(adds.bits)})
        number = (
            f"{adds.bits.bit_count():,} action{_s(adds.bits.bit_count())} of {services} service{_s(services)}"
        )
        return f"{number}: {_listed([f'{count:,} {_DOES[level]}' for level, count in adds.levels.items()])}."

    @property
    def harmless(self) -> bool:
        """Whether it can be said that no danger is known."""
        adds = self.weight.adds
        return bool(adds.bits) and not (adds.dangers or adds.unknown or adds.unjudged)

    @property
    def kinds(self) -> Sequence[KindGroup]:
        adds = self.weight.adds
        several = len(adds.roles) > 1
        return [
            KindGroup(
                kind.words,
                "problem" if kind in _GRAVEST else "waiting",
                [_line(each, several) for each in adds.dangers if each.finding.danger.kind is kind],
            )
            for kind in adds.kinds
        ]

    @property
    def folded(self) -> bool:
        return len(self.weight.adds.dangers) > MOST_UNFOLDED

    @property
    def unknown(self) -> Sequence[str]:
        """What can't be said, in sentences; the first few."""
        adds = self.weight.adds
        said = [_UNKNOWN[reason].format(what or role) for reason, what, role in adds.unknown]
        said += [f"What {role} allows hasn't been judged yet." for role in adds.unjudged]
        said = list(dict.fromkeys(said))
        more = len(said) - MOST_UNKNOWN
        return [*said[:MOST_UNKNOWN], *([f"And {more} more."] if more > 0 else [])]

    @property
    def newer(self) -> str:
        """What the table of actions doesn't have, in a sentence; "" when there is nothing of it."""
        number = self.weight.adds.strangers
        are = "action that a policy names is" if number == 1 else "actions that policies name are"
        return f"{number} {are} not in the portal's table, and not counted." if number else ""

    @property
    def bounded(self) -> bool:
        return self.weight.adds.bounded and not any(
            reason is Unknown.BOUNDARY for reason, _, _ in self.weight.adds.unknown
        )

    @property
    def level_names(self) -> Sequence[str]:
        return list(_LEVELS.values())

    @property
    def services(self) -> Sequence[ServiceRow]:
        """The services with the most that is new, those whose permissions can be changed first."""
        found: dict[str, dict[Level, int]] = {}
        for (service, level), number in action_table().counts(self.weight.adds.bits).items():
            found.setdefault(service, {})[level] = number
        rows = [ServiceRow(name, [each.get(level, 0) for level in _LEVELS]) for name, each in found.items()]
        rows.sort(key=lambda row: ([-count for count in row.counts], row.name))
        return rows[:MOST_SERVICES]

    @property
    def more_services(self) -> int:
        return max(
            0,
            len({service for service, _ in action_table().counts(self.weight.adds.bits)}) - MOST_SERVICES,
        )

    @property
    def less(self) -> Sequence[LessLine]:
        return [_less(each) for each in self.weight.less]


def _line(new: NewDanger, several: bool) -> DangerLine:
    found = new.finding
    return DangerLine(
        words=found.danger.words,
        ways=[way.replace("+", " + ") for way in found.ways],
        more=found.more,
        hedge=found.hedge.words,
        roles=", ".join(new.roles) if several else "",
    )


def _less(less: Less) -> LessLine:
    how = less.how
    words = [
        f"the same {_accounts(how.accounts)}"
        if how.same_accounts
        else f"{how.accounts} of the {_accounts(how.asked_accounts)}"
    ]
    if how.asked_actions is not None and how.actions < how.asked_actions:
        words.append(f"{how.actions:,} instead of {how.asked_actions:,} actions")
    sentence = f"Opens {' with '.join(words)}."
    if how.spared:
        spared = _listed([kind.words[0].lower() + kind.words[1:] for kind in how.spared])
        sentence += f" It leaves out: {spared}."
    return LessLine(less.group.display_name, sentence, reverse("request_access", args=[less.group.object_id]))


def _accounts(number: int) -> str:
    return f"{number:,} AWS account{_s(number)}"


def _s(number: int) -> str:
    return "" if number == 1 else "s"


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
