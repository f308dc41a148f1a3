"""Every crash point, every fault of the simulated clouds, with the broker and without it: all ends right.

A batch is one fault, with a grant for every crash point, in one world with one time; every second grant has a
broker, and the batch beside it gives one to the others. Each grant is
carried by the real actions until its worker dies at its point; the next worker goes on when the lease has run out,
or when the broker delivers the message again. Whatever happened, the invariants hold at the end.

A new crash point joins by itself. When no play here reaches it, `ELSEWHERE` says where it is reached instead. A new
fault is a line in `FAULTS`, a new thing that people do a line in `PLAYS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest
from django.test import override_settings

from audit.ledger.models import Event
from base import crash
from requests_app.actions.deciding import submit_decision
from requests_app.actions.ending import end_early
from requests_app.cutting.models import FastRemoval
from requests_app.lifecycle import TERMINAL
from requests_app.models import Decision, Grant, RequestItem
from simulator.world.faults import Faults
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support import invariants
from tests.support.fleet import LOOK_SELDOM, Fleet, fleet
from tests.support.invariants import Pair
from tests.support.stage import Died

pytestmark = pytest.mark.usefixtures("committed_db")

POST = "graph.POST assignmentScheduleRequests"
WRITES = (POST, "graph.POST provisionOnDemand")
READ = "graph.GET assignmentScheduleInstances"
SOON = timedelta(minutes=30)
MENDED_AFTER = timedelta(hours=1)
IDLE = timedelta(minutes=10)
LOOK_AT = 8  # passes between two looks at the invariants
NOT_YET_READY = {"", "scheduled", "activating", "provisioning"}
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
        f"waiving.{gap}": "tests/requests_app/test_waivers.py::test_who_dies_over_it_is_followed_by_one_who_settles_it_once"
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
    **{
        f"personal.{gap}": "tests/requests_app/test_as_person.py::test_a_death_makes_no_second_activation and the next"
        for gap in ("before_sign_in", "before_wait")
    },
    **{
        f"passing.{gap}": "tests/requests_app/test_passing_on.py::test_a_death_leaves_one_activation"
        for gap in ("before_settle", "withdrawn")
    },
    **dict.fromkeys(
        ("rules.before_applied", "rules.applied"),
        "tests/oversight/rules/test_changing.py::test_a_worker_that_dies_leaves_all_of_a_change_or_nothing",
    ),
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


@dataclass
class Lane:
    """One schedule: a grant, the point at which its worker dies, and its own faults of the clouds."""

    number: int
    pair: Pair
    point: str
    passing: int
    faults: Faults
    item: RequestItem
    fault: Fault
    status: str = ""
    reached: bool = False
    done: set[str] = field(default_factory=set)  # what was let happen already

    def handler(self, reached: str) -> None:
        """Die at the nth passing of the point."""
        if reached == self.point and not self.reached:
            self.passing -= 1
            if self.passing == 0:
                self.reached = True
                raise Died(reached)


type Happens = Callable[[Fleet, Lane], None]


@dataclass(frozen=True)
class Fault:
    """Something awkward: before anything is asked, when access is ready, and a while later, when it is mended.

    `ends` are the statuses in which the grant may end; `disturbs` when others change what the clouds hold; `theirs`
    when it is others who give the access, so that no grant may claim to have.
    """

    before: Happens = lambda _play, _lane: None
    ready: Happens = lambda _play, _lane: None
    mended: Happens = lambda _play, _lane: None
    mended_when: str = "deprovisioning"
    ends: frozenset[str] = frozenset({"ended"})
    disturbs: bool = False
    theirs: bool = False
    looks: timedelta = LOOK_SELDOM
    together: bool = False  # it concerns everybody, so it comes when everybody's access is ready
    # The beginnings of the points at which a death can matter to it; all, when none is named.
    near: tuple[str, ...] = ("",)


def _calls(kind: str, *operations: str, **settings: float | None) -> Happens:
    def add(_: Fleet, lane: Lane) -> None:
        for operation in operations:
            lane.faults.add(operation, kind, **settings)  # type: ignore[arg-type] # each kind takes its own

    return add


def _all(*several: Happens) -> Happens:
    def each(play: Fleet, lane: Lane) -> None:
        for one in several:
            one(play, lane)

    return each


def _happen(name: str, **more: str) -> Happens:
    def let(play: Fleet, lane: Lane) -> None:
        person, group = lane.pair
        play.world.happen(name, group=group, person=person, **more)

    return let


def _once(name: str) -> Happens:
    """Something that concerns everybody, done for the first lane that comes to it."""

    def let(play: Fleet, _: Lane) -> None:
        quarantined = play.world.provisioning.job.quarantine is not None
        if quarantined != (name == "quarantine"):
            play.world.happen(name)

    return let


def _disabled(play: Fleet, lane: Lane) -> None:
    play.world.happen("person_disabled", person=lane.pair[0])


FAULTS: dict[str, Fault] = {
    "none": Fault(),
    "request lost": Fault(before=_calls("lose_request", *WRITES, READ)),
    "answer lost": Fault(before=_calls("lose_answer", *WRITES, READ)),
    "throttled": Fault(before=_calls("throttle", *WRITES, READ)),
    "errors 500 and 503": Fault(before=_all(_calls("error", *WRITES), _calls("error", READ, status=503))),
    "errors 500 and 504 after it worked": Fault(
        before=_all(_calls("error_after", POST), _calls("error_after", WRITES[1], status=504))
    ),
    "answers later than the lease": Fault(
        before=_calls("delay", POST, seconds=70),
        near=("advancing.", "activating.", "pathing.", "provisioning.", "write."),
    ),
    "reads show the past": Fault(before=_calls("stale", "pim.read", seconds=20, count=None)),
    "others have assigned it": Fault(
        # Unseen at first, so that PIM says that it exists already.
        # Whoever died with the answer in hand can't know that nothing was granted: that grant is taken back, and over
        # when the others' membership, which AWS shows too, is gone.
        before=_all(_happen("foreign_member"), _calls("stale", "pim.read", seconds=20, count=None)),
        mended=_happen("member_removed"),
        ends=frozenset({"not_granted", "ended"}),
        disturbs=True,
        theirs=True,
    ),
    "others take it away": Fault(ready=_happen("member_removed"), disturbs=True, looks=SOON),
    "the person is disabled": Fault(ready=_disabled, disturbs=True, looks=SOON),
    "PIM ends it late": Fault(ready=_happen("expiry_late", minutes="20")),
    "its removal never arrives": Fault(
        ready=_happen("removal_lost"), mended=_happen("store_member_removed"), disturbs=True
    ),
    "provisioning in quarantine": Fault(
        ready=_once("quarantine"), mended=_once("quarantine_lifted"), together=True
    ),
}


def _give_back(play: Fleet, lane: Lane) -> None:
    person = play.people[lane.number][0]
    with play.as_role("portal_web"):
        end_early(grant_id=_grant(lane).pk, person_id=person.pk, actor=make.actor(person))


@dataclass(frozen=True)
class Play:
    """What people do once access is ready, in an installation with these settings.

    `points` are the beginnings of the names of those points that no other play passes, `near` those of the usual
    ones at which a death can matter to it.
    """

    does: Happens = lambda _play, _lane: None
    settings: Mapping[str, object] = field(default_factory=dict)
    points: tuple[str, ...] = ()
    near: tuple[str, ...] = ("",)


TO_ITS_END = "to its end"
# The batch in which what is reached is compared with all points that there are.
COMPARED = ("none", TO_ITS_END)
LEAVING = ("removing.", "deprovisioning.", "write.")
PLAYS: dict[str, Play] = {
    TO_ITS_END: Play(),
    "given back": Play(_give_back),
    "removed fast": Play(settings={"FAST_REMOVAL": "direct"}, points=("fast_removal.",), near=LEAVING),
    "removed on demand": Play(settings={"FAST_REMOVAL": "on_demand"}, points=("hastening.",), near=LEAVING),
}


def usual(point: str) -> bool:
    """Whether a grant passes this point on its way to its end, as most do."""
    return point not in ELSEWHERE and not point.startswith(
        tuple(p for play in PLAYS.values() for p in play.points)
    )


def _grant(lane: Lane) -> Grant:
    return Grant.objects.get(person__object_id=lane.pair[0], group__object_id=lane.pair[1])


@dataclass
class Batch:
    """The lanes of one world, and what happens to them in its time."""

    play: Fleet
    lanes: list[Lane]
    fault: Fault
    doing: Play
    rows: dict[UUID, Lane] = field(default_factory=dict)
    mend_at: dict[int, object] = field(default_factory=dict)

    def lane(self, kind: str, row: UUID) -> Lane:
        if row not in self.rows:
            item_of = {
                "decision": lambda: Decision.objects.get(pk=row).item,
                "grant": lambda: Grant.objects.get(pk=row).intervals.get().item,
                "removal": lambda: FastRemoval.objects.get(pk=row).grant.intervals.get().item,
            }
            item = item_of[kind]()
            self.rows[row] = next(lane for lane in self.lanes if lane.item.pk == item.pk)
        return self.rows[row]

    @contextmanager
    def around(self, kind: str, row: UUID) -> Iterator[None]:
        """The lane's own faults and death, for as long as something is done for it."""
        lane = self.lane(kind, row)
        before, self.play.world.faults = self.play.world.faults, lane.faults
        crash.install(lane.handler)
        try:
            yield
        finally:
            crash.install(None)
            self.play.world.faults = before

    def run(self) -> None:
        """Decide on everything, and play until nothing is owed."""
        boss = self.play.approvers[0][0]
        for lane in self.lanes:
            self.fault.before(self.play, lane)
            with self.play.as_role("portal_web"):
                submit_decision(
                    item_id=lane.item.pk,
                    approver_id=boss.pk,
                    verdict="approve",
                    comment="",
                    shown=make.shown(lane.item),
                    actor=make.actor(boss),
                )
        last, passes = self.play.time.now + timedelta(days=2), 0
        while not self._all_over():
            assert self.play.time.now < last, self.play.describe()
            done = self.play.work()
            # Too much said is soon true by itself, so that this isn't left to the look now and then.
            invariants.check_what_is_said(self.play.scene(), context=f"at {self.play.time.now}")
            self._let_happen()
            wait = self.play.until_next()
            # What is due and not found by the sweeper won't be found by waiting for a second.
            self.play.step(wait if done else max(wait, IDLE))
            passes += 1
            if passes % LOOK_AT == 0:
                invariants.check(self.play.scene(), context=f"at {self.play.time.now}")

    def _all_over(self) -> bool:
        statuses = {
            row.person.object_id: row.status
            for row in Grant.objects.select_related("person").only("status", "person__object_id")
        }
        for lane in self.lanes:
            lane.status = statuses.get(lane.pair[0], "")
        return all(lane.status in TERMINAL for lane in self.lanes)

    def _let_happen(self) -> None:
        self._all_over()
        waiting = self.fault.together and any(lane.status in NOT_YET_READY for lane in self.lanes)
        for lane in self.lanes:
            if lane.status == "active" and "ready" not in lane.done and not waiting:
                lane.done.add("ready")
                self.fault.ready(self.play, lane)
                self.doing.does(self.play, lane)
            if lane.status == self.fault.mended_when and "mended" not in lane.done:
                # A good while later: long enough for a cycle that could have carried it.
                since = self.mend_at.setdefault(lane.number, self.play.time.now)
                if self.play.time.now - since > MENDED_AFTER:  # type: ignore[operator] # instants
                    lane.done.add("mended")
                    self.fault.mended(self.play, lane)


