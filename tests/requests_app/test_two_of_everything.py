"""Two beats, two sweepers, a broker that delivers twice, and none at all: nothing is done twice, and nothing waits."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.core.management import call_command

from audit.ledger.models import Event
from requests_app import tasks
from requests_app.actions.sweeping import sweep
from requests_app.management.commands import sweep as command
from requests_app.models import Grant
from tests.races.scene import at_once, raised
from tests.requests_app.conftest import AsRole
from tests.support import invariants
from tests.support.fleet import Fleet, fleet
from tests.support.stage import Stage, check_invariants, stage

pytestmark = pytest.mark.usefixtures("committed_db")
POST = "graph.POST assignmentScheduleRequests"


def approved(play: Fleet, people: int) -> None:
    """Everybody has asked, and an approver agreed."""
    for person in range(people):
        play.approve(play.ask(person, 0))


def test_two_sweepers_and_two_beats_at_every_moment_do_each_thing_once(as_role: AsRole) -> None:
    """As `sweep --loop` twice and Celery beat twice would, all at once, until everything is over."""
    people = 3
    with fleet(as_role, people=people, groups=1) as play:
        approved(play, people)
        play.broker.keeps = lambda _row: True
        last = play.time.now + timedelta(days=1)
        while invariants.nothing_is_owed():
            assert play.time.now < last, play.describe()
            play.world.advance()
            one_pass = command.Command().one_pass
            assert raised(at_once(one_pass, one_pass, tasks.sweep, tasks.sweep)) == []
            play._deliver()
            play.step(play.until_next())
        invariants.check(play.scene(settled=True))
        assert Grant.objects.filter(status="ended").count() == people
        assert play.calls.count(POST) == people, "an assignment was sent twice"
        assert Event.objects.filter(type="grant.arrived").count() == people


def test_the_loop_alone_takes_a_request_through(as_role: AsRole, monkeypatch: pytest.MonkeyPatch) -> None:
    """`manage.py sweep --loop`, with no Celery and no Redis: nobody can be rung, and all goes on at its pace."""
    passes = 0

    class Enough(BaseException):
        """Ends the loop, which nothing else does."""

    with stage(as_role) as play:
        item = play.ask()
        play.decide(item)

        def passing(seconds: float) -> None:
            nonlocal passes
            passes += 1
            assert seconds > 0
            if not _owed(play):
                raise Enough
            assert passes < 500, play.describe()
            play.step(play._until_next())

        monkeypatch.setattr(time, "sleep", passing)
        monkeypatch.setattr(command, "close_old_connections", lambda: None)
        with pytest.raises(Enough):
            call_command(command.Command(), loop=True)
        assert play.grant().status == "ended"
        assert Event.objects.filter(type="grant.arrived").count() == 1
        check_invariants(play, item)


def _owed(play: Stage) -> bool:
    play.world.advance()
    newest = Grant.objects.order_by("-created_at").first()
    return newest is None or newest.status != "ended"


def test_what_redis_forgot_is_found_again(as_role: AsRole) -> None:
    """Flushed between the doorbell and the worker: the message is gone, and the sweeper finds the row."""
    with fleet(as_role, people=1, groups=1) as play:
        play.broker.keeps = lambda _row: True
        approved(play, 1)
        assert play.broker.messages, "the doorbell rang"
        play.broker.messages.clear()
        play.quiet()
        assert Grant.objects.get().status == "active"


def test_two_sweepers_find_the_same_and_only_one_gets_it(as_role: AsRole) -> None:
    with fleet(as_role, people=2, groups=1) as play:
        approved(play, 2)
        play.broker.keeps = lambda _row: True
        first, second = sweep(), sweep()
        assert first.decisions == second.decisions
        assert len(first.decisions) == 2
        for decision_id in (*first.decisions, *second.decisions):
            tasks.check_decision(str(decision_id))
        assert Grant.objects.count() == 2
