"""Whatever rules and request there are: what is demanded together is in no dimension looser than one of them demands,
and nobody decides on their own request.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from policy.assurance import Assurance, StepUp
from policy.demands import Approvers, Demands, Escalation, Stage, combine, parse_demands, serialise_demands
from policy.document import RuleDocument, parse_document, serialise_document
from policy.hours import DAYS, Hours
from policy.matching import match
from policy.models import Rule, RuleVersion
from policy.scope import Ask, OnCall, Opened, Scope
from policy.waiving import Automatic, Emergency, Named, Panel

names = st.frozensets(st.sampled_from("abcd"), max_size=2)
owner = st.sampled_from(["", "", "Owner"])
approvers = st.builds(
    Approvers,
    names,
    names,
    owner,
    st.sampled_from([False, False, True]),
    st.sampled_from(["", "", "payments"]),
).filter(lambda found: found.named)
spans = st.integers(1, 48).map(lambda hours: timedelta(hours=hours))
escalations = st.builds(Escalation, spans, st.just(Approvers(frozenset("z"), frozenset())))
stages = st.lists(
    st.builds(Stage, approvers, st.integers(1, 3), st.none() | escalations), min_size=1, max_size=3
).map(tuple)
clocks = st.integers(0, 23).map(time)
hours = st.builds(
    Hours,
    st.frozensets(st.integers(0, 6), min_size=1),
    clocks,
    clocks,
    st.sampled_from(["UTC", "Asia/Tokyo"]),
).filter(lambda found: found.opens != found.closes)
several_hours = st.lists(hours, max_size=2, unique=True).map(tuple)
patterns = st.lists(st.sampled_from(["INC.*", "CHG.*"]), max_size=2, unique=True).map(
    lambda found: tuple(sorted(found))
)
step_ups = st.sampled_from(
    [
        StepUp(),
        StepUp(ask=Assurance(timedelta(minutes=10), frozenset({"c1"}))),
        StepUp(ask=Assurance(None, frozenset({"c2"})), decide=Assurance(timedelta(minutes=5))),
        StepUp(decide=Assurance(timedelta(minutes=15), frozenset({"c1", "c3"}))),
    ]
)
named = st.builds(Named, names, names).filter(bool)
emergencies = st.builds(
    Emergency,
    allowed=st.tuples(named),
    longest_duration=spans,
    panels=st.tuples(st.builds(Panel, named, st.just(Named()) | named)),
    review_within=st.integers(1, 24).map(lambda hours: timedelta(hours=hours)),
    blocks_after=st.integers(24, 48).map(lambda hours: timedelta(hours=hours)),
)
only = st.builds(Scope, units=st.just(frozenset({"ou-ab12-prod"}))) | st.builds(
    Scope, account_tags=st.just((("env", frozenset({"dev"})),))
)
automatics = st.builds(
    Automatic,
    longest_duration=spans,
    only=st.lists(only, max_size=1).map(tuple),
    during=st.lists(hours, max_size=1).map(tuple),
    read_only=st.booleans(),
    reference_required=st.booleans(),
)
demands = st.builds(
    Demands,
    stages=stages,
    longest_duration=st.none() | spans,
    shortest_justification=st.integers(0, 50),
    justification_patterns=patterns,
    reference_required=st.booleans(),
    reference_patterns=patterns,
    lapses_after=spans,
    guests_decide=st.booleans(),
    second_approver_outside=several_hours,
    remind_after=st.none() | spans,
    most_reminders=st.integers(1, 4),
    step_up=step_ups,
    emergency=st.none() | emergencies,
    automatic=st.none() | automatics,
)
values = st.frozensets(st.sampled_from(["prod", "dev"]), min_size=1)
scopes = st.builds(
    Scope,
    groups=st.frozensets(st.sampled_from(["pim", "other"]), max_size=1),
    permission_sets=st.frozensets(st.sampled_from(["Admin", "Reader"]), max_size=1),
    accounts=st.frozensets(st.sampled_from(["111111111111", "222222222222"]), max_size=1),
    units=st.frozensets(st.sampled_from(["ou-ab12-prod", "r-ab12"]), max_size=1),
    account_tags=st.lists(st.tuples(st.just("env"), values), max_size=1).map(tuple),
    requester_groups=st.frozensets(st.sampled_from(["team", "others"]), max_size=1),
    during=st.none() | hours,
)
rules = st.builds(RuleDocument, scopes, demands, st.booleans())
TAGS = {
    "111111111111": (("Owner", "ann"), ("env", "prod")),
    "222222222222": (("Owner", "bob"), ("env", "dev")),
    "333333333333": (),
}
pairs = st.builds(
    lambda account, name, units: Opened(account, name, units, TAGS[account]),
    st.sampled_from(sorted(TAGS)),
    st.sampled_from(["Admin", "Reader"]),
    st.sampled_from([frozenset({"r-ab12"}), frozenset({"r-ab12", "ou-ab12-prod"})]),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
asks = st.builds(
    Ask,
    group=st.just("pim"),
    opened=st.frozensets(pairs, min_size=1, max_size=4),
    requester_groups=st.frozensets(st.sampled_from(["team"])),
    attributes=st.just(()),
    asked_at=moments,
    people=st.just({"ann": "a", "bob": "b"}),
    manager=st.just("m"),
    on_call=st.just({"payments": OnCall(frozenset({"o"}))}),
)


def versions_of(documents: list[RuleDocument]) -> list[RuleVersion]:
    return [
        RuleVersion(pk=n, rule=Rule(pk=n, name=f"Rule {n}"), number=1, document=serialise_document(document))
        for n, document in enumerate(documents)
    ]


def not_looser(held_to: Demands, one: Demands) -> None:
    """In every dimension what a request is held to is at least as strict as what this rule demands."""
    if one.longest_duration is not None:
        assert held_to.longest_duration is not None
        assert held_to.longest_duration <= one.longest_duration
    assert held_to.shortest_justification >= one.shortest_justification
    assert set(held_to.justification_patterns) >= set(one.justification_patterns)
    assert set(held_to.reference_patterns) >= set(one.reference_patterns)
    assert held_to.reference_required or not one.reference_required
    assert held_to.lapses_after <= one.lapses_after
    assert one.guests_decide or not held_to.guests_decide
    if one.remind_after is not None:
        assert held_to.remind_after is not None
        assert held_to.remind_after <= one.remind_after
    assert held_to.most_reminders >= one.most_reminders
    for held, wanted in (
        (held_to.step_up.ask, one.step_up.ask),
        (held_to.step_up.decide, one.step_up.decide),
    ):
        assert held.contexts >= wanted.contexts
        if wanted.fresh_within is not None:
            assert held.fresh_within is not None
            assert held.fresh_within <= wanted.fresh_within
    if held_to.emergency is not None:
        assert one.emergency is not None, "an emergency only where every rule knows one"
        assert set(held_to.emergency.allowed) >= set(one.emergency.allowed)
        assert set(held_to.emergency.panels) >= set(one.emergency.panels)
        assert held_to.emergency.longest_duration <= one.emergency.longest_duration
        assert held_to.emergency.review_within <= one.emergency.review_within
        assert held_to.emergency.blocks_after <= one.emergency.blocks_after
    if held_to.automatic is not None:
        assert one.automatic is not None, "nobody decides only where every rule says so"
        assert held_to.automatic.longest_duration <= one.automatic.longest_duration
        assert set(held_to.automatic.only) >= set(one.automatic.only)
        assert set(held_to.automatic.during) >= set(one.automatic.during)
        assert held_to.automatic.read_only or not one.automatic.read_only
        assert held_to.automatic.reference_required or not one.automatic.reference_required
    # Nobody comes in by an escalation earlier than the rule lets them, where it lets them at all.
    for stage in one.stages:
        ours = [each for each in held_to.stages if each.approvers == stage.approvers]
        if len(ours) == 1 and ours[0].escalation:
            assert stage.escalation
            assert ours[0].escalation.after >= stage.escalation.after
    # Every stage of the rule has one of its own, of the same approvers, with at least its quorum.
    here, there = _quorums(held_to), _quorums(one)
    for approvers, quorums in there.items():
        assert len(here[approvers]) >= len(quorums)
        assert all(ours >= theirs for ours, theirs in zip(here[approvers], quorums, strict=False))


def _quorums(found: Demands) -> dict[Approvers, list[int]]:
    by_approvers: dict[Approvers, list[int]] = {stage.approvers: [] for stage in found.stages}
    for stage in found.stages:
        by_approvers[stage.approvers].append(stage.quorum)
    return {approvers: sorted(quorums, reverse=True) for approvers, quorums in by_approvers.items()}


@given(st.lists(demands, min_size=1, max_size=4))
def test_together_they_are_as_strict_as_each(several: list[Demands]) -> None:
    held_to = combine(several)
    for one in several:
        not_looser(held_to, one)


@given(st.lists(rules, max_size=4), asks)
def test_no_rule_set_and_request_come_out_looser_than_a_rule_that_applies(
    documents: list[RuleDocument], ask: Ask
) -> None:
    versions = versions_of(documents)
    found = match(ask, versions)
    applying = [
        each
        for each in documents
        if each.applies_to.fits(ask)
        and any(each.applies_to.covers(pair) for pair in ask.opened or ())
        and not each.fallback
    ] or [
        each
        for each in documents
        if each.applies_to.fits(ask) and any(each.applies_to.covers(pair) for pair in ask.opened or ())
    ]
    bare = [p for p in ask.opened or () if not any(each.applies_to.covers(p) for each in applying)]
    if found.demands is None:
        assert not applying or bare, "it is refused only where something has no rule"
        return
    assert applying, "nothing is open without a rule"
    assert not bare, "what one rule says of one account opens no other"
    assert len(found.versions) == len(applying)
    owners = {dict(pair.tags).get("Owner", "") for pair in ask.opened or ()}
    for one in applying:
        at = one.demands.at(ask.asked_at)
        assert sum(stage.quorum for stage in at.stages) >= sum(stage.quorum for stage in one.demands.stages)
        described = [stage for stage in at.stages if stage.approvers.described]
        if not described:
            not_looser(found.demands, at)
        for stage in described:
            who = stage.approvers
            named = who.people | ({"m"} if who.manager else set()) | ({"o"} if who.on_call else set())
            for name in owners if who.account_owner else {""}:
                decides = named | ({ask.people[name]} if name else set())
                same = [
                    each
                    for each in found.demands.stages
                    if each.approvers == Approvers(decides, stage.approvers.groups)
                ]
                assert same, "each account's owner has a word"
                assert max(each.quorum for each in same) >= stage.quorum


@given(rules)
def test_a_rule_is_read_as_it_was_written(document: RuleDocument) -> None:
    raw = serialise_document(document)
    assert parse_document(raw) == document
    assert serialise_document(parse_document(raw)) == raw


@given(demands)
def test_demands_are_read_as_they_were_written(found: Demands) -> None:
    assert parse_demands(serialise_demands(found)) == found


@given(hours, moments)
def test_hours_and_the_rest_of_the_week_are_the_whole_week(found: Hours, moment: datetime) -> None:
    """The complement of [opens, closes) on some days is: those days' other hours, and all of the other days."""
    others = [Hours(found.days, found.closes, found.opens, found.zone)]
    rest = frozenset(range(7)) - found.days
    if rest:
        others += [
            Hours(rest, found.opens, found.closes, found.zone),
            Hours(rest, found.closes, found.opens, found.zone),
        ]
    # A window past midnight belongs to the day it began on, so each instant lies in exactly one of them.
    held: Counter[bool] = Counter(each.hold(moment) for each in [found, *others])
    assert held[True] == 1, (found, moment, DAYS[moment.weekday()])
