"""The history check notices what it is there for; and a short run of `make chaos` is sound."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import pytest
from django.contrib.sessions.models import Session

from tests.chaos.ending import one_moment
from tests.chaos.history import Action, Effect, Outcome, Verdicts, check, under_their_grants
from tests.chaos.run import Plan
from tests.support.servers import ROOT, PostgresServer

# Two minutes of breaking, and then until nothing is owed.
SHORT = {
    "DURATION": "100",
    "REQUESTS": "60",
    "KILLS": "35",
    "REQUESTERS": "12",
    "APPROVERS": "4",
    "POSTGRES_RESTARTS": "1",
    "SETTLE": "400",
}


def verdicts(outcome: Outcome, there: int) -> Verdicts:
    """One action with this outcome, whose effect is there so many times."""
    return check([Action("request", "a", "ada", outcome)], [Effect("request", "a")] * there)


def test_what_was_acknowledged_is_there_once() -> None:
    assert verdicts(Outcome.OK, 1).sound
    assert verdicts(Outcome.OK, 0).lost == ["request a was acknowledged and isn't there"]
    assert verdicts(Outcome.OK, 2).twice == ["request a is there 2 times"]


def test_what_was_refused_is_not_there() -> None:
    assert verdicts(Outcome.REFUSED, 0).sound
    assert verdicts(Outcome.REFUSED, 1).unexplained == ["request a is there and was refused"]


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.SENT])
def test_what_nobody_knows_may_be_there_or_not(outcome: Outcome) -> None:
    assert verdicts(outcome, 0).sound
    assert verdicts(outcome, 1).sound
    assert verdicts(outcome, 2).twice


def test_what_nobody_sent_is_noticed() -> None:
    assert check([], [Effect("request", "b")]).unexplained == ["request b is there and was never sent"]


def test_two_acknowledgements_of_one_thing_are_noticed() -> None:
    actions = [Action("decision", "i p", "p", Outcome.OK)] * 2
    assert check(actions, [Effect("decision", "i p")]).twice == ["decision i p was acknowledged 2 times"]


def test_an_end_at_the_page_of_an_extension_is_an_end_of_its_grant() -> None:
    actions = under_their_grants([Action("end", "extension", "p", Outcome.OK)], {"extension": "first"})
    assert check(actions, [Effect("end", "first")]).sound


def test_a_plan_is_read_from_the_environment() -> None:
    assert Plan.read({}) == Plan()
    plan = Plan.read({"DURATION": "60", "KILLS": "9", "REQUESTS": ""})
    assert (plan.duration, plan.kills, plan.requests) == (60.0, 9, Plan().requests)
    with pytest.raises(ValueError, match="many"):
        Plan.read({"KILLS": "many"})


def test_a_run_is_judged_as_it_was_at_one_moment(committed_db: str, postgres_server: PostgresServer) -> None:
    with (
        one_moment(),
        psycopg.connect(postgres_server.conninfo("portal_owner", committed_db), autocommit=True) as other,
    ):
        before = Session.objects.count()
        other.execute("INSERT INTO django_session VALUES ('a', 'somebody', now())")
        assert Session.objects.count() == before
    assert Session.objects.count() == before + 1


@pytest.mark.proof
@pytest.mark.marathon
def test_a_short_run_is_sound() -> None:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "DATABASE_"))
    }
    result = subprocess.run(
        [sys.executable, "-m", "tests.chaos"],
        cwd=ROOT,
        env={**kept, **SHORT},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
