"""The crash sweep of PIM groups that are activated as the person: their token, and PIM's approval passed on.

As `test_crash_sweep.py`, with what can be awkward about a person's own sign-in. Faults of one kind of group share a
world: a schedule is a fault and a crash point.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from base import crash
from tests.faults.test_crash_sweep import give_back, schedules_of_every_run, usual
from tests.requests_app.conftest import AsRole
from tests.support.fleet import Fleet
from tests.support.sweeping import (
    POST,
    READ,
    Batch,
    Brokers,
    Fault,
    Happens,
    Lane,
    Play,
    Schedule,
    all_of,
    calls,
    disabled,
    happen,
    run_batch,
)
from tests.support.world_personal import PIM_CANCEL, PIM_PATCH, SIGN_IN

pytestmark = pytest.mark.usefixtures("committed_db")

POLICY = "graph.GET roleManagementPolicyAssignments"
REQUESTS = "graph.GET assignmentScheduleRequests"
STRONGER = "c2"
A_WHILE = timedelta(minutes=5)
# Whoever died with the answer in hand can't know that nothing was granted: that is taken back, and watched for.
NOT_GRANTED = frozenset({"not_granted", "never_arrived", "ended"})

# The points at which a death can matter in any of these; and those that every test run plays under each fault.
NEAR = (
    "advancing.",
    "activating.",
    "pathing.",
    "rechecking.",
    "write.",
    "personal.",
    "passing.",
    "removing.",
)
ALWAYS = ("activating.before_settle", "rechecking.", "write.", "personal.", "passing.")


def signs_in(*contexts: str, withdrawn: bool = False) -> Happens:
    """The requester signs in, which proves these contexts, or leaves a token that Entra has withdrawn."""

    def let(play: Fleet, lane: Lane) -> None:
        play.sign_in(play.people[lane.number][0], *contexts, withdrawn=withdrawn)

    return let


def signs_out(play: Fleet, lane: Lane) -> None:
    play.sign_out(play.people[lane.number][0])


def approver_signs_in(play: Fleet, lane: Lane) -> None:
    play.sign_in(play.approvers[lane.fault.approver][0])


def wants_more(play: Fleet, lane: Lane) -> None:
    """The group's PIM policy demands an authentication context from now on."""
    play.world.policies.change(lane.pair[1], authentication_context=STRONGER)


def has_other_approvers(play: Fleet, lane: Lane) -> None:
    """PIM counts nobody who approves in the portal."""
    play.world.policies.change(lane.pair[1], approver_users=[lane.pair[0]])


def waits(before: Happens, then: Happens, *, approver: int = 0) -> Fault:
    """What the grant waits for while it is activated, and who brings it after a while."""
    return Fault(
        before=before,
        mended=then,
        mended_when="activating",
        mended_after=A_WHILE,
        approver=approver,
        always=ALWAYS,
    )


