"""Whatever rules there are and whoever asks: nobody decides on their own request, by any account and in nobody's right."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from base.clock import business_now
from identity.absences.models import Absence
from identity.humans import human_key
from identity.models import DirectoryGroup, DirectoryMembership, Person
from policy.approvers import able, deciders, may_decide, somebody_can_decide
from policy.delegation import rights
from policy.demands import Approvers, Demands, Escalation, Stage, combine
from policy.preflight import who_can_decide
from tests.requests_app.conftest import AsRole

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
type AStage = tuple[frozenset[int], bool, int, frozenset[int]]
type ARule = tuple[list[AStage], bool]

# Accounts 0 to 5. Who has the same mark, however it is written, is one human; who has none is one by themselves.
ACCOUNTS = range(6)
MARKS = st.sampled_from(["", "e1", "E1 ", " e1", "e2", "E2"])
some = st.frozensets(st.sampled_from(ACCOUNTS), max_size=3)


@dataclass(frozen=True)
class Account:
    """One account as the directory has it; `group` members are those of a group that rules name."""

    mark: str
    guest: bool
    enabled: bool
    member: bool
    delegate: int | None  # who stands in while this one is away


accounts = st.builds(
    Account,
    MARKS,
    st.booleans(),
    st.sampled_from([True, True, True, False]),
    st.booleans(),
    st.none() | st.sampled_from(ACCOUNTS),
)
# A stage names accounts, the group, or both; its quorum, and to whom it goes on.
stages = st.tuples(some, st.booleans(), st.integers(1, 2), some).filter(
    lambda stage: bool(stage[0]) or stage[1]
)
rule_sets = st.lists(
    st.tuples(st.lists(stages, min_size=1, max_size=2), st.booleans()), min_size=1, max_size=2
)

ONE_HUMAN = [Account("e1", guest=False, enabled=True, member=True, delegate=1)] * 6


def made(found: list[Account], as_role: AsRole) -> list[Person]:
    """The directory with these accounts, those who are away, and the one group.

    Marks come last: an account may turn out to be somebody's only after they named it as their delegate.
    """
    now = business_now()
    people = [
        Person.objects.create(
            tenant_id="t", object_id=f"00000000-0000-4000-8000-00000000000{number}",
            user_principal_name=f"account.{number}@example.com", display_name=f"Account {number}",
            guest=each.guest, enabled=each.enabled, synced_at=now,
        )
        for number, each in enumerate(found)
    ]  # fmt: skip
    group = DirectoryGroup.objects.create(object_id="group", display_name="Deciders", synced_at=now)
    for person, each in zip(people, found, strict=True):
        if each.member:
            DirectoryMembership.objects.create(group=group, person=person)
    with as_role("portal_web"):
        for number, (person, each) in enumerate(zip(people, found, strict=True)):
            if each.delegate is not None and each.delegate != number:
                Absence.objects.create(
                    person=person, delegate=people[each.delegate], begins_at=now, ends_at=now + DAY,
                    declared_by=person, declared_at=now,
                )  # fmt: skip
    for person, each in zip(people, found, strict=True):
        person.employee_id = each.mark
        person.save(update_fields=["employee_id"])
    return people


def demanded(rules: list[ARule], people: list[Person]) -> Demands:
    """What these rules come to together, with every escalation that there is."""
    return combine([_rule(rule, people) for rule in rules]).after(DAY)


def _rule(rule: ARule, people: list[Person]) -> Demands:
    stages, guests = rule
    return Demands(tuple(_stage(each, people) for each in stages), guests_decide=guests)


def _stage(stage: AStage, people: list[Person]) -> Stage:
    named, group, quorum, others = stage
    approvers = Approvers(_ids(named, people), frozenset({"group"} if group else ()))
    if not others:
        return Stage(approvers, quorum)
    return Stage(approvers, quorum, Escalation(DAY / 24, Approvers(_ids(others, people), frozenset())))


def _ids(numbers: frozenset[int], people: list[Person]) -> frozenset[str]:
    return frozenset(people[each].object_id for each in numbers)


whatever = given(
    found=st.lists(accounts, min_size=6, max_size=6), rules=rule_sets, asker=st.sampled_from(ACCOUNTS)
)
# The database is the test's, and every example leaves it as it was.
of_one_test = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(of_one_test, max_examples=15)
@example(found=ONE_HUMAN, rules=[([(frozenset({0, 1, 2}), True, 1, frozenset({3}))], True)], asker=0)
@whatever
def test_no_rules_and_accounts_let_anybody_decide_on_their_own_request(
    as_role: AsRole, found: list[Account], rules: list[ARule], asker: int
) -> None:
    check(as_role, found, rules, asker)


@pytest.mark.proof
@settings(of_one_test, max_examples=150)
@whatever
def test_nor_do_many_more(as_role: AsRole, found: list[Account], rules: list[ARule], asker: int) -> None:
    check(as_role, found, rules, asker)


def check(as_role: AsRole, found: list[Account], rules: list[ARule], asker: int) -> None:
    """Nobody decides as themselves at any stage, whichever way the product asks who may."""
    with transaction.atomic():
        people = made(found, as_role)
        requester = people[asker]
        demands, at = demanded(rules, people), business_now()
        themselves = {each.pk for each in people if human_key(each) == human_key(requester)}
        for number, stage in enumerate(demands.stages):
            for counted_on in (
                able(stage.approvers, requester, guests=demands.guests_decide),
                deciders(stage.approvers, requester, guests=demands.guests_decide),
            ):
                assert not themselves & set(counted_on.values_list("pk", flat=True))
            for person in people:
                if person.guest and not person.mark:
                    assert not may_decide(person, demands, number, requester), "nobody knows whose twin"
                in_right = rights(person, demands, [number], requester, at=at)
                if person.pk in themselves:
                    assert not may_decide(person, demands, number, requester)
                    assert not in_right
                assert not themselves & {right.person_id for right in in_right if right}, "nor in their right"
        if somebody_can_decide(demands, requester):
            names = {
                name.partition(" for ")[0]
                for stage in who_can_decide(demands, requester)
                for name in stage.names
            }
            assert not names & {each.display_name for each in people if each.pk in themselves}
            others = {human_key(each) for each in people} - {human_key(requester)}
            assert len(others) >= sum(stage.quorum for stage in demands.stages), "a human for each word"
        transaction.set_rollback(True)
