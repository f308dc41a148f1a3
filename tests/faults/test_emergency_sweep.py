"""The crash sweep of emergencies: nobody decides, a worker settles it, and it goes on as anything that was approved.

As `test_crash_sweep.py`, with what can be awkward about the reads that stand in for an approver's word. All faults share
a world: a schedule is a fault and a crash point.
"""

from __future__ import annotations

import pytest

from base import crash
from requests_app.waivers.models import Waiver
from tests.faults.test_crash_sweep import FAULTS, usual
from tests.requests_app.conftest import AsRole
from tests.support.fleet import LONGEST_EMERGENCY, Fleet
from tests.support.sweeping import (
    Batch,
    Brokers,
    Fault,
    Lane,
    Play,
    Schedule,
    all_of,
    approve,
    calls,
    run_batch,
)

pytestmark = pytest.mark.usefixtures("committed_db")

READS = "graph.GET *"
OWN = ("waiving.",)
# Where a death can matter to what follows from it at once.
NEAR = (*OWN, "advancing.", "starting.", "activating.", "write.")


def loses_the_right(play: Fleet, lane: Lane) -> None:
    """The requester is no responder any more, which only Entra knows yet."""
    assert play.responders is not None
    play.world.directory.remove_member(play.responders.id, play.people[lane.number][1].id)


EMERGENCIES: dict[str, Fault] = {
    "none": Fault(),
    "nothing can be read at first": Fault(before=calls("error", READS, count=2, status=503)),
    "throttled": Fault(before=calls("throttle", READS)),
    # It goes on waiting for whoever decides, as any other, and is lost to nobody. Twice, for a death may come first.
    "the right to it is gone, which can't be read at first": Fault(
        before=all_of(loses_the_right, calls("error", READS, count=2, status=503)),
        mended=approve,
        mended_when="",
    ),
}
ELSEWISE = {name: fault for name, fault in FAULTS.items() if not fault.together} | EMERGENCIES


# Of the waiver's own points, that at which every test run has a worker die under any of these; under none, at all.
ALWAYS = ("waiving.before_commit",)


def run(
    as_role: AsRole, faults: dict[str, Fault], points: list[str], brokers: Brokers, *, everything: bool = True
) -> Batch:
    """Play each fault with each point, in one world."""
    schedules = [
        Schedule(fault, point)
        for fault in faults
        for point in points
        if everything or fault == "none" or point in ALWAYS
    ]
    doing = Play(in_emergency=True, lasts=LONGEST_EMERGENCY)
    return run_batch(as_role, faults, schedules, brokers, doing=doing, context="emergency")


def test_a_worker_dies_at_every_point(as_role: AsRole) -> None:
    own = [point for point in crash.registered() if point.startswith(OWN)]
    batch = run(as_role, EMERGENCIES, own, Brokers(0), everything=False)
    assert set(own) <= batch.died, "nobody died there"
    refused = {lane.item.pk for lane in batch.lanes if lane.fault.mended is approve}
    assert set(Waiver.objects.filter(status="refused").values_list("item_id", flat=True)) == refused
    assert Waiver.objects.filter(status="granted").count() == len(batch.lanes) - len(refused)


@pytest.mark.proof(about=60)
@pytest.mark.parametrize("brokers", [Brokers(0), Brokers(1)], ids=str)
def test_a_worker_dies_under_any_fault(as_role: AsRole, brokers: Brokers) -> None:
    points = [each for each in crash.registered() if each.startswith(OWN)]
    run(as_role, ELSEWISE, points, brokers)


@pytest.mark.proof
@pytest.mark.parametrize("brokers", [Brokers(0), Brokers(1)], ids=str)
def test_a_worker_dies_over_what_follows(as_role: AsRole, brokers: Brokers) -> None:
    near = [each for each in crash.registered() if each.startswith(NEAR) and usual(each)]
    run(as_role, {"none": Fault()}, near, brokers)
