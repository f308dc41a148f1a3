"""Kill the worker between every two steps, and play on: the request still ends right.

Each schedule runs the real actions against a fresh world, dies at one crash point (at its first or
second passing), and goes on as the next worker would: the lease runs out, the sweeper finds the row.
Whatever happened, the same invariants hold at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from audit.ledger.models import Event, Version
from base import crash
from requests_app.lifecycle import DECISION, GRANT, ITEM
from requests_app.models import Decision, RequestItem
from tests.requests_app.conftest import AsRole
from tests.support.stage import Died, Stage, stage

POST = "graph.POST assignmentScheduleRequests"
pytestmark = pytest.mark.usefixtures("committed_db")

POINTS = crash.registered()
# What the cloud does besides: nothing, or something awkward at the assignment.
FAULTS: dict[str, Callable[[Stage], None]] = {
    "none": lambda play: None,
    "request lost": lambda play: _fault(play, "lose_request"),
    "answer lost": lambda play: _fault(play, "lose_answer"),
    "throttled": lambda play: _fault(play, "throttle"),
    "error 500": lambda play: _fault(play, "error"),
    "error 500 after it worked": lambda play: _fault(play, "error_after"),
}


def _fault(play: Stage, kind: str) -> None:
    play.world.faults.add(POST, kind)


def die_at(point: str, passing: int) -> Callable[[str], None]:
    """A handler that dies at the nth passing of one point."""
    left = {"passings": passing}

    def handler(reached: str) -> None:
        if reached == point:
            left["passings"] -= 1
            if left["passings"] == 0:
                raise Died(point)

    return handler


def survive(play: Stage, action: Callable[[], object]) -> bool:
    """Run something; True when the process died in it. The lease of the dead then runs out."""
    try:
        action()
    except Died:
        crash.install(None)
        play.step(timedelta(seconds=61))
        return True
    return False


def check_invariants(play: Stage, item: RequestItem) -> None:
    """What holds after every schedule."""
    grant = play.grant()
    assert grant.status == "ended", play.describe()
    assert play.assignments_made() == 1, "PIM was asked for a second assignment"
    assert not play.in_entra()
    assert not play.in_aws()
    schedule = next(
        row for row in play.world.state.schedules.values() if row.kind == "assignment" and row.created_using
    )
    assert schedule.end is not None
    assert schedule.end <= grant.ends_at, "access was granted past the approved end"
    for kind, row in (
        (ITEM.subject, RequestItem.objects.get(pk=item.pk)),
        (DECISION.subject, Decision.objects.get(item=item)),
        (GRANT.subject, grant),
    ):
        versions = list(
            Version.objects.filter(subject_kind=kind, subject_id=row.pk)
            .order_by("version")
            .values_list("version", flat=True)
        )
        assert versions == list(range(1, row.version + 1)), f"{kind}: events of versions {versions}"
    approved = Event.objects.filter(request_id=item.request_id, type="item.approved").get()
    sent = Event.objects.filter(grant_id=grant.pk, type="outside.assignment_sent").order_by("id")[0]
    assert approved.id < sent.id, "something was sent before it was approved"


SCHEDULES = [
    pytest.param(
        fault, passing, marks=() if passing == 1 and fault in {"none", "answer lost"} else pytest.mark.proof
    )
    for fault in FAULTS
    for passing in (1, 2)
]


@pytest.mark.parametrize(("fault", "passing"), SCHEDULES)
def test_a_worker_dies_at_every_point(as_role: AsRole, fault: str, passing: int) -> None:
    reached = set()
    for point in POINTS:
        with stage(as_role) as play:
            FAULTS[fault](play)
            item = play.ask()
            play.decide(item)
            crash.install(die_at(point, passing))
            if survive(play, play.play_out):
                reached.add(point)
                play.play_out()
            crash.install(None)
            check_invariants(play, item)
    expected = set(POINTS) - {"watching.before_settle"}
    if passing == 1:
        assert reached == expected, f"never passed: {expected - reached}"


def test_early_end_survives_a_death_at_every_point(as_role: AsRole) -> None:
    for point in POINTS:
        with stage(as_role) as play:
            item = play.ask()
            play.decide(item)
            grant = play.play_to("active")
            play.finish_early(grant)
            crash.install(die_at(point, 1))
            if survive(play, play.play_out):
                play.play_out()
            crash.install(None)
            check_invariants(play, item)
            ended = play.grant()
            assert ended.out_of_entra_at is not None
            assert ended.out_of_entra_at < grant.ends_at