@dataclass(frozen=True)
class Brokers:
    """Which lanes have a broker: every second one, beginning with the first or with the second, so both in two."""

    first: int

    def keeps(self, batch: Batch, row_id: str) -> bool:
        kind = "decision" if Decision.objects.filter(pk=row_id).exists() else "grant"
        return batch.lane(kind, UUID(row_id)).number % 2 == self.first


def points_of(fault: str, doing: str = TO_ITS_END) -> tuple[str, ...]:
    """The points at which a worker of this batch is to die.

    All that there are where what is reached is compared with them; else those that a grant passes on its way to its
    end, or in this play, and that are near what is awkward about the batch.
    """
    if (fault, doing) == COMPARED:
        return POINTS
    play, near = PLAYS[doing], FAULTS[fault].near
    return tuple(
        point
        for point in POINTS
        if (usual(point) and point.startswith(near) and point.startswith(play.near))
        or point.startswith(play.points)
    )


def run_batch(
    as_role: AsRole, fault_name: str, brokers: Brokers, *, passing: int = 1, doing: str = TO_ITS_END
) -> set[str]:
    """Play one fault with every crash point; gives the points at which a worker died."""
    fault, points = FAULTS[fault_name], points_of(fault_name, doing)
    size = len(points)
    with (
        override_settings(**PLAYS[doing].settings),
        fleet(as_role, people=size, groups=size, one_each=True, looks=fault.looks) as play,
    ):
        lanes = []
        for number, point in enumerate(points):
            pair = play.pair(number, number)
            lanes.append(
                Lane(number, pair, point, passing, Faults(play.world), play.ask(number, number), fault)
            )
            if fault.disturbs:
                play.disturbed.add(pair)
            if fault.ends != {"ended"}:
                play.excused.add(pair)
        batch = Batch(play, lanes, fault, PLAYS[doing])
        play.around = batch.around
        play.broker.keeps = lambda row_id: brokers.keeps(batch, row_id)
        batch.run()
        context = f"{fault_name}, {brokers}, passing {passing}, {doing}"
        for lane in lanes:
            assert lane.status in fault.ends, f"{context}, {lane.point}: {lane.status}\n{play.describe()}"
        claimed = Event.objects.filter(data__fields__target__in=["provisioning", "active"])
        assert not (fault.theirs and claimed.exists()), f"{context}: {play.describe()}"
        invariants.check(play.scene(settled=True), context=context)
        assert not invariants.nothing_is_owed()
        with play.as_role("portal_sealer"):
            assert not invariants.seal_is_sound()
        return {lane.point for lane in lanes if lane.reached}


