"""What the operator's pages about rules show. A fixed number of queries each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.paginator import Page, Paginator

from base.errors import Invalid, Missing
from catalog.models import PimGroup
from identity.models import Person
from oversight.rules.comparing import Difference, compare
from oversight.rules.models import OPEN, RuleChange, RuleEffect
from oversight.rules.naming import names_of
from oversight.rules.planning import Turn
from oversight.rules.reading import has_their_shape, read
from oversight.rules.replaying import Outcome
from oversight.rules.state import as_written_today, in_force
from policy.demands import parse_demands
from policy.document import parse_document
from policy.linting import Doubt, doubts
from policy.models import Rule, RuleVersion
from requests_app.models import RequestItem
from requests_app.rule_words import demand_sentences, scope_sentence

PAGE = 20
MOST_LATEST = 5
MOST_VERSIONS = 10
MOST_FIELDS = 200  # differences of one change that a page shows
MOST_DOUBTS = 50
MOST_PEOPLE = 8  # named for one PIM group
LARGEST_NUMBER = 2**31  # of a version, which no column holds

TONES = {
    RuleChange.Status.PROPOSED: "waiting",
    RuleChange.Status.ACCEPTED: "moving",
    RuleChange.Status.APPLIED: "live",
    RuleChange.Status.REJECTED: "ended",
    RuleChange.Status.WITHDRAWN: "ended",
    RuleChange.Status.STALE: "problem",
}


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule in force, in words."""

    rule: Rule
    version: RuleVersion
    sentences: Sequence[str]


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change of the rules with the look of its state. The one that was applied last can't be gone back to."""

    change: RuleChange
    last_applied: bool

    @property
    def tone(self) -> str:
        return TONES[RuleChange.Status(self.change.status)]


@dataclass(frozen=True, slots=True)
class RulesPage:
    """What is in force, what waits, and the newest of the history."""

    rows: Sequence[RuleRow]
    page: Page[RuleVersion]
    waiting: Sequence[ChangeRow]
    latest: Sequence[ChangeRow]


def change_rows(changes: Iterable[RuleChange]) -> list[ChangeRow]:
    """Changes as lists show them. One query."""
    applied = RuleChange.objects.filter(status=RuleChange.Status.APPLIED).order_by("-settled_at")
    last = applied.values_list("pk", flat=True).first()
    return [ChangeRow(each, each.pk == last) for each in changes]


def rules_page(number: str) -> RulesPage:
    """Eleven queries at most."""
    versions = RuleVersion.objects.filter(pk__in=Rule.objects.filter(retired=False).values("current"))
    page = Paginator(versions.select_related("rule").order_by("rule__name"), PAGE).get_page(number)
    names = names_of([version.document for version in page])
    changes = RuleChange.objects.select_related("proposed_by", "decided_by").defer("rules", "base")
    return RulesPage(
        rows=[RuleRow(each.rule, each, sentences_of(each.document, names)) for each in page],
        page=page,
        waiting=change_rows(changes.filter(status__in=OPEN).order_by("proposed_at", "pk")[:50]),
        latest=change_rows(changes.exclude(status__in=OPEN).order_by("-proposed_at", "pk")[:MOST_LATEST]),
    )


