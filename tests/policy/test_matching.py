"""Which rule judges, and who may decide by it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from identity.models import DirectoryGroup, DirectoryMembership, Person
from policy.approvers import may_decide, somebody_can_decide
from policy.demands import Demands
from policy.document import RuleDocument, parse_document
from policy.loading import load_rules
from policy.matching import Match, current_versions, match
from policy.models import Rule
from policy.scope import Ask

GROUP = "7c9a1f3e-0000-4000-8000-000000000101"
OTHER = "7c9a1f3e-0000-4000-8000-000000000102"
APPROVERS = "7c9a1f3e-0000-4000-8000-0000000000a1"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday
pytestmark = pytest.mark.django_db


def person(name: str, **changes: Any) -> Person:
    values = {"tenant_id": "t", "object_id": name.lower(), "display_name": name, **changes}
    return Person.objects.create(**values)


def document(*, named: tuple[str, ...] = (), **changes: Any) -> RuleDocument:
    stage = {"people": ["boss"], "groups": [], **changes}
    return parse_document({"groups": list(named), "stages": [stage]})


def demands(**changes: Any) -> Demands:
    return document(**changes).demands


def approvers(*members: Person) -> DirectoryGroup:
    group = DirectoryGroup.objects.create(object_id=APPROVERS, display_name="Approvers")
    DirectoryMembership.objects.bulk_create(
        [DirectoryMembership(group=group, person=each) for each in members]
    )
    return group


def judging(**rules: RuleDocument) -> str:
    load_rules(rules, written_by="a test")
    found = judge(GROUP)
    return " and ".join(version.rule.name for version in found.versions) or found.words


def judge(group: str) -> Match:
    ask = Ask(group=group, opened=None, requester_groups=frozenset(), attributes=(), asked_at=NOON)
    return match(ask, current_versions())


def test_a_rule_that_names_the_group_goes_before_one_for_all() -> None:
    assert judging(General=document(), Named=document(named=(GROUP,))) == "Named"
    assert judge(OTHER).words == "The rule “General” applies to whatever has no other rule."


def test_without_a_rule_somebody_is_named_who_can_mend_it() -> None:
    assert "Ask an operator" in judging(Named=document(named=(OTHER,)))


def test_two_rules_for_one_group_hold_together() -> None:
    assert (
        judging(One=document(named=(GROUP,)), Two=document(named=(GROUP, OTHER), quorum=2)) == "One and Two"
    )
    found = judge(GROUP)
    assert found.demands is not None
    assert [stage.quorum for stage in found.demands.stages] == [2]
    assert [reason.split("”")[0] for reason in found.reasons] == ["The rule “One", "The rule “Two"]


def test_a_retired_rule_judges_nothing() -> None:
    judging(General=document())
    Rule.objects.update(retired=True)
    assert judge(GROUP).demands is None


def test_all_rules_are_read_with_one_query(django_assert_num_queries: Any) -> None:
    load_rules({f"Rule {n}": document() for n in range(5)}, written_by="a test")
    with django_assert_num_queries(1):
        assert len([version.rule.name for version in current_versions()]) == 5


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({}, True),
        ({"enabled": False}, False),
        ({"guest": True}, False),
        ({"employee_id": "E1"}, False),
        ({"employee_id": "E2"}, True),
    ],
)
@pytest.mark.parametrize("by_group", [True, False])
def test_who_may_decide(changes: dict[str, Any], may: bool, by_group: bool) -> None:
    requester = person("Ada", employee_id="E1")
    boss = person("Boss", **changes)
    if by_group:
        approvers(boss, requester)
        rule = demands(people=[], groups=[APPROVERS])
    else:
        rule = demands(people=["boss", "ada"])
    assert may_decide(boss, rule, 0, requester) is may
    assert somebody_can_decide(rule, requester) is may
    assert not may_decide(requester, rule, 0, requester), "never one's own request"


def test_two_people_without_an_employee_id_are_two_people() -> None:
    requester, boss = person("Ada"), person("Boss")
    rule = demands(people=["boss", "ada"])
    assert may_decide(boss, rule, 0, requester)
    assert somebody_can_decide(rule, requester)
    assert not may_decide(requester, rule, 0, requester)


def test_somebody_who_is_not_named_may_not() -> None:
    approvers()
    rule = demands(people=["boss"], groups=[APPROVERS])
    assert not may_decide(person("Cleo"), rule, 0, person("Ada"))


def test_there_is_no_stage_after_the_last() -> None:
    boss = person("Boss")
    assert not may_decide(boss, demands(), 1, person("Ada"))


def test_a_quorum_needs_that_many_different_people() -> None:
    requester, boss = person("Ada"), person("Boss")
    approvers(boss)
    rule = demands(people=["boss"], groups=[APPROVERS], quorum=2)
    assert not somebody_can_decide(rule, requester)
    DirectoryMembership.objects.create(group=DirectoryGroup.objects.get(), person=person("Cleo"))
    assert somebody_can_decide(rule, requester)


def test_an_empty_or_deleted_approver_group_can_not_decide() -> None:
    requester = person("Ada")
    rule = demands(people=[], groups=[APPROVERS])
    assert not somebody_can_decide(rule, requester)
    approvers()
    assert not somebody_can_decide(rule, requester)


def test_two_accounts_of_one_employee_are_no_quorum() -> None:
    requester = person("Ada")
    approvers(person("Boss", employee_id="E1"), person("Boss-Admin", employee_id="E1"))
    rule = demands(people=[], groups=[APPROVERS], quorum=2)
    assert not somebody_can_decide(rule, requester)
    DirectoryMembership.objects.create(group=DirectoryGroup.objects.get(), person=person("Cleo"))
    assert somebody_can_decide(rule, requester)


def stages(*named: tuple[int, list[str]]) -> Demands:
    rows = [{"people": people, "groups": [], "quorum": quorum} for quorum, people in named]
    return parse_document({"stages": rows}).demands


@pytest.mark.parametrize(
    ("rule", "can"),
    [
        (stages((1, ["bob"]), (1, ["bob"])), False),
        (stages((1, ["bob"]), (1, ["bob-admin"])), False),
        (stages((1, ["bob", "cleo"]), (1, ["bob"])), True),
        (stages((1, ["bob"]), (1, ["bob", "cleo"])), True),
        (stages((1, ["bob", "cleo"]), (1, ["bob", "cleo"]), (1, ["cleo", "bob"])), False),
        (stages((1, ["bob", "cleo"]), (1, ["bob", "dee"]), (1, ["bob"])), True),
        (stages((2, ["bob", "cleo", "dee"]), (1, ["bob", "cleo"])), True),
        (stages((2, ["bob", "cleo", "dee"]), (2, ["bob", "cleo"])), False),
        (stages((1, ["bob"]), (1, ["ada"])), False),
    ],
)
def test_nobody_is_needed_at_two_stages(rule: Demands, can: bool) -> None:
    requester = person("Ada")
    for name in ("Bob", "Cleo", "Dee"):
        person(name, employee_id=f"E-{name}")
    person("Bob-Admin", employee_id="E-Bob")
    assert somebody_can_decide(rule, requester) is can


def test_a_large_group_is_asked_for_with_one_query_and_not_read_whole(
    django_assert_num_queries: Any,
) -> None:
    requester = person("Ada")
    approvers(*(person(f"Approver {n:03}") for n in range(60)))
    with django_assert_num_queries(1) as asked:
        assert somebody_can_decide(demands(people=[], groups=[APPROVERS], quorum=2), requester)
    assert "LIMIT 2" in asked.captured_queries[0]["sql"]
