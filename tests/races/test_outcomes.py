"""Everybody at once: one outcome each, a clear refusal for everybody else, one event a version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest

from audit.ledger.models import Event, Version
from base.errors import Conflict
from identity.models import Person
from policy.models import Rule
from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciding import check_decision, submit_decision
from requests_app.actions.submitting import submit_request
from requests_app.actions.sweeping import lapse_unanswered, sweep
from requests_app.actions.withdrawing import withdraw_item
from requests_app.lifecycle import DECISION, GRANT, ITEM
from requests_app.models import AccessRequest, Decision, Grant, RequestItem
from simulator.sample.builder import Builder
from tests.races.scene import acting_as, at_once, raised
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, check_invariants, stage

pytestmark = pytest.mark.usefixtures("committed_db")

OUTCOMES = {"approved", "denied", "withdrawn", "lapsed"}


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def newcomer(play: Stage, name: str, *, eligible: bool = False) -> Person:
    """Somebody more, in the world and here."""
    build = Builder(play.world)
    user = build.user(f"{name.lower().replace(' ', '.')}@acme.example", name, given_name=name, surname="X")
    person = make.person(
        name, object_id=user.id, user_principal_name=user.user_principal_name, store_user_id=""
    )
    if eligible:
        build.eligible(play.world_group, user)
        make.eligibility(person, play.group)
    return person


def decide_and_check(play: Stage, item: RequestItem, approver: Person, verdict: str) -> str:
    """An approver's click, and the worker's check of it."""
    with play.as_role("portal_web"):
        decision_id = submit_decision(
            item_id=item.pk,
            approver_id=approver.pk,
            verdict=verdict,
            comment="Because",
            shown=make.shown(item),
            actor=make.actor(approver),
        )
    check_decision(decision_id=decision_id)
    return verdict


def withdraw(item: RequestItem) -> str:
    withdraw_item(item_id=item.pk, person_id=item.requester_id, actor=make.actor(item.requester))
    return "withdraw"


def check_versions(machine_subject: str, row: RequestItem | Decision | Grant) -> None:
    versions = Version.objects.filter(subject_kind=machine_subject, subject_id=row.pk)
    assert sorted(versions.values_list("version", flat=True)) == list(range(1, row.version + 1))


def test_eight_people_and_a_clock_settle_one_request(play: Stage) -> None:
    """In threads; `test_outcomes_of_processes` has three hundred requests and processes."""
    rounds = 6
    deciders = [newcomer(play, f"Decider {number}") for number in range(6)]
    Rule.objects.update(retired=True)
    rule = make.rule(*deciders, groups=(play.group,))
    seen: Counter[str] = Counter()
    for number in range(rounds):
        asker = newcomer(play, f"Asker {number}", eligible=True)
        with play.as_role("portal_web"):
            item = make.pending_item(asker, play.group, rule)
        play.step(timedelta(days=1, seconds=1))
        verdicts = ["approve", "deny"] * 3
        actions: list[Callable[[], object]] = [
            partial(decide_and_check, play, item, who, verdict)
            for who, verdict in zip(deciders, verdicts, strict=True)
        ]
        actions.insert(number % 7, acting_as(play.as_role, "portal_web", partial(withdraw, item)))
        actions.insert(number % 5, lapse_unanswered)
        refusals = raised(at_once(*actions))
        for decision_id in sweep().decisions:
            check_decision(decision_id=decision_id)
        lapse_unanswered()
        assert all(isinstance(error, Conflict) and error.sentence for error in refusals), refusals
        seen[check_one_outcome(item)] += 1
    assert sum(seen.values()) == rounds


def check_one_outcome(item: RequestItem) -> str:
    """How the item ended, which is one way only, with one event for each version of everything."""
    item = RequestItem.objects.get(pk=item.pk)
    assert item.status in OUTCOMES
    assert item.version == 2
    check_versions(ITEM.subject, item)
    decisions = list(Decision.objects.filter(item=item))
    counted = [decision for decision in decisions if decision.status == "counted"]
    assert all(decision.status in {"counted", "refused"} for decision in decisions)
    assert all(decision.reason for decision in decisions if decision.status == "refused")
    assert [decision.verdict for decision in counted] == {"approved": ["approve"], "denied": ["deny"]}.get(
        item.status, []
    )
    for decision in decisions:
        check_versions(DECISION.subject, decision)
    grants = list(Grant.objects.filter(first_request=item.request))
    assert len(grants) == (item.status == "approved")
    closing = [edge.event for edge in ITEM.edges if edge.source]
    assert Event.objects.filter(request_id=item.request_id, type__in=closing).count() == 1
    return str(item.status)


def test_the_same_decision_checked_by_four_workers_counts_once(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    results = at_once(*[partial(check_decision, decision_id=decision_id)] * 4)
    assert raised(results) == []
    assert sorted(len(result) for result in results if isinstance(result, tuple)) == [0, 0, 0, 1]
    assert Grant.objects.count() == 1


def test_a_quorum_of_two_reached_at_once_makes_one_grant(play: Stage) -> None:
    other = newcomer(play, "Olga Other")
    Rule.objects.update(retired=True)
    rule = make.rule(play.boss, other, quorum=2, groups=(play.group,))
    with play.as_role("portal_web"):
        item = make.pending_item(play.asker, play.group, rule)
    decisions = [play.decide(item), play.decide(item, who=other)]
    assert raised(at_once(*[partial(check_decision, decision_id=each) for each in decisions])) == []
    assert RequestItem.objects.get(pk=item.pk).status == "approved"
    assert Grant.objects.count() == 1
    assert set(Decision.objects.values_list("status", flat=True)) == {"counted"}


def test_one_approver_clicks_twice_at_once(play: Stage) -> None:
    item = play.ask()
    results = at_once(*[partial(play.decide, item)] * 4)
    assert [type(error) for error in raised(results)] == [Conflict] * 3
    assert Decision.objects.count() == 1


def test_asking_four_times_at_once_makes_one_pending_item(play: Stage) -> None:
    def ask() -> object:
        return submit_request(
            requester_id=play.asker.pk,
            group_object_id=play.group.object_id,
            duration=timedelta(hours=1),
            justification="Fix the stuck deployment",
            reference="",
            actor=make.actor(play.asker),
        )

    results = at_once(*[acting_as(play.as_role, "portal_web", ask)] * 4)
    refusals = raised(results)
    assert [type(error) for error in refusals] == [Conflict] * 3, refusals
    assert RequestItem.objects.count() == AccessRequest.objects.count() == 1
    assert Event.objects.filter(type="request.submitted").count() == 1


def test_two_sweepers_lapse_each_item_once(play: Stage) -> None:
    items = []
    for number in range(8):
        asker = newcomer(play, f"Asker {number}", eligible=True)
        with play.as_role("portal_web"):
            items.append(make.pending_item(asker, play.group, play.rule))
    play.step(timedelta(days=1, seconds=1))
    results = at_once(*[lapse_unanswered] * 3)
    assert raised(results) == []
    assert sum(result for result in results if isinstance(result, int)) == len(items)
    assert set(RequestItem.objects.values_list("status", flat=True)) == {"lapsed"}
    assert Event.objects.filter(type="item.lapsed").count() == len(items)


def test_three_workers_play_one_grant_through(play: Stage) -> None:
    item = play.ask()
    play.decide(item)

    def pass_over() -> None:
        owed = sweep()
        for decision_id in owed.decisions:
            for grant_id in check_decision(decision_id=decision_id):
                advance_grant(grant_id=grant_id)
        for grant_id in owed.grants:
            advance_grant(grant_id=grant_id)

    def together() -> bool:
        assert raised(at_once(*[pass_over] * 3)) == []
        return Grant.objects.filter(status="ended").exists()

    play.play(together)
    check_invariants(play, item)
    moved = [edge.event for edge in GRANT.edges]
    assert Event.objects.filter(grant_id=play.grant().pk, type__in=moved).count() == play.grant().version
