"""Every crash point, every fault of the simulated clouds, with the broker and without it: all ends right.

A batch (`tests.support.sweeping`) is one fault, with a grant for every crash point, in one world with one time; every
second grant has a broker, and the batch beside it, in the proof tier, gives one to the others. Groups that are
activated as the person are swept in `test_personal_sweep.py`, emergencies in `test_emergency_sweep.py`.

A new crash point joins by itself. When no play here reaches it, `ELSEWHERE` says where it is reached instead. A new
fault is a line in `FAULTS`, a new thing that people do a line in `PLAYS`.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from base import crash
from requests_app.actions.ending import end_early
from tests.requests_app import factories as make
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

pytestmark = pytest.mark.usefixtures("committed_db")

WRITES = (POST, "graph.POST provisionOnDemand")
SOON = timedelta(minutes=30)
LATE = "Entra asks to wait for minutes before it is asked"
POINTS = crash.registered()
# Points that none of these plays passes, and the test that does.
ELSEWHERE: dict[str, str] = {
    **{
        f"extending.{gap}": "tests/faults/test_extension_sweep.py::test_an_extension_survives_a_death"
        for gap in ("before_settle", "held", "before_continuing")
    },
    **dict.fromkeys(
        ("freezing.ended", "freezing.closed", "freezing.before_carried"),
        "tests/requests_app/test_freezing.py::test_a_worker_that_dies_is_followed_by_one_that_finishes",
    ),
    **{
        f"waiving.{gap}": "tests/faults/test_emergency_sweep.py::test_a_worker_dies_at_every_point"
        for gap in ("claimed", "checked", "before_commit", "settled")
    },
    "reviewing.before_commit": "tests/requests_app/test_emergency_reviews.py::test_overdue_it_goes_on_to_others_once",
    "chasing.before_commit": "tests/requests_app/test_chasing.py::test_who_dies_in_the_middle_leaves_it_owed",
    "forwarding.before_noted": "tests/audit/forwarding/test_carrying.py::test_a_death_repeats_and_loses_nothing",
    **{
        f"telling.{gap}": "tests/notifications/test_telling.py::test_who_dies_… and the next ones"
        for gap in ("before_planned", "before_sent", "before_noted")
    },
    "leaving.before_settle": "tests/requests_app/test_leaving.py::test_a_worker_that_dies_over_its_finding_looks_again",
    **dict.fromkeys(
        (
            "personal.before_sign_in",
            "personal.before_wait",
            "passing.placed",
            "passing.before_settle",
            "passing.withdrawn",
        ),
        "tests/faults/test_personal_sweep.py::test_a_worker_dies_at_every_point",
    ),
    **dict.fromkeys(
        ("rules.before_applied", "rules.applied"),
        "tests/oversight/rules/test_changing.py::test_a_worker_that_dies_leaves_all_of_a_change_or_nothing",
    ),
    "rechecking.before_settle": f"test_a_worker_dies_at_every_point, where {LATE}",
    "watching.before_settle": "tests/faults/test_world_faults.py::test_what_arrives_late_is_reopened_and_removed",
    # Settings of their own: provisioning on demand instead of the remover, and severing.
    **dict.fromkeys(
        (
            "hastening.asked",
            "severing.looked",
            "severing.intent_recorded",
            "severing.answered",
            "severing.before_settle",
        ),
        "tests/requests_app/cutting/test_crashes.py::test_severing and ::test_fast_removal",
    ),
}


def _once(name: str) -> Happens:
    """Something that concerns everybody, done for the first lane that comes to it."""

    def let(play: Fleet, _: Lane) -> None:
        quarantined = play.world.provisioning.job.quarantine is not None
        if quarantined != (name == "quarantine"):
            play.world.happen(name)

    return let


# Where a death meets a call that gives access.
ARRIVING = ("advancing.", "activating.", "pathing.", "provisioning.", "write.")

FAULTS: dict[str, Fault] = {
    "none": Fault(),
    "request lost": Fault(before=calls("lose_request", *WRITES, READ)),
    "answer lost": Fault(before=calls("lose_answer", *WRITES, READ)),
    "throttled": Fault(before=calls("throttle", *WRITES, READ)),
    "errors 500 and 503": Fault(before=all_of(calls("error", *WRITES), calls("error", READ, status=503))),
    "errors 500 and 504 after it worked": Fault(
        before=all_of(calls("error_after", POST), calls("error_after", WRITES[1], status=504))
    ),
    "answers later than the lease": Fault(before=calls("delay", POST, seconds=70), near=ARRIVING),
    "reads show the past": Fault(before=calls("stale", "pim.read", seconds=20, count=None)),
    "others have assigned it": Fault(
        # Unseen at first, so that PIM says that it exists already.
        # Whoever died with the answer in hand can't know that nothing was granted: that grant is taken back, and over
        # when the others' membership, which AWS shows too, is gone.
        before=all_of(happen("foreign_member"), calls("stale", "pim.read", seconds=20, count=None)),
        mended=happen("member_removed"),
        ends=frozenset({"not_granted", "ended"}),
        disturbs=True,
        theirs=True,
    ),
    "others take it away": Fault(ready=happen("member_removed"), disturbs=True, looks=SOON),
    "the person is disabled": Fault(ready=disabled, disturbs=True, looks=SOON),
    "PIM ends it late": Fault(ready=happen("expiry_late", minutes="20")),
    "its removal never arrives": Fault(
        ready=happen("removal_lost"), mended=happen("store_member_removed"), disturbs=True
    ),
    "provisioning in quarantine": Fault(
        ready=_once("quarantine"), mended=_once("quarantine_lifted"), together=True
    ),
    LATE: Fault(
        before=calls("throttle", READ, retry_after=120),
        points=("rechecking.",),
    ),
    "the person is disabled while Entra asks to wait": Fault(
        before=calls("throttle", READ, count=2, retry_after=120),
        mended=disabled,
        mended_when="activating",
        mended_after=timedelta(minutes=1),
        ends=frozenset({"not_granted"}),
        disturbs=True,
        points=("rechecking.",),
    ),
}


def give_back(play: Fleet, lane: Lane) -> None:
    """Its person is done with it."""
    person = play.people[lane.number][0]
    with play.as_role("portal_web"):
        end_early(grant_id=lane.grant().pk, person_id=person.pk, actor=make.actor(person))


TO_ITS_END = "to its end"
TAKEN_OUT = ("removing.", "deprovisioning.", "write.")
PLAYS: dict[str, Play] = {
    TO_ITS_END: Play(),
    "given back": Play(give_back),
    "removed fast": Play(settings={"FAST_REMOVAL": "direct"}, points=("fast_removal.",), near=TAKEN_OUT),
    "removed on demand": Play(settings={"FAST_REMOVAL": "on_demand"}, points=("hastening.",), near=TAKEN_OUT),
}


def usual(point: str) -> bool:
    """Whether a grant passes this point on its way to its end, as most do."""
    return point not in ELSEWHERE and not point.startswith(
        tuple(p for play in PLAYS.values() for p in play.points)
    )


def points_of(fault: str, doing: str = TO_ITS_END) -> tuple[str, ...]:
    """The points at which a worker of this batch is to die.

    Those that a grant passes on its way to its end, or in this play, and that are near what is awkward about the batch.
    """
    play, awkward = PLAYS[doing], FAULTS[fault]
    return tuple(
        point
        for point in POINTS
        if (usual(point) and all(point.startswith(each) for each in (awkward.near, play.near)))
        or point.startswith((*play.points, *awkward.points))
    )


def run(
    as_role: AsRole,
    fault: str,
    brokers: Brokers,
    *,
    passing: int = 1,
    doing: str = TO_ITS_END,
) -> Batch:
    """Play one fault with every crash point."""
    schedules = [Schedule(fault, point, passing) for point in points_of(fault, doing)]
    return run_batch(as_role, FAULTS, schedules, brokers, doing=PLAYS[doing], context=doing)


# Every test run plays every fault with every point, one half of the lanes on a broker, in turns; the proof tier those with
# the other half.
SCHEDULES = [
    pytest.param(
        fault,
        Brokers(first),
        id=f"{fault}, broker for {'odd' if first else 'even'} ones",
        marks=() if first == number % 2 else (pytest.mark.proof,),
    )
    for number, fault in enumerate(FAULTS)
    for first in (0, 1)
]
BROKERS = pytest.mark.parametrize("brokers", [Brokers(0), Brokers(1)], ids=str)


@pytest.mark.parametrize(("fault", "brokers"), SCHEDULES)
def test_a_worker_dies_at_every_point(as_role: AsRole, fault: str, brokers: Brokers) -> None:
    batch = run(as_role, fault, brokers)
    late = {point for point in POINTS if point.startswith(FAULTS[LATE].points)}
    if fault == LATE:
        assert late <= batch.died, "nobody died there"
    if fault == "none":
        points = {point for point in POINTS if usual(point)}
        assert batch.died == points, "nobody died there"
        # Who dies before the assignment is sent is followed by one who asks once more.
        assert batch.passed - late == points, "never passed, or named without need"


@pytest.mark.parametrize("doing", [name for name in PLAYS if name != TO_ITS_END])
def test_a_worker_dies_whatever_people_do(as_role: AsRole, doing: str) -> None:
    batch = run(as_role, "none", Brokers(0), doing=doing)
    own = PLAYS[doing].points
    assert batch.died
    assert {point for point in POINTS if own and point.startswith(own)} <= batch.died, "never passed"


@pytest.mark.proof
@pytest.mark.parametrize("fault", ["none", "answer lost"])
def test_a_worker_dies_at_the_second_passing(as_role: AsRole, fault: str) -> None:
    run(as_role, fault, Brokers(0), passing=2)


@pytest.mark.proof
@pytest.mark.marathon
@BROKERS
@pytest.mark.parametrize("doing", PLAYS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_worker_dies_at_the_second_passing_of_anything(
    as_role: AsRole, fault: str, doing: str, brokers: Brokers
) -> None:
    run(as_role, fault, brokers, passing=2, doing=doing)


def schedules_of_every_run() -> int:
    """How many schedules every test run plays here."""
    batches = [(str(schedule.values[0]), TO_ITS_END) for schedule in SCHEDULES if not schedule.marks]
    batches += [("none", doing) for doing in PLAYS if doing != TO_ITS_END]
    return sum(len(points_of(*batch)) for batch in batches)
