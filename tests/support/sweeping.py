"""The machine of the crash sweeps: many grants in one world, each with its own fault and a worker that dies on its way.

A batch is one world with one time. Each of its lanes is a grant that is carried by the real actions until its worker
dies at the lane's point; the next worker goes on when the lease has run out, or when the broker delivers the message
again. Whatever happened, the invariants hold at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.test import override_settings

from audit.ledger.models import Event
from base import crash
from requests_app.cutting.models import FastRemoval
from requests_app.lifecycle import TERMINAL
from requests_app.models import Decision, Grant, GrantInterval, RequestItem
from requests_app.waivers.models import Waiver
from simulator.world.faults import Faults
from tests.requests_app.conftest import AsRole
from tests.support import invariants
from tests.support.fleet import LOOK_SELDOM, Fleet, fleet
from tests.support.invariants import Pair, Scene
from tests.support.stage import Died

POST = "graph.POST assignmentScheduleRequests"
READ = "graph.GET assignmentScheduleInstances"
MENDED_AFTER = timedelta(hours=1)
IDLE = timedelta(minutes=10)
# It ends shortly before a provisioning cycle: who waits for the removal in AWS has looked twice then, not three times.
A_WINDOW = timedelta(minutes=75)
# The narrow path lets a third of a batch through at a time, so that everybody else waits in its queue, and not for long.
THIRDS = 3
LOOK_AT = 8  # passes between two looks at the invariants
NOT_YET_READY = {"", "scheduled", "activating", "provisioning"}
CLAIMED_TO_GIVE = ("provisioning", "active")

type Happens = Callable[[Fleet, Lane], None]


def nothing(_play: Fleet, _lane: Lane) -> None:
    """Happens."""


@dataclass(frozen=True)
class Fault:
    """Something awkward: before anything is asked, when access is ready, and a while later, when it is mended.

    `ends` are the statuses in which the grant may end; `disturbs` when others change what the clouds hold; `theirs`
    when it is others who give the access, so that no grant may claim to have.
    """

    before: Happens = nothing
    ready: Happens = nothing
    mended: Happens = nothing
    mended_when: str = "deprovisioning"
    mended_after: timedelta = MENDED_AFTER
    ends: frozenset[str] = frozenset({"ended"})
    disturbs: bool = False
    theirs: bool = False
    looks: timedelta = LOOK_SELDOM
    together: bool = False  # it concerns everybody, so it comes when everybody's access is ready
    # The beginnings of the points at which a death can matter to it; all, when none is named.
    near: tuple[str, ...] = ("",)
    # Of these, those that every test run plays; the proof tier plays all.
    always: tuple[str, ...] = ("",)
    # The beginnings of the names of those points that only what is awkward about it makes a grant pass.
    points: tuple[str, ...] = ()
    approver: int = 0  # the number of the one who approves


@dataclass(frozen=True)
class Play:
    """What people do once access is ready, in an installation with these settings.

    `points` are the beginnings of the names of those points that no other play passes, `near` those of the usual
    ones at which a death can matter to it.
    """

    does: Happens = nothing
    settings: Mapping[str, object] = field(default_factory=dict)
    points: tuple[str, ...] = ()
    near: tuple[str, ...] = ("",)
    # Every group is activated as the person, everybody is signed in; and PIM wants an approval of its own.
    as_person: bool = False
    approved_in_pim: bool = False
    # Everybody asks to go without an approval, so that nobody decides.
    in_emergency: bool = False
    lasts: timedelta = A_WINDOW


@dataclass(frozen=True)
class Schedule:
    """One lane to be: the fault, and the point at which a worker dies when it comes there for the nth time."""

    fault: str
    point: str
    passing: int = 1


@dataclass
class Lane:
    """One schedule as it is played: a grant, and its own faults of the clouds."""

    number: int
    pair: Pair
    schedule: Schedule
    fault: Fault
    faults: Faults
    item: RequestItem
    passings: int = 0
    status: str = ""
    died: bool = False
    passed: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)  # what was let happen already

    def handler(self, reached: str) -> None:
        """Die at the nth passing of the point."""
        self.passed.add(reached)
        if reached == self.schedule.point and not self.died:
            self.passings += 1
            if self.passings == self.schedule.passing:
                self.died = True
                raise Died(reached)

    def grant(self) -> Grant:
        """Its grant, which there is once it is approved."""
        return Grant.objects.get(person__object_id=self.pair[0], group__object_id=self.pair[1])


@dataclass(frozen=True)
class Brokers:
    """Which lanes have a broker: every second one, beginning with the first or with the second, so both in two."""

    first: int

    def keeps(self, batch: Batch, row_id: str) -> bool:
        return batch.lane(UUID(row_id)).number % 2 == self.first


def calls(kind: str, *operations: str, **settings: float | str | None) -> Happens:
    """The next call of each operation fails in this way (`simulator.world.faults`)."""

    def add(_: Fleet, lane: Lane) -> None:
        for operation in operations:
            lane.faults.add(operation, kind, **settings)  # type: ignore[arg-type] # each kind takes its own

    return add


def all_of(*several: Happens) -> Happens:
    """One after the other."""

    def each(play: Fleet, lane: Lane) -> None:
        for one in several:
            one(play, lane)

    return each


def happen(name: str, **more: str) -> Happens:
    """Something that the world lets happen to the lane's pair."""

    def let(play: Fleet, lane: Lane) -> None:
        person, group = lane.pair
        play.world.happen(name, group=group, person=person, **more)

    return let