AS_PERSON: dict[str, Fault] = {
    "none": Fault(),
    "request lost": Fault(before=calls("lose_request", SIGN_IN, POLICY, POST), always=ALWAYS),
    "answer lost": Fault(before=calls("lose_answer", SIGN_IN, POLICY, POST, READ), always=ALWAYS),
    "throttled": Fault(before=calls("throttle", SIGN_IN, POST), always=ALWAYS),
    "errors of Entra's own": Fault(
        before=all_of(calls("error", SIGN_IN, status=503), calls("error_after", POST)), always=ALWAYS
    ),
    "refused by PIM": Fault(
        before=calls("error", POST, count=None, status=400, code="InvalidRequest"),
        ends=NOT_GRANTED,
        always=ALWAYS,
    ),
    "nobody has signed in": waits(signs_out, signs_in()),
    "Entra takes the sign-in no more": waits(signs_in(withdrawn=True), signs_in()),
    "a stronger sign-in is wanted": waits(wants_more, signs_in(STRONGER)),
    "given back": Fault(ready=give_back, always=("removing.", "write.", "personal.")),
    "given back by somebody who signed out": Fault(
        ready=all_of(signs_out, give_back), always=("removing.", "write.", "personal.")
    ),
    "others have assigned it": Fault(
        before=all_of(happen("foreign_member"), calls("stale", "pim.read", seconds=20, count=None)),
        mended=happen("member_removed"),
        ends=NOT_GRANTED,
        disturbs=True,
        theirs=True,
        always=ALWAYS,
    ),
    "the person is disabled": Fault(
        ready=disabled, disturbs=True, looks=timedelta(minutes=30), always=("removing.", "personal.")
    ),
}
APPROVED_IN_PIM: dict[str, Fault] = {
    "none": Fault(),
    "request lost": Fault(before=calls("lose_request", POST, PIM_PATCH), always=ALWAYS),
    "answer lost": Fault(before=calls("lose_answer", POST, PIM_PATCH, REQUESTS), always=ALWAYS),
    "approved too late": Fault(
        before=calls("throttle", PIM_PATCH, retry_after=120), always=ALWAYS, points=("passing.withdrawn",)
    ),
    "approved too late, and the withdrawal's answer lost": Fault(
        before=all_of(calls("throttle", PIM_PATCH, retry_after=120), calls("lose_answer", PIM_CANCEL)),
        always=ALWAYS,
    ),
    "the approver has not signed in": waits(lambda _play, _lane: None, approver_signs_in, approver=1),
    "PIM has other approvers": Fault(before=has_other_approvers, ends=NOT_GRANTED, always=ALWAYS),
}
WORLDS: dict[str, tuple[Mapping[str, Fault], Play]] = {
    "as the person": (AS_PERSON, Play(as_person=True)),
    "approved in PIM": (APPROVED_IN_PIM, Play(as_person=True, approved_in_pim=True)),
}


# Where everybody draws twice on the narrow path, many wait for each other: three worlds cost half of what one does.
PARTS = [
    pytest.param("as the person", slice(None), id="as the person"),
    *(
        pytest.param("approved in PIM", slice(first, None, 3), id=f"approved in PIM, {first + 1} of 3")
        for first in range(3)
    ),
]


def schedules(world: str, *, everything: bool = False, passing: int = 1) -> list[Schedule]:
    """Each fault of a world with each point; those of every test run, unless everything is wanted."""
    faults, play = WORLDS[world]
    own = ("rechecking.", "personal.", *(("passing.",) if play.approved_in_pim else ()))
    return [
        Schedule(name, point, passing)
        for name, fault in faults.items()
        for point in crash.registered()
        if point.startswith(NEAR)
        and (usual(point) or point.startswith(own))
        and (everything or point.startswith(fault.always))
    ]


def run(as_role: AsRole, world: str, chosen: list[Schedule], brokers: Brokers) -> Batch:
    """Play them in one world."""
    faults, play = WORLDS[world]
    return run_batch(as_role, faults, chosen, brokers, doing=play, context=world)


@pytest.mark.parametrize(("world", "part"), PARTS)
def test_a_worker_dies_at_every_point(as_role: AsRole, world: str, part: slice) -> None:
    faults, play = WORLDS[world]
    chosen = schedules(world)
    own = ("personal.", "rechecking.", *(("passing.",) if play.approved_in_pim else ()))
    assert {point for point in crash.registered() if point.startswith(own)} <= {each.point for each in chosen}
    batch = run(as_role, world, chosen[part], Brokers(0))
    seldom = tuple(point for fault in faults.values() for point in fault.points)
    usual_ones = {each.point for each in chosen[part] if each.point.startswith(own)}
    assert {point for point in usual_ones if not point.startswith(seldom)} <= batch.died, "nobody died there"
    for lane in batch.lanes:
        assert lane.died or not lane.schedule.point.startswith(lane.fault.points or ("-",)), lane.schedule


@pytest.mark.proof(about=100)
@pytest.mark.parametrize("brokers", [Brokers(0), Brokers(1)], ids=str)
@pytest.mark.parametrize("passing", [1, 2])
@pytest.mark.parametrize("world", WORLDS)
def test_a_worker_dies_at_any_passing(as_role: AsRole, world: str, passing: int, brokers: Brokers) -> None:
    run(as_role, world, schedules(world, everything=True, passing=passing), brokers)


def test_the_sweeps_of_every_test_run_are_large_enough() -> None:
    assert schedules_of_every_run() + sum(len(schedules(world)) for world in WORLDS) >= 600
