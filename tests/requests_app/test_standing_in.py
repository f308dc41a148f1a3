"""Somebody is away: who is counted on, who decides in their right, on what, how often, and until when (ADR 0046)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import DatabaseError, connection
from django_subatomic.db import transaction

from audit.ledger.models import Event
from base.clock import business_now
from base.errors import Conflict, Denied, Missing
from identity.absences.declaring import declare, withdraw
from identity.absences.models import Absence
from identity.models import Person
from policy.approvers import somebody_can_decide
from policy.preflight import who_can_decide, why_nobody
from requests_app.actions.deciding import check_decision
from requests_app.actions.withdrawing import withdraw_item
from requests_app.lifecycle import DecisionStatus
from requests_app.models import Decision, RequestItem
from requests_app.permissions import can_decide, is_decider
from requests_app.selectors import decision_page, to_decide
from tests.requests_app import factories as make
from tests.requests_app.deciding_scene import (
    ask_under,
    colleague,
    people,
    play,
    refused,
    rule_of,
    submit,
)
from tests.support.stage import Stage

__all__ = ["play"]
pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def away(
    play: Stage,
    person: Person,
    delegate: Person | None = None,
    *,
    for_: timedelta = DAY,
    to_come: bool = False,
) -> UUID:
    begins = business_now() + timedelta(hours=1) if to_come else None
    with play.as_role("portal_web"):
        return declare(
            person_id=person.pk,
            delegate_id=delegate.pk if delegate else None,
            begins_at=begins,
            ends_at=(begins or business_now()) + for_,
            by_id=person.pk,
            actor=make.actor(person),
        )


def back(play: Stage, key: UUID, person: Person) -> None:
    with play.as_role("portal_web"):
        withdraw(absence_id=key, person_id=person.pk, by_id=person.pk, actor=make.actor(person))


def reason(decision_id: UUID) -> str:
    row = Decision.objects.get(pk=decision_id)
    assert row.status == DecisionStatus.REFUSED, row.status
    return row.reason


# ------------------------------------------------------------ who is counted on


def test_who_is_away_counts_no_more_and_their_delegate_does(play: Stage) -> None:
    dora = colleague(play, "Dora Deputy")
    demands = rule_of(play, people(play.boss)).parsed.demands
    key = away(play, play.boss)
    assert not somebody_can_decide(demands, play.asker)
    assert "1 of them is away" in why_nobody(demands, play.asker)
    back(play, key, play.boss)
    away(play, play.boss, dora)
    assert somebody_can_decide(demands, play.asker)
    assert [stage.names for stage in who_can_decide(demands, play.asker)] == [["Dora Deputy for Ben Boss"]]


def test_a_delegate_is_one_human_however_many_they_stand_in_for(play: Stage) -> None:
    dora, other = colleague(play, "Dora Deputy"), colleague(play, "Olga Other")
    demands = rule_of(play, people(play.boss, other, quorum=2)).parsed.demands
    for absent in (play.boss, other):
        away(play, absent, dora)
    assert not somebody_can_decide(demands, play.asker)
    item = ask_under(play, rule_of(play, people(play.boss, other, quorum=2)))
    check_decision(decision_id=submit(play, item.pk, dora))
    assert refused(Conflict, lambda: submit(play, item.pk, dora)).code == "decision.exists"
    assert RequestItem.objects.get(pk=item.pk).status == "pending"


def test_the_requester_is_no_delegate_on_their_own_request_and_hands_no_right_on(play: Stage) -> None:
    dora = colleague(play, "Dora Deputy")
    demands = rule_of(play, people(play.boss)).parsed.demands
    away(play, play.boss, play.asker)
    assert not somebody_can_decide(demands, play.asker)
    own = rule_of(play, people(play.asker))
    away(play, play.asker, dora)
    assert not somebody_can_decide(own.parsed.demands, play.asker)
    item = ask_under(play, own)
    assert not is_decider(dora, item)
    assert refused(Missing, lambda: submit(play, item.pk, dora)).code == "item.missing"


# ------------------------------------------------------------ deciding in somebody's right


def test_a_delegate_decides_and_it_is_recorded_for_whom(play: Stage) -> None:
    dora = colleague(play, "Dora Deputy")
    item = play.ask()
    assert not to_decide(dora).exists()
    key = away(play, play.boss, dora)
    assert [each.pk for each in to_decide(dora)] == [item.pk]
    (offered,) = decision_page(dora, item.pk).offered
    assert offered is not None
    assert offered.person == play.boss
    decision_id = submit(play, item.pk, dora)
    assert not to_decide(dora).exists()
    assert not to_decide(play.boss).exists(), "the right is used"
    assert len(check_decision(decision_id=decision_id)) == 1
    decision = Decision.objects.get(pk=decision_id)
    assert (decision.status, decision.approver, decision.absence_id) == ("counted", dora, key)
    told = Event.objects.get(type="decision.submitted", request_id=item.request_id)
    assert told.data["fields"]["instead_of_id"] == play.boss.object_id


def test_who_is_away_decides_all_the_same_and_it_is_said(play: Stage) -> None:
    dora = colleague(play, "Dora Deputy")
    item = play.ask()
    away(play, play.boss, dora)
    assert [each.pk for each in to_decide(play.boss)] == [item.pk]
    decision_id = submit(play, item.pk, play.boss)
    assert refused(Conflict, lambda: submit(play, item.pk, dora)).code == "decision.right_used"
    assert len(check_decision(decision_id=decision_id)) == 1
    (shown,) = decision_page(play.boss, item.pk).decisions
    assert shown.while_away  # type: ignore[attr-defined]  # annotated by the selector
    told = Event.objects.get(type="decision.submitted", request_id=item.request_id)
    assert told.data["fields"]["while_away"] is True


def test_once_the_delegate_has_decided_the_absent_one_has_no_other_word(play: Stage) -> None:
    dora, other = colleague(play, "Dora Deputy"), colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other, quorum=2)))
    away(play, play.boss, dora)
    check_decision(decision_id=submit(play, item.pk, dora))
    assert refused(Conflict, lambda: submit(play, item.pk, play.boss)).code == "decision.right_used"
    assert can_decide(other, item)
    assert len(check_decision(decision_id=submit(play, item.pk, other))) == 1


def test_a_delegates_own_right_comes_first_and_a_delegates_delegate_has_none(play: Stage) -> None:
    dora, eve = colleague(play, "Dora Deputy"), colleague(play, "Eve Else")
    item = ask_under(play, rule_of(play, people(play.boss, dora)))
    away(play, play.boss, dora)
    away(play, dora, eve)
    assert decision_page(dora, item.pk).offered[0] is None
    (offered,) = decision_page(eve, item.pk).offered
    assert offered is not None
    assert offered.person == dora, "Dora's own right, not Ben's"
    only_ben = ask_under(replace_group(play), rule_of(play, people(play.boss)))
    assert is_decider(dora, only_ben)
    assert not is_decider(eve, only_ben)


def replace_group(play: Stage) -> Stage:
    """The same stage with the earlier request out of the way."""
    for item in RequestItem.objects.filter(requester=play.asker, status="pending"):
        with play.as_role("portal_web"):
            withdraw_item(item_id=item.pk, person_id=play.asker.pk, actor=make.actor(play.asker))
    return play


@pytest.mark.parametrize("unfit", ["disabled", "guest", "to come", "over", "withdrawn"])
def test_who_does_not_stand_in(play: Stage, unfit: str) -> None:
    dora = colleague(play, "Dora Deputy")
    item = play.ask()
    key = away(play, play.boss, dora, for_=timedelta(hours=1), to_come=unfit == "to come")
    match unfit:
        case "disabled":
            Person.objects.filter(pk=dora.pk).update(enabled=False)
        case "guest":
            Person.objects.filter(pk=dora.pk).update(guest=True)
        case "over":
            play.step(timedelta(hours=1))
        case "withdrawn":
            back(play, key, play.boss)
    dora.refresh_from_db()
    assert not is_decider(dora, item)
    assert not to_decide(dora).exists()
    refused(Missing, lambda: submit(play, item.pk, dora))


def test_a_delegates_other_stage_is_said_so(play: Stage) -> None:
    dora, later = colleague(play, "Dora Deputy"), colleague(play, "Lea Later")
    item = ask_under(play, rule_of(play, people(play.boss), people(later)))
    away(play, later, dora)
    assert refused(Denied, lambda: submit(play, item.pk, dora)).code == "decision.other_stage"


# ------------------------------------------------------------ counting it


def leaves(play: Stage, key: UUID) -> None:
    play.world.directory.user(play.boss.object_id).account_enabled = False


def comes_back(play: Stage, key: UUID) -> None:
    back(play, key, play.boss)


def turns_out_to_be_the_requester(play: Stage, key: UUID) -> None:
    Person.objects.filter(pk=play.boss.pk).update(employee_id=play.asker.employee_id)


def is_the_requester_in_entra(play: Stage, key: UUID) -> None:
    play.world.directory.user(play.boss.object_id).employee_id = f" {play.asker.employee_id.lower()}"


def the_requester_is_them_in_entra(play: Stage, key: UUID) -> None:
    play.world.directory.user(play.asker.object_id).employee_id = play.boss.employee_id


def is_the_delegate_in_entra(play: Stage, key: UUID) -> None:
    dora = Person.objects.get(display_name="Dora Deputy")
    play.world.directory.user(play.boss.object_id).employee_id = dora.employee_id


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (leaves, "disabled or gone"),
        (is_the_requester_in_entra, "nor anybody in their right"),
        (the_requester_is_them_in_entra, "Nobody decides on their own request."),
        (is_the_delegate_in_entra, "nobody stands in for themselves"),
        (comes_back, "has been withdrawn before it counted"),
        (turns_out_to_be_the_requester, "nor anybody in their right"),
    ],
)
def test_what_happens_before_a_word_counts_voids_it(
    play: Stage, happens: Callable[[Stage, UUID], None], words: str
) -> None:
    dora = colleague(play, "Dora Deputy")
    item = play.ask()
    key = away(play, play.boss, dora)
    decision_id = submit(play, item.pk, dora)
    happens(play, key)
    assert check_decision(decision_id=decision_id) == ()
    assert words in reason(decision_id)
    assert RequestItem.objects.get(pk=item.pk).status == "pending"


def test_the_absent_ones_right_is_read_afresh(play: Stage) -> None:
    dora = colleague(play, "Dora Deputy")
    item = play.ask()
    # The web process might have written anything: here an absence of somebody whom the stage doesn't name.
    strange = away(play, colleague(play, "Olga Other"), dora)
    with play.as_role("portal_web"):
        forged = make.submitted_decision(item, dora, absence_id=strange)
    assert check_decision(decision_id=forged) == ()
    assert "no longer among those who may decide" in reason(forged)


def test_an_absence_that_ends_between_the_word_and_its_count_carries_it(play: Stage) -> None:
    dora = colleague(play, "Dora Deputy")
    item = play.ask()
    away(play, play.boss, dora, for_=timedelta(minutes=10))
    decision_id = submit(play, item.pk, dora)
    play.step(timedelta(minutes=20))
    assert len(check_decision(decision_id=decision_id)) == 1


def test_a_word_from_outside_the_dates_is_not_counted(play: Stage) -> None:
    dora = colleague(play, "Dora Deputy")
    item = play.ask()
    key = away(play, play.boss, dora, for_=timedelta(minutes=10))
    play.step(timedelta(minutes=20))
    with play.as_role("portal_web"):
        decision_id = make.submitted_decision(item, dora, absence_id=key)
    assert check_decision(decision_id=decision_id) == ()
    assert "not in force then" in reason(decision_id)


def test_two_words_in_one_right_are_one_in_whatever_order_they_are_checked(play: Stage) -> None:
    dora, other = colleague(play, "Dora Deputy"), colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other, quorum=2)))
    away(play, play.boss, dora)
    first = submit(play, item.pk, dora)
    play.step(timedelta(seconds=1))
    with play.as_role("portal_web"):
        second = make.submitted_decision(item, play.boss)
    assert check_decision(decision_id=second) == ()
    assert "in the same right" in reason(second)
    check_decision(decision_id=first)
    assert Decision.objects.get(pk=first).status == "counted"
    assert RequestItem.objects.get(pk=item.pk).status == "pending"


def test_nobody_writes_a_word_in_a_right_that_was_not_given_to_them(play: Stage) -> None:
    dora, eve = colleague(play, "Dora Deputy"), colleague(play, "Eve Else")
    item = play.ask()
    key = away(play, play.boss, dora)
    own = away(play, play.asker, dora)
    linked_later = make.person("Ada Admin")
    second = away(play, linked_later, dora)
    Person.objects.filter(pk=linked_later.pk).update(employee_id=play.asker.mark.upper())
    for who, absence in ((eve, key), (dora, own), (dora, second)):
        with pytest.raises(Conflict) as caught, play.as_role("portal_web"):
            make.submitted_decision(item, who, absence_id=absence)
        assert "not the delegate of somebody who may" in str(caught.value.__cause__)
    with pytest.raises(DatabaseError), transaction(), connection.cursor() as cursor:
        cursor.execute("UPDATE requests_app_decision SET absence_id = NULL")
    assert Absence.objects.count() == 3
