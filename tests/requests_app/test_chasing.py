"""A request that nobody answers: reminders with growing pauses, then others may decide, then it lapses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from audit.ledger.models import Event
from identity.models import Person
from notifications.kinds import Kind
from notifications.models import Message
from notifications.planning import plan
from requests_app.actions.chasing import chase_unanswered
from requests_app.actions.sweeping import lapse_unanswered
from requests_app.models import RequestItem
from requests_app.permissions import can_decide
from requests_app.selectors import inbox, waits_for
from tests.requests_app.deciding_scene import colleague, people, play, submit
from tests.requests_app.test_terms import ask, counted, rules
from tests.support.stage import Stage

__all__ = ["play"]
pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def chased(play: Stage, hours: float) -> list[str]:
    """Which events follow when so much time has passed."""
    before = Event.objects.count()
    play.step(timedelta(hours=hours))
    chase_unanswered()
    names = Event.objects.filter(type__in=["item.reminded", "item.escalated"]).order_by("id")
    return [event.type for event in names[max(0, names.count() - (Event.objects.count() - before)) :]]


def test_pauses_double_until_the_last_reminder(play: Stage) -> None:
    rules(play, Own={"stages": [people(play.boss)], "remind_after": "PT1H", "most_reminders": 3})
    item = ask(play)
    assert item.chase_at == item.created_at + HOUR
    told = [hour for hour in range(1, 21) if chased(play, 1)]
    assert told == [1, 3, 7]
    assert RequestItem.objects.filter(pk=item.pk, reminders=3, chase_at=None).exists()
    numbers = [
        event.data["fields"]["number"] for event in Event.objects.filter(type="item.reminded").order_by("id")
    ]
    assert numbers == [1, 2, 3]


def test_who_comes_late_reminds_once(play: Stage) -> None:
    rules(play, Own={"stages": [people(play.boss)], "remind_after": "PT1H"})
    ask(play)
    assert chased(play, 4) == ["item.reminded"]
    assert Event.objects.get(type="item.reminded").data["fields"]["number"] == 2


def test_those_who_may_still_decide_are_reminded(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    Person.objects.update(mail="somebody@acme.example")
    rules(play, Own={"stages": [people(play.boss, other, quorum=2)], "remind_after": "PT1H"})
    item = ask(play)
    assert counted(submit(play, item.pk, play.boss))
    chased(play, 1)
    plan()
    assert {row.recipient for row in Message.objects.filter(kind=Kind.REMIND)} == {other.object_id}


def test_a_stage_escalates_to_others_who_decide_then(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    escalation = {"after": "PT4H", "people": [other.object_id]}
    rules(play, Own={"stages": [{**people(play.boss), "escalation": escalation}]})
    item = ask(play)
    assert inbox(waits_for(other)) == []
    assert chased(play, 3.9) == []
    assert chased(play, 0.2) == ["item.escalated"]
    item = RequestItem.objects.select_related("terms", "requester").get(pk=item.pk)
    assert item.chase_at is None
    assert can_decide(other, item)
    assert can_decide(play.boss, item)
    assert [each.pk for each in inbox(waits_for(other))] == [item.pk]
    assert Event.objects.get(type="item.escalated").data["fields"]["rule_hash"] == item.terms.document_hash
    plan()
    told = {row.recipient for row in Message.objects.filter(kind=Kind.DECIDE)}
    assert told == {play.boss.object_id, other.object_id}
    assert counted(submit(play, item.pk, other))
    assert RequestItem.objects.get(pk=item.pk).status == "approved"


def test_nobody_escalates_before_its_time(play: Stage) -> None:
    """Terms with the others among the approvers are none that the rules make yet."""
    other = colleague(play, "Olga Other")
    escalation = {"after": "PT4H", "people": [other.object_id]}
    rules(play, Own={"stages": [{**people(play.boss), "escalation": escalation}]})
    item = ask(play)
    chased(play, 5)
    decision = submit(play, item.pk, other)
    play.step(-timedelta(hours=4))
    assert not counted(decision)


def test_who_dies_in_the_middle_leaves_it_owed(play: Stage) -> None:
    rules(play, Own={"stages": [people(play.boss)], "remind_after": "PT1H"})
    ask(play)
    play.step(HOUR)
    play.work_until_it_dies("chasing.before_commit")
    assert not Event.objects.filter(type="item.reminded").exists()
    assert chase_unanswered() == 1
    assert chase_unanswered() == 0


@pytest.mark.parametrize("end", ["decided", "lapsed"])
def test_what_is_over_is_chased_no_more(play: Stage, end: str) -> None:
    said: dict[str, Any] = {"stages": [people(play.boss)], "remind_after": "PT1H", "lapses_after": "PT2H"}
    rules(play, Own=said)
    item = ask(play)
    if end == "decided":
        assert counted(submit(play, item.pk, play.boss))
        assert chased(play, 1) == []
    else:
        play.step(timedelta(hours=2))
        assert chase_unanswered() == 0
        assert lapse_unanswered() == 1
    assert not Event.objects.filter(type="item.reminded").exists()