# Under these, every grant is played with a broker and without it in every test run.
BOTH = ("none", "answer lost")


def _marks(fault: str, first: int, number: int) -> tuple[pytest.MarkDecorator, ...]:
    return () if fault in BOTH or first == number % 2 else (pytest.mark.proof,)


# Every fault is played with one half of the lanes on a broker, in turns; these with the other half too, and the
# other faults in the proof tier.
SCHEDULES = [
    pytest.param(
        fault,
        Brokers(first),
        id=f"{fault}, broker for {'odd' if first else 'even'} ones",
        marks=_marks(fault, first, number),
    )
    for number, fault in enumerate(FAULTS)
    for first in (0, 1)
]
BROKERS = pytest.mark.parametrize("brokers", [Brokers(0), Brokers(1)], ids=str)


@pytest.mark.parametrize(("fault", "brokers"), SCHEDULES)
def test_a_worker_dies_at_every_point(as_role: AsRole, fault: str, brokers: Brokers) -> None:
    reached = run_batch(as_role, fault, brokers)
    if fault == COMPARED[0]:
        assert reached == {point for point in POINTS if usual(point)}, "never passed, or named without need"


@pytest.mark.parametrize("doing", [name for name in PLAYS if name != TO_ITS_END])
def test_a_worker_dies_whatever_people_do(as_role: AsRole, doing: str) -> None:
    reached = run_batch(as_role, "none", Brokers(0), doing=doing)
    own = PLAYS[doing].points
    assert reached
    assert {point for point in POINTS if own and point.startswith(own)} <= reached, "never passed"


@pytest.mark.parametrize("fault", ["none", pytest.param("answer lost", marks=pytest.mark.proof)])
def test_a_worker_dies_at_the_second_passing(as_role: AsRole, fault: str) -> None:
    run_batch(as_role, fault, Brokers(0), passing=2)


@pytest.mark.proof
@pytest.mark.marathon
@BROKERS
@pytest.mark.parametrize("doing", PLAYS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_worker_dies_at_the_second_passing_of_anything(
    as_role: AsRole, fault: str, doing: str, brokers: Brokers
) -> None:
    run_batch(as_role, fault, brokers, passing=2, doing=doing)


def test_the_sweep_of_every_test_run_is_large_enough() -> None:
    batches = [(str(schedule.values[0]), TO_ITS_END) for schedule in SCHEDULES if not schedule.marks]
    batches += [("none", doing) for doing in PLAYS]  # the first is that of the second passing
    assert sum(len(points_of(*batch)) for batch in batches) >= 500
