"""While an item waits: questions and answers, who is looking at it, and whoever is a moment too late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
from django.db import IntegrityError, ProgrammingError, connection
from django_subatomic.db import transaction

from audit.ledger.models import Event, PersonalWords
from base.clock import business_now
from base.errors import Conflict, DomainError, Invalid, Missing
from identity.models import Person
from requests_app.actions.attending import LASTS, attend, put_down
from requests_app.actions.conversing import remark
from requests_app.actions.deciding import check_decision
from requests_app.actions.withdrawing import withdraw_item
from requests_app.deliberation import reading
from requests_app.deliberation.models import Attention, Remark
from requests_app.deliberation.reading import attention_to, thread, thread_states
from requests_app.models import RequestItem
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.requests_app.deciding_scene import ask_under, colleague, people, refused, rule_of
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def say(play: Stage, item: RequestItem, who: Person, words: str = "Which host is it?") -> None:
    with play.as_role("portal_web"):
        remark(item_id=item.pk, person_id=who.pk, words=words, actor=make.actor(who))


def look(play: Stage, item: RequestItem, who: Person, *, over: bool = False) -> None:
    with play.as_role("portal_web"):
        (put_down if over else attend)(item_id=item.pk, person_id=who.pk, actor=make.actor(who))


def state(item: RequestItem) -> str:
    return thread_states([item]).get(item.pk, "")


def test_a_question_waits_for_its_answer_and_the_item_for_its_decision(play: Stage) -> None:
    item = play.ask()
    assert state(item) == ""
    say(play, item, play.boss, "Which <host> is it?")
    assert state(item) == "open"
    play.step(timedelta(minutes=1))
    say(play, item, play.asker, "The first one")
    assert state(item) == "answered"
    assert [(each.kind, each.author.display_name, each.words) for each in thread(item)] == [
        ("question", play.boss.display_name, "Which <host> is it?"),
        ("answer", play.asker.display_name, "The first one"),
    ]
    assert RequestItem.objects.get(pk=item.pk).status == "pending"
    assert check_decision(decision_id=play.decide(item))


def test_what_was_said_is_beside_the_ledger_where_it_can_be_erased(play: Stage) -> None:
    item = play.ask()
    say(play, item, play.boss, "Is it the host of Jane Roe?")
    event = Event.objects.get(type="question.asked", request_id=item.request_id)
    assert "Jane Roe" not in event.canon
    assert (
        PersonalWords.objects.get(event_id=event.pk, field="question").words == "Is it the host of Jane Roe?"
    )


def test_who_may_ask_and_who_answers(play: Stage) -> None:
    later, stranger = colleague(play, "Lea Later"), colleague(play, "Sam Stranger")
    twin = colleague(play, "Ada Admin")
    Person.objects.filter(pk=twin.pk).update(employee_id=play.asker.employee_id)
    item = ask_under(play, rule_of(play, people(play.boss, twin), people(later)))
    for nobody in (stranger, twin):
        refused(Missing, partial(say, play, item, nobody))
    assert refused(Conflict, partial(say, play, item, play.asker)).code == "remark.unasked"
    say(play, item, later, "May I know before it is my turn?")
    say(play, item, play.asker, "Yes")
    assert (
        not Remark.objects.exclude(kind="answer", author=play.asker)
        .exclude(kind="question", author=later)
        .exists()
    )


@pytest.mark.parametrize("words", ["", " \n", "x" * 2001, "zero \x00 byte"])
def test_a_remark_says_something_readable(play: Stage, words: str) -> None:
    item = play.ask()
    assert refused(Invalid, partial(say, play, item, play.boss, words)).field == "words"


def test_nothing_is_said_once_it_is_over_or_without_end(play: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    item = play.ask()
    monkeypatch.setattr("requests_app.actions.conversing.MOST_REMARKS", 2)
    say(play, item, play.boss)
    say(play, item, play.boss)
    assert refused(Conflict, partial(say, play, item, play.boss)).code == "remark.full"
    monkeypatch.setattr("requests_app.actions.conversing.MOST_REMARKS", reading.MOST_REMARKS)
    with play.as_role("portal_web"):
        withdraw_item(item_id=item.pk, person_id=play.asker.pk, actor=make.actor(play.asker))
    assert refused(Conflict, partial(say, play, item, play.boss)).code == "remark.over"


def test_the_web_process_can_neither_change_what_was_said_nor_say_it_unrecorded(play: Stage) -> None:
    item = play.ask()
    say(play, item, play.boss)
    with play.as_role("portal_web"), pytest.raises(ProgrammingError), transaction():
        Remark.objects.update(words="Something else")
    with pytest.raises(IntegrityError, match="audit event"), transaction(), play.as_role("portal_web"):
        _say_unrecorded(item, play.boss)


def _say_unrecorded(item: RequestItem, who: Person) -> None:
    Remark.objects.create(item=item, author=who, kind="question", words="Unseen", written_at=business_now())
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


# ------------------------------------------------------------ I'm looking at it


def looking(item: RequestItem) -> Attention | None:
    return attention_to(RequestItem.objects.get(pk=item.pk))


def test_who_looks_at_it_is_seen_for_a_quarter_of_an_hour(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other)))
    look(play, item, play.boss)
    held = refused(Conflict, partial(look, play, item, other))
    assert play.boss.display_name in held.sentence
    assert "You can decide all the same." in held.sentence
    look(play, item, other, over=True)  # which isn't theirs to put down
    seen = looking(item)
    assert seen is not None
    assert (seen.person, seen.until - seen.begun_at) == (play.boss, LASTS)
    play.step(LASTS)
    assert looking(item) is None
    look(play, item, other)
    look(play, item, other, over=True)
    assert looking(item) is None
    assert list(
        Event.objects.filter(type__startswith="review.").order_by("pk").values_list("type", flat=True)
    ) == [
        "review.taken_up",
        "review.taken_up",
        "review.put_down",
    ]


def test_looking_keeps_nobody_from_deciding(play: Stage) -> None:
    other, stranger = colleague(play, "Olga Other"), colleague(play, "Sam Stranger")
    item = ask_under(play, rule_of(play, people(play.boss, other)))
    refused(Missing, partial(look, play, item, stranger))
    look(play, item, play.boss)
    assert check_decision(decision_id=play.decide(item, who=other))
    assert refused(Conflict, partial(look, play, item, play.boss)).code == "attention.over"


# ------------------------------------------------------------ the second decision


def too_late(play: Stage, item: RequestItem, who: Person, verdict: str = "approve") -> DomainError:
    return refused(Conflict, partial(play.decide, item, verdict, who=who))


def test_a_second_approval_is_told_of_the_first_while_that_is_checked(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other)))
    first = play.decide(item)
    error = too_late(play, item, other)
    assert error.code == "decision.sooner"
    assert error.sentence.startswith(f"{play.boss.display_name} approved this request just before you")
    check_decision(decision_id=first)
    error = too_late(play, item, other, "deny")
    assert f"{play.boss.display_name} approved this request at 09:00 UTC" in error.sentence


def test_a_denial_is_taken_beside_approvals_and_nothing_is_beside_it(play: Stage) -> None:
    other, third = colleague(play, "Olga Other"), colleague(play, "Theo Third")
    item = ask_under(play, rule_of(play, people(play.boss, other, third)))
    approval = play.decide(item)
    denial = play.decide(item, "deny", who=other)
    for verdict in ("approve", "deny"):
        assert (
            f"{other.display_name} denied this request just before you"
            in too_late(play, item, third, verdict).sentence
        )
    check_decision(decision_id=denial)
    check_decision(decision_id=approval)
    assert RequestItem.objects.get(pk=item.pk).status == "denied"


def test_a_quorum_takes_as_many_as_it_needs(play: Stage) -> None:
    other, third = colleague(play, "Olga Other"), colleague(play, "Theo Third")
    item = ask_under(play, rule_of(play, people(play.boss, other, third, quorum=2)))
    check_decision(decision_id=play.decide(item))
    second = play.decide(item, who=other)
    assert other.display_name in too_late(play, item, third).sentence
    play.world.directory.set_enabled(other.object_id, enabled=False)
    check_decision(decision_id=second)
    assert check_decision(decision_id=play.decide(item, who=third)), "the other's was not counted"