def sentences_of(raw: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """A whole rule in words."""
    document = parse_document(raw)
    return [scope_sentence(document), *demand_sentences(document.demands, names)]


def history_page(number: str) -> Page[RuleChange]:
    """All changes, newest first. Two queries."""
    rows = RuleChange.objects.select_related("proposed_by", "decided_by").defer("rules", "base")
    return Paginator(rows.order_by("-proposed_at", "pk"), PAGE).get_page(number)


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of a rule, what it changed, and the change that brought it."""

    version: RuleVersion
    difference: Difference | None  # from the one before; None for the first that is known
    change: RuleChange | None


@dataclass(frozen=True, slots=True)
class RulePage:
    """One rule with its versions, newest first."""

    rule: Rule
    sentences: Sequence[str]
    rows: Sequence[VersionRow]
    page: Page[RuleVersion]


def rule_page(rule_id: int, number: str) -> RulePage:
    """One rule; ten queries at most. Raises Missing."""
    rule = Rule.objects.select_related("current").filter(pk=rule_id).first()
    if rule is None or rule.current is None:
        raise Missing("rules.missing", "There is no such rule.")
    page = Paginator(rule.versions.order_by("-number"), MOST_VERSIONS).get_page(number)
    shown = list(page)
    earlier = rule.versions.filter(number=shown[-1].number - 1).first()
    all_of = [*shown, *([earlier] if earlier else [])]
    names = names_of([each.document for each in all_of])
    ids = {
        each: each.created_by.removeprefix("change ")
        for each in shown
        if each.created_by.startswith("change ")
    }
    changes = {
        str(each.pk): each
        for each in RuleChange.objects.select_related("proposed_by", "decided_by").filter(pk__in=ids.values())
    }
    before = {each.number: each for each in all_of}
    rows = []
    for each in shown:
        old = before.get(each.number - 1)
        found = (
            compare(
                {rule.name: as_written_today(old.document)},
                {rule.name: as_written_today(each.document)},
                names,
            )
            if old
            else []
        )
        rows.append(VersionRow(each, found[0] if found else None, changes.get(ids.get(each, ""))))
    return RulePage(rule, sentences_of(rule.current.document, names), rows, page)


@dataclass(frozen=True, slots=True)
class Concerned:
    """People of one PIM group for whom the same thing changes."""

    group: PimGroup
    people: Sequence[str]
    more_people: int


@dataclass(frozen=True, slots=True)
class Moves:
    """One thing that a change does, and to whom."""

    turn: str
    what: Sequence[str]  # sentences
    concerned: Sequence[Concerned]


@dataclass(frozen=True, slots=True)
class Decides:
    """People who gain or lose the right to decide on the same PIM groups."""

    turn: str
    people: Sequence[str]
    more_people: int
    groups: Sequence[str]
    more_groups: int


@dataclass(frozen=True, slots=True)
class Example:
    """A request that would have gone otherwise."""

    item: RequestItem
    outcome: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change would do, as far as it is worked out."""

    row: RuleEffect
    moves: Sequence[Moves]
    decides: Sequence[Decides]
    examples: Sequence[Example]

    @property
    def found(self) -> dict[str, Any]:
        return dict(self.row.found)

    @property
    def done(self) -> bool:
        return self.row.status == RuleEffect.Status.DONE

    @property
    def moved(self) -> int:
        return sum(self.found["turns"].values())

    @property
    def more_moves(self) -> int:
        """How many aren't kept; what an earlier release worked out doesn't count them."""
        return int(self.found.get("more_moves", self.moved - len(self.row.found["moves"])))

    @property
    def otherwise(self) -> int:
        return sum(self.found["outcomes"].values())

    @property
    def sign_ins(self) -> int:
        """Requests that went otherwise only by a sign-in; what an earlier release worked out doesn't count them."""
        return int(self.found["outcomes"].get(Outcome.SIGN_IN.value, 0))

    @property
    def more_examples(self) -> int:
        return self.otherwise - len(self.examples)


@dataclass(frozen=True, slots=True)
class ChangePage:
    """One change of the rules with everything that a second operator needs."""

    change: RuleChange
    tone: str
    differences: Sequence[Difference]
    cut: bool
    doubts: Sequence[Doubt]
    effect: Effect | None
    stale: bool
    last_applied: bool


def change_or_missing(change_id: UUID) -> RuleChange:
    """One change. Raises Missing."""
    rows = RuleChange.objects.select_related("proposed_by", "decided_by", "restores", "effect")
    change = rows.filter(pk=change_id).first()
    if change is None:
        raise Missing("rules.change_missing", "There is no such change of the rules.")
    return change


def change_page(change: RuleChange) -> ChangePage:
    """What a change is about. Twenty-five queries at most."""
    before = _base_of(change)
    names = names_of([before, change.rules])
    # What isn't rules differs in nothing that could be shown; a doubt says so.
    found = compare(before, change.rules, names) if has_their_shape(change.rules) else []
    differences, cut = _bounded(found)
    return ChangePage(
        change=change,
        tone=TONES[RuleChange.Status(change.status)],
        differences=differences,
        cut=cut,
        doubts=_doubts(change, {each.name for each in differences}) if change.is_open else [],
        effect=_effect(change),
        last_applied=change_rows([change])[0].last_applied,
        stale=change.is_open and change.base != in_force()[1],
    )


def _doubts(change: RuleChange, names: Collection[str]) -> list[Doubt]:
    """What is worth a look in the rules that change, and in all of them together."""
    try:
        found = doubts(read(change.rules))
    except Invalid as error:
        return [Doubt("", f"This release can't read what is proposed: {error.sentence}")]
    return [each for each in found if not each.rule or each.rule in names][:MOST_DOUBTS]


def _base_of(change: RuleChange) -> dict[str, Any]:
    """The documents that it was made from. One query."""
    base: Mapping[str, Any] = change.base if isinstance(change.base, Mapping) else {}
    numbers = {each for each in base.values() if type(each) is int and 0 < each < LARGEST_NUMBER}
    rows = RuleVersion.objects.filter(rule__name__in=base, number__in=numbers).select_related("rule")
    return {
        row.rule.name: as_written_today(row.document) for row in rows if base[row.rule.name] == row.number
    }


def _bounded(differences: Sequence[Difference]) -> tuple[list[Difference], bool]:
    shown, left = [], MOST_FIELDS
    for each in differences:
        shown.append(Difference(each.name, each.kind, each.fields[:left]))
        left -= len(each.fields)
        if left <= 0:
            return shown, True
    return shown, False


def _effect(change: RuleChange) -> Effect | None:
    row = getattr(change, "effect", None)
    if row is None:
        return None
    return Effect(row, _moves(row.found), deciding_rows(row.found), _examples(row.found))


def _moves(found: Mapping[str, Any]) -> list[Moves]:
    """What was found, by what changes; those who lose come first."""
    gathered: dict[tuple[str, int, int], dict[int, list[int]]] = {}
    for person, group, turn, old, new in found["moves"]:
        gathered.setdefault((turn, old, new), {}).setdefault(group, []).append(person)
    groups = PimGroup.objects.in_bulk({row[1] for row in found["moves"]})
    people = dict(
        Person.objects.filter(pk__in={row[0] for row in found["moves"]}).values_list("pk", "display_name")
    )
    names = names_of(found["standings"])
    order = {turn.value: number for number, turn in enumerate((Turn.LOSES, Turn.GAINS, Turn.DIFFERS))}
    rows = []
    for (turn, old, new), by_group in gathered.items():
        concerned = []
        for group in sorted(
            (groups[key] for key in by_group if key in groups), key=lambda each: each.display_name
        ):
            named = sorted(people.get(key, "somebody") for key in by_group[group.pk])
            concerned.append(Concerned(group, named[:MOST_PEOPLE], max(0, len(named) - MOST_PEOPLE)))
        rows.append(
            Moves(turn, move_sentences(found["standings"][old], found["standings"][new], names), concerned)
        )
    return sorted(rows, key=lambda row: (order[row.turn], row.what))


def deciding_rows(found: Mapping[str, Any]) -> list[Decides]:
    """Who gains and loses the right to decide, by name. Two queries; none of what an earlier release worked out."""
    rows = found.get("deciding", {}).get("rows", ())
    if not rows:
        return []
    people = dict(
        Person.objects.filter(pk__in={each for row in rows for each in row[1]}).values_list(
            "pk", "display_name"
        )
    )
    groups = dict(
        PimGroup.objects.filter(pk__in={each for row in rows for each in row[3]}).values_list(
            "pk", "display_name"
        )
    )
    return [
        Decides(
            turn,
            sorted(people.get(each, "somebody") for each in some),
            count - len(some),
            sorted(groups.get(each, "a PIM group") for each in on),
            of - len(on),
        )
        for turn, some, count, on, of in rows
    ]


def move_sentences(old: Mapping[str, Any], new: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """What changes between two standings: what is demanded otherwise, or what is demanded then, or why not any more."""
    hours = [f"Asked for {new['asked']}:"] if new.get("asked") else []
    if old["demands"] is None or new["demands"] is None:
        return [*hours, standing_words(new, names)]
    (difference,) = compare({"": old["demands"]}, {"": new["demands"]}, names)
    return [*hours, *(f"{each.sentence[0].upper()}{each.sentence[1:]}." for each in difference.fields)]


def standing_words(raw: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """What somebody is held to, or why they can't ask, in words."""
    if raw["demands"] is None:
        return f"Can't be asked for: {raw['why_not']}"
    sentences = demand_sentences(parse_demands(raw["demands"]), names)
    return " ".join(each for each in sentences if not each.startswith("Never by"))


def _examples(found: Mapping[str, Any]) -> list[Example]:
    order = {
        each.value: number
        for number, each in enumerate((Outcome.NOBODY, Outcome.REFUSED, Outcome.LONGER, Outcome.SIGN_IN))
    }
    items = RequestItem.objects.select_related("requester", "group").in_bulk(
        [UUID(key) for key, _, _ in found["examples"]]
    )
    rows = [
        Example(items[UUID(key)], outcome, words)
        for key, outcome, words in found["examples"]
        if UUID(key) in items
    ]
    return sorted(rows, key=lambda row: order[row.outcome])