def approve(play: Fleet, lane: Lane) -> None:
    """The lane's approver approves what it asks for."""
    play.approve(lane.item, lane.fault.approver)


def disabled(play: Fleet, lane: Lane) -> None:
    """The lane's person is disabled in Entra."""
    play.world.happen("person_disabled", person=lane.pair[0])


@dataclass
class Batch:
    """The lanes of one world, and what happens to them in its time."""

    play: Fleet
    lanes: list[Lane]
    doing: Play
    rows: dict[UUID, Lane] = field(default_factory=dict)
    mend_at: dict[int, datetime] = field(default_factory=dict)

    @property
    def died(self) -> set[str]:
        """The points at which a worker died."""
        return {lane.schedule.point for lane in self.lanes if lane.died}

    @property
    def passed(self) -> set[str]:
        """The points that anybody came to."""
        return set[str]().union(*(lane.passed for lane in self.lanes))

    def lane(self, row: UUID) -> Lane:
        """Whose grant, decision, waiver or removal it is."""
        if row not in self.rows:
            self._learn(row)
        return self.rows[row]

    def _learn(self, row: UUID) -> None:
        """Read whose all rows of its kind are, those first of which there are the most."""
        by_item = {lane.item.pk: lane for lane in self.lanes}
        for found in (
            GrantInterval.objects.values_list("grant", "item"),
            Decision.objects.values_list("pk", "item"),
            Waiver.objects.values_list("pk", "item"),
            FastRemoval.objects.values_list("pk", "grant__intervals__item"),
        ):
            self.rows.update((pk, by_item[item]) for pk, item in found)
            if row in self.rows:
                return

    @contextmanager
    def around(self, _kind: str, row: UUID) -> Iterator[None]:
        """The lane's own faults and death, for as long as something is done for it."""
        lane = self.lane(row)
        before, self.play.world.faults = self.play.world.faults, lane.faults
        crash.install(lane.handler)
        try:
            yield
        finally:
            crash.install(None)
            self.play.world.faults = before

    def run(self) -> None:
        """Decide on everything that has to be decided, and play until nothing is owed."""
        for lane in self.lanes:
            lane.fault.before(self.play, lane)
            if not self.doing.in_emergency:
                approve(self.play, lane)
        last, passes = self.play.time.now + timedelta(days=2), 0
        while not all(lane.status in TERMINAL for lane in self.lanes):
            assert self.play.time.now < last, self.play.describe()
            done = self.play.work()
            # Too much said is soon true by itself, so that this isn't left to the look now and then.
            scene = self.play.scene()
            invariants.check_what_is_said(scene, context=f"at {self.play.time.now}")
            self._let_happen(scene)
            wait = self.play.until_next()
            # What is due and not found by the sweeper won't be found by waiting for a second.
            self.play.step(wait if done else max(wait, IDLE))
            passes += 1
            if passes % LOOK_AT == 0:
                invariants.check(self.play.scene(further=True), context=f"at {self.play.time.now}")

    def _let_happen(self, scene: Scene) -> None:
        statuses = {grant.person_oid: grant.status for grant in scene.grants}
        for lane in self.lanes:
            lane.status = statuses.get(lane.pair[0], "")
        unready = any(lane.status in NOT_YET_READY for lane in self.lanes)
        for lane in self.lanes:
            fault = lane.fault
            if lane.status == "active" and "ready" not in lane.done and not (fault.together and unready):
                lane.done.add("ready")
                fault.ready(self.play, lane)
                self.doing.does(self.play, lane)
            if lane.status == fault.mended_when and "mended" not in lane.done:
                # A good while later: long enough for a cycle that could have carried it.
                since = self.mend_at.setdefault(lane.number, self.play.time.now)
                if self.play.time.now - since > fault.mended_after:
                    lane.done.add("mended")
                    fault.mended(self.play, lane)

    def check(self, context: str) -> None:
        """All came to their ends, and everything holds."""
        claimed = set(
            Event.objects.filter(data__fields__target__in=CLAIMED_TO_GIVE).values_list("grant_id", flat=True)
        )
        for lane in self.lanes:
            where = f"{context}, {lane.schedule}"
            assert lane.status in lane.fault.ends, f"{where}: {lane.status}\n{self.play.describe()}"
            assert not (lane.fault.theirs and lane.grant().pk in claimed), f"{where}\n{self.play.describe()}"
        invariants.check(self.play.scene(settled=True), context=context)
        assert not invariants.nothing_is_owed()
        with self.play.as_role("portal_sealer"):
            assert not invariants.seal_is_sound()


