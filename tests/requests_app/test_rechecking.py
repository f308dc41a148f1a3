"""What the start asked is asked again before a first assignment that leaves later than that: nobody is sent to PIM who
may not have it any more, however long Entra was away, the person not signed in, or the worker dead."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection

from audit.ledger.models import Event
from base import crash
from requests_app.actions.deciders import ASKED_JUST_NOW
from requests_app.models import Grant
from tests.requests_app.conftest import AsRole
from tests.requests_app.test_as_person import play as as_person
from tests.requests_app.test_as_person import requests, sign_in, waiting
from tests.requests_app.test_scheduled_starts import disable, grow, lose_eligibility, play
from tests.support.stage import Stage, stage

__all__ = ["as_person", "play"]
pytestmark = pytest.mark.django_db

READ = "graph.GET assignmentScheduleInstances"
POST = "graph.POST assignmentScheduleRequests"
ELIGIBILITY = "graph.GET eligibilityScheduleInstances"
USERS = "graph.GET users"
AWAY = timedelta(hours=1)
type Change = Callable[[Stage], object]


def gone(play: Stage) -> None:
    del play.world.state.users[play.world_asker.id]


CHANGES = pytest.mark.parametrize(
    ("happens", "words"),
    [
        (lose_eligibility, "no longer eligible"),
        (disable, "disabled or gone"),
        (gone, "disabled or gone"),
        (grow, "now opens"),
    ],
)


def held_up(play: Stage) -> Grant:
    """A grant whose start was let through, and whose assignment Entra has kept from leaving for an hour."""
    play.world.faults.add(READ, "throttle", count=1, retry_after=int(AWAY.total_seconds()))
    play.decide(play.ask(duration=timedelta(hours=4)))
    grant = play.play_to("activating")
    play.work()
    assert play.assignments_made() == 0
    return grant


def is_not_sent(play: Stage, words: str) -> Grant:
    grant = play.play_to("not_granted", "provisioning", "active")
    assert grant.status == "not_granted", play.describe()
    assert words in grant.problem
    assert play.calls.count(POST) == 0
    assert not Event.objects.filter(type="outside.assignment_sent").exists()
    assert Event.objects.get(type="grant.refused").data["fields"]["problem"] == grant.problem
    return grant


@CHANGES
def test_who_may_not_have_it_any_more_is_not_sent_late(play: Stage, happens: Change, words: str) -> None:
    held_up(play)
    happens(play)
    is_not_sent(play, words)


def test_who_still_may_is_sent_late_with_the_window_that_was_approved(play: Stage) -> None:
    held = held_up(play)
    grant = play.play_to("active")
    assert (grant.starts_at, grant.ends_at) == (held.starts_at, held.ends_at)
    assert grant.assigned_at is not None
    assert grant.assigned_at - grant.starts_at >= AWAY
    assert play.assignments_made() == 1


def test_what_is_sent_at_once_is_not_asked_about_twice(play: Stage) -> None:
    play.decide(play.ask())
    asked: dict[str, tuple[int, int]] = {}

    def note(reached: str) -> None:
        asked.setdefault(reached, (play.calls.count(ELIGIBILITY), play.calls.count(USERS)))

    crash.install(note)
    play.play_to("active")
    assert asked["starting.settled"] == asked["write.intent_recorded"]
    assert "rechecking.before_settle" not in asked


@pytest.mark.parametrize("late", [False, True])
def test_a_worker_that_dies_between_start_and_assignment(play: Stage, late: bool) -> None:
    play.decide(play.ask())
    play.work_until_it_dies("activating.looked")
    play.step(ASKED_JUST_NOW if late else timedelta(0))
    disable(play)
    is_not_sent(play, "disabled or gone")


def test_a_worker_that_dies_over_what_it_was_told_asks_again(play: Stage) -> None:
    held_up(play)
    play.work_until_it_dies("rechecking.before_settle", every=timedelta(minutes=1))
    assert play.calls.count(POST) == 0
    lose_eligibility(play)
    is_not_sent(play, "no longer eligible")


@pytest.mark.parametrize("unreadable", [ELIGIBILITY, USERS])
def test_what_can_not_be_read_is_waited_for_and_never_taken_for_a_yes(play: Stage, unreadable: str) -> None:
    held_up(play)
    play.world.faults.add(unreadable, "error", count=3, status=503)
    seen = []

    def look(reached: str) -> None:
        if reached == "advancing.claimed":
            seen.append((play.grant().problem_code, play.calls.count(POST)))

    crash.install(look)
    grant = play.play_to("active")
    assert ("waiting", 0) in seen
    assert grant.problem == ""


@CHANGES
def test_as_the_person_it_is_asked_again_once_they_have_signed_in(
    as_person: Stage, happens: Change, words: str
) -> None:
    as_person.decide(as_person.ask(duration=timedelta(hours=4)))
    waiting(as_person)
    as_person.step(timedelta(minutes=20))
    happens(as_person)
    sign_in(as_person)
    grant = as_person.play_to("not_granted", "provisioning", "active")
    assert grant.status == "not_granted", as_person.describe()
    assert words in grant.problem
    assert requests(as_person) == []


def test_in_the_queue_of_the_narrow_path_it_is_asked_again(as_role: AsRole) -> None:
    """A turn that comes minutes later is a first assignment that leaves late."""
    with stage(as_role) as play:
        play.decide(play.ask())
        play.work_until_it_dies("pathing.taken")
        play.step(timedelta(minutes=2))
        disable(play)
        is_not_sent(play, "disabled or gone")


def test_what_may_have_landed_is_taken_away_when_nobody_may_have_it(play: Stage) -> None:
    """An assignment whose answer was lost is not sent again, and what came of it is removed."""
    play.world.faults.add(POST, "lose_request", count=1)
    play.decide(play.ask())
    play.play(lambda: Grant.objects.filter(unknown_writes__gt=0).exists())
    play.step(timedelta(minutes=10))
    disable(play)
    abandoned = Event.objects.filter(type="grant.activation_abandoned")
    play.play(abandoned.exists)
    told = abandoned.get().data["fields"]
    with connection.cursor() as cursor:  # whoever may write events writes another, which says nothing
        said = {**abandoned.get().data, "fields": {}}
        del said["subject"]
        cursor.execute("INSERT INTO audit_event (canon) VALUES (%s)", [json.dumps(said)])
    grant = play.play_out()
    assert grant.status == "never_arrived", play.describe()
    assert "disabled or gone" in told["reason"]
    assert "disabled or gone" in grant.problem, "the page says why, too"
    assert play.assignments_made() == 0