def run_batch(
    as_role: AsRole,
    faults: Mapping[str, Fault],
    schedules: Sequence[Schedule],
    brokers: Brokers,
    *,
    doing: Play,
    context: str = "",
) -> Batch:
    """Play these schedules in one world, and see that everything held; gives the batch as it ended."""
    size = len(schedules)
    chosen = [faults[each.fault] for each in schedules]
    with (
        override_settings(**doing.settings),
        fleet(
            as_role,
            people=size,
            groups=size,
            approvers=1 + max(fault.approver for fault in chosen),
            one_each=True,
            looks=min(fault.looks for fault in chosen),
            as_person=range(size) if doing.as_person else (),
            places=max(settings.NARROW_PATH_PLACES, size // THIRDS),
        ) as play,
    ):
        lanes = []
        for number, (schedule, fault) in enumerate(zip(schedules, chosen, strict=True)):
            pair = play.pair(number, number)
            ask = play.ask_in_emergency if doing.in_emergency else play.ask
            faulty, item = Faults(play.world), ask(number, number, doing.lasts)
            lanes.append(Lane(number, pair, schedule, fault, faulty, item))
            if doing.as_person:
                play.sign_in(play.people[number][0])
            if fault.disturbs:
                play.disturbed.add(pair)
            if fault.ends != {"ended"}:
                play.excused.add(pair)
        if doing.approved_in_pim:
            _have_pim_ask_for_approval(play)
        batch = Batch(play, lanes, doing)
        play.around = batch.around
        play.broker.keeps = lambda row_id: brokers.keeps(batch, row_id)
        batch.run()
        batch.check(f"{brokers}, {context}")
        return batch


def _have_pim_ask_for_approval(play: Fleet) -> None:
    """Of all who approve in the portal, the first of whom is signed in."""
    bosses = [user.id for _, user in play.approvers]
    for _, group in play.groups:
        play.world.policies.change(group.id, approval_required=True, approver_users=bosses)
    play.sign_in(play.approvers[0][0])
