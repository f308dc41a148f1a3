"""Several people, PIM groups and approvers in one small world behind the ports, with one time for all.

Like `stage`, for many grants at once: what it costs to find owed work is shared, so that a schedule of a sweep
takes less than a fifth of a second. The product's actions and Celery tasks run as they are; the broker is a list, which
keeps messages or loses them.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from uuid import UUID

from celery import Celery, current_app
from django.test import override_settings
from django.utils.duration import duration_iso_string
from kombu.exceptions import OperationalError

from base import clock as base_clock
from base import crash
from base.clock import BusinessClock, real_now
from base.readymade import Readymade
from catalog.models import PimGroup
from catalog.modes import set_mode
from clients import cutters
from clients.registry import using
from identity.models import DirectoryGroup, DirectoryMembership, Person
from identity.personal import keeping
from identity.personal.sealing import add_key
from policy.document import document_hash
from policy.models import Rule, RuleVersion
from requests_app import tasks
from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciding import check_decision, submit_decision
from requests_app.actions.steps import extending, pacing, personal, proving, provisioning
from requests_app.actions.submitting import submit_request
from requests_app.actions.sweeping import sweep
from requests_app.cutting import removing as removing_fast
from requests_app.cutting.models import FastRemoval
from requests_app.lifecycle import DecisionStatus, WaiverStatus
from requests_app.models import Decision, Grant, RequestItem
from requests_app.waivers.asking import EmergencyAsk
from requests_app.waivers.models import Waiver
from requests_app.waivers.settling import check_waiver
from simulator.sample.builder import Builder, empty_world
from simulator.world import provisioning as provisioning_job
from simulator.world import serial
from simulator.world.clock import WorldClock
from simulator.world.state import Group, State, User
from simulator.world.world import World
from tests.requests_app import factories as make
from tests.support.invariants import Pair, Scene
from tests.support.replaying import Trail
from tests.support.stage import BEGINNING, AsRole, Died, Time, _allow_list, _latest, _looking
from tests.support.world_clients import Calls, world_clients
from tests.support.world_cutters import WorldDenials, WorldRemoval
from tests.support.world_personal import token_for

_seeds = itertools.count(1)
LEAST_STEP, LONGEST_STEP = timedelta(seconds=1), timedelta(hours=6)
# Looks are seldom, so that a play is short: at what is ready and at what is over (business time), and at what is
# on its way (real time).
LOOK_SELDOM = timedelta(hours=3)
POLL_SELDOM = timedelta(minutes=20)
LONGEST_EMERGENCY = timedelta(hours=1)
LOOK_FOR_SIGN_IN = timedelta(minutes=2)
TASKS = {
    "decision": str(tasks.check_decision.name),
    "waiver": str(tasks.check_waiver.name),
    "grant": str(tasks.advance.name),
}


# When something is due for each row that owes it, in the order of `_latest`.
OWING = (
    Readymade(
        lambda: Grant.objects.filter(next_action_at__isnull=False).values_list(
            "next_action_at", "retry_at", "lease_until"
        )
    ),
    Readymade(
        lambda: Decision.objects.filter(status=DecisionStatus.SUBMITTED).values_list(
            "submitted_at", "retry_at", "lease_until"
        )
    ),
    Readymade(
        lambda: Waiver.objects.filter(status=WaiverStatus.SUBMITTED).values_list(
            "submitted_at", "retry_at", "lease_until"
        )
    ),
)


@dataclass
class Broker:
    """Celery's broker as a list: it keeps the messages for a row or loses them; every second is delivered twice."""

    keeps: Callable[[str], bool]
    messages: deque[tuple[str, str]] = field(default_factory=deque)
    sent: int = 0

    def send(self, name: str, args: Iterable[str] | None = None, *_: object, **__: object) -> None:
        """In place of Celery.send_task, through which `delay` goes too. What names no row is lost: a sweep does it."""
        (row_id,) = args or ("",)
        if not row_id or not self.keeps(row_id):
            raise OperationalError("there is no broker")
        self.sent += 1
        self.messages.extend([(name, row_id)] * (1 + self.sent % 2))


@dataclass
class Fleet:
    """What a play with many grants needs, and its verbs."""

    time: Time
    world: World
    build: Builder
    calls: Calls
    as_role: AsRole
    broker: Broker
    people: list[tuple[Person, User]]
    approvers: list[tuple[Person, User]]
    groups: list[tuple[PimGroup, Group]]
    # None in a world that was taken up from a snapshot, in which nobody asks any more. Responders may go without an
    # approval in an emergency, and deciders review it.
    deciders: Group | None
    responders: Group | None
    rule: RuleVersion | None
    disturbed: set[Pair] = field(default_factory=set)
    excused: set[Pair] = field(default_factory=set)
    since: datetime | None = None  # when this release took up another one's grants
    trail: Trail = field(default_factory=Trail)  # as far as looks that go on have read
    # Around everything that is done for one row; a sweep puts its faults and its death there.
    around: Callable[[str, UUID], AbstractContextManager[object]] = lambda _kind, _row: nullcontext()
    # Called with the row whose worker died.
    died: Callable[[str, UUID], None] = lambda _kind, _row: None

    # ------------------------------------------------------------ people

    def ask(self, person: int, group: int, duration: timedelta = timedelta(minutes=90)) -> RequestItem:
        if self.rule is None:
            raise ValueError("nobody asks in a world that was taken up")
        with self.as_role("portal_web"):
            return make.pending_item(
                self.people[person][0], self.groups[group][0], self.rule, duration=duration
            )

    def ask_in_emergency(
        self, person: int, group: int, duration: timedelta = LONGEST_EMERGENCY, *, drill: bool = False
    ) -> RequestItem:
        """Ask to go without an approval. Raises DomainError."""
        asker, row = self.people[person][0], self.groups[group][0]
        with self.as_role("portal_web"):
            request_id = submit_request(
                requester_id=asker.pk,
                group_object_id=row.object_id,
                duration=duration,
                justification="Something is stuck there",
                reference="",
                actor=make.actor(asker),
                emergency=EmergencyAsk("Customers can't pay, and nobody answers", drill),
            )
            return RequestItem.objects.get(request=request_id)

    def approve(self, item: RequestItem, approver: int = 0) -> None:
        """The approver of this number agrees with what the item asks for; a worker has yet to count it."""
        boss = self.approvers[approver][0]
        with self.as_role("portal_web"):
            submit_decision(
                item_id=item.pk,
                approver_id=boss.pk,
                verdict="approve",
                comment="",
                shown=make.shown(item),
                actor=make.actor(boss),
            )

    def sign_in(self, person: Person, *contexts: str, withdrawn: bool = False) -> None:
        """What signing in leaves for a worker: a token that proves these contexts, or that Entra takes no more."""
        token = token_for(person.object_id, contexts=contexts, withdrawn=withdrawn)
        with self.as_role("portal_web"):
            keeping.keep(person, token, actor=make.actor(person))

    def sign_out(self, person: Person) -> None:
        """Their token is gone."""
        with self.as_role("portal_web"):
            keeping.forget([person], keeping.Forgotten.SIGNED_OUT, actor=make.actor(person))

    def pair(self, person: int, group: int) -> Pair:
        return self.people[person][1].id, self.groups[group][1].id

    # ------------------------------------------------------------ the machine

    def work(self) -> int:
        """One pass of the sweeper and all that it rings for; gives how many rows owed something."""
        self.world.advance()
        owed = sweep()
        for waiver_id in owed.waivers:
            self._ring("waiver", waiver_id, self._check_waiver)
        for decision_id in owed.decisions:
            self._ring("decision", decision_id, self._check)
        for grant_id in owed.grants:
            self._ring("grant", grant_id, lambda row: advance_grant(grant_id=row))
        self._deliver()
        return len(owed.waivers) + len(owed.decisions) + len(owed.grants) + self._cut()

    def _cut(self) -> int:
        """One pass of the remover, which runs with rights of its own and without a broker."""
        if not removing_fast.owed_at_all():
            return 0
        with self.as_role("portal_remover"):
            rows = removing_fast.owed()
        for row in rows:
            self._attend("removal", row, self._remove_fast)
        return len(rows)

    def _remove_fast(self, row: UUID) -> None:
        with self.as_role("portal_remover"):
            removing_fast.remove_fast(removal_id=row)

    def _ring(self, kind: str, row: UUID, action: Callable[[UUID], object]) -> None:
        """Through the broker, as Celery's sweep does; or at once, as `manage.py sweep` does without one."""
        if self.broker.keeps(str(row)):
            self.broker.messages.append((TASKS[kind], str(row)))
        else:
            self._attend(kind, row, action)

    def _check(self, decision_id: UUID) -> None:
        for grant_id in check_decision(decision_id=decision_id):
            advance_grant(grant_id=grant_id)

    def _check_waiver(self, waiver_id: UUID) -> None:
        for grant_id in check_waiver(waiver_id=waiver_id):
            advance_grant(grant_id=grant_id)

    def _deliver(self) -> None:
        kinds = {name: kind for kind, name in TASKS.items()}
        while self.broker.messages:
            name, row_id = self.broker.messages.popleft()
            task = current_app.tasks[name]
            self._attend(kinds[name], UUID(row_id), lambda row, task=task: task(str(row)))  # type: ignore[misc]

    def _attend(self, kind: str, row: UUID, action: Callable[[UUID], object]) -> None:
        """Do something for a row, as a worker that may die of it."""
        try:
            with self.around(kind, row):
                action(row)
        except Died:
            self.died(kind, row)
        self.world.advance()

    def step(self, by: timedelta) -> None:
        """Let time pass, on all clocks."""
        self.time.now += by
        self.world.advance()

    def until_next(self) -> timedelta:
        """To the next instant at which something is owed; at least a second."""
        now = self.time.now
        dues = [_latest(*row) for owing in OWING for row in owing.rows()]
        if removing_fast.owed_at_all():
            removals = FastRemoval.objects.filter(next_action_at__isnull=False)
            dues += [
                _latest(*row) for row in removals.values_list("next_action_at", "retry_at", "lease_until")
            ]
        soonest = min(dues, default=now + LONGEST_STEP)
        return min(max(soonest - now + timedelta(milliseconds=1), LEAST_STEP), LONGEST_STEP)

    def quiet(self, *, most: int = 200) -> None:
        """Work and step on until nothing is owed now or within a few minutes."""
        for _ in range(most):
            if not self.work() and self.until_next() > timedelta(minutes=3):
                return
            wait = self.until_next()
            if wait > timedelta(minutes=3):
                return
            self.step(wait)
        raise AssertionError(f"never quiet: {self.describe()}")

    def scene(self, *, settled: bool = False, further: bool = False) -> Scene:
        """For the invariants. `further` reads the trail on from the last look, instead of from its beginning."""
        return Scene(
            self.world,
            self.calls,
            self.time.now,
            disturbed=frozenset(self.disturbed),
            excused=frozenset(self.excused),
            settled=settled,
            since=self.since,
            trail=self.trail if further else Trail(),
        )

    def describe(self) -> str:
        """Where things stand, for a failing test."""
        grants = [
            f"{g.person} {g.group}: {g.status} v{g.version} ends {g.ends_at:%H:%M} due {g.next_action_at} "
            f"retry {g.retry_at} lease {g.lease_until} {g.problem}"
            for g in Grant.objects.select_related("person", "group")
        ]
        decisions = [f"{d.verdict} {d.status} {d.reason}" for d in Decision.objects.all()]
        waivers = [f"waiver {w.status} {w.reason}" for w in Waiver.objects.all()]
        return "\n".join([f"now {self.time.now}", *grants, *decisions, *waivers])


@contextmanager
def fleet(
    as_role: AsRole,
    *,
    people: int,
    groups: int,
    approvers: int = 1,
    one_each: bool = False,
    looks: timedelta = LOOK_SELDOM,
    as_person: Collection[int] = (),
    seed: str = "",
    places: int | None = None,
) -> Iterator[Fleet]:
    """A fresh world in which everybody is eligible for every group (with `one_each`, each for their own).

    Approvers decide as members of a directory group, from which a play can take them. `looks` is how often
    (business time) a worker looks at what is ready. Groups of these numbers are activated as the person. `seed` is for
    who wants the same world again: its ids, and how long things take there. `places` is how many at a time the portal
    takes of the narrow path, where that isn't what the settings say.
    """
    with (
        _narrow_path(places) if places else nullcontext(),
        _at(BEGINNING) as time,
        _sealing_key() if as_person else nullcontext(),
    ):
        build = Builder(empty_world(_clock(time), seed=seed or f"fleet {next(_seeds)}"))
        made = _populate(build, people, groups, approvers, one_each=one_each)
        for number in as_person:
            set_mode(made[2][number][0].object_id, as_person=True, reason="PIM's own policy shall hold")
        with _running(time, build, as_role, made, looks) as found:
            yield found


@contextmanager
def _sealing_key() -> Iterator[None]:
    """A key pair of its own for people's tokens."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "keys.pem")
        public = add_key(path).text
        with override_settings(PERSONAL_TOKEN_PUBLIC_KEY=public, PERSONAL_TOKEN_KEYS_PATH=str(path)):
            yield


@contextmanager
def _narrow_path(places: int) -> Iterator[None]:
    """Entra lets through one more than the portal takes, for people who activate there."""
    with override_settings(NARROW_PATH_PLACES=places), patch.object(provisioning_job, "BUCKET", places + 1):
        yield


@contextmanager
def taken_up(as_role: AsRole, kept: dict[str, Any]) -> Iterator[Fleet]:
    """The world and the instant of a snapshot (`tests.upgrades.snapshot`), whose rows the database holds already."""
    with _at(datetime.fromisoformat(kept["now"])) as time:
        world = World(serial.load(State, kept["world"]), _clock(time))
        groups = [
            (PimGroup.objects.get(object_id=group_id), world.directory.group(group_id))
            for group_id in kept["managed"]
        ]
        made: _Made = ([], [], groups, None, None, None)
        with _running(time, Builder(world), as_role, made, LOOK_SELDOM) as found:
            found.since = time.now
            found.disturbed.update((person, group) for person, group in kept["disturbed"])
            yield found


@contextmanager
def _at(beginning: datetime) -> Iterator[Time]:
    """One stepped instant for all clocks."""
    time = Time(beginning)
    base_clock.replace_real_clock(lambda: time.now)
    before = base_clock.business_clock()
    base_clock.configure(BusinessClock(1.0, beginning, beginning))
    try:
        yield time
    finally:
        crash.install(None)
        base_clock.replace_real_clock(None)
        base_clock.configure(before)


def _clock(time: Time) -> WorldClock:
    return WorldClock(1.0, anchor_real=time.now, anchor_world=time.now, real=lambda: time.now)


@contextmanager
def _running(time: Time, build: Builder, as_role: AsRole, made: _Made, looks: timedelta) -> Iterator[Fleet]:
    """The ports over the world, seldom looks, and the broker in place of Celery's."""
    broker = Broker(lambda _row: False)
    built, calls = world_clients(build.world)
    found = Fleet(time, build.world, build, calls, as_role, broker, *made)
    calls.pause = lambda seconds: found.step(timedelta(seconds=seconds))
    with (
        using(built),
        cutters.using(removal=WorldRemoval(build.world, calls), denials=WorldDenials(build.world, calls)),
        _allow_list(*(group.id for _, group in found.groups)),
        _looking(()),
        patch.object(pacing, "SLOWEST_POLL", POLL_SELDOM),
        patch.object(personal, "LOOK_EVERY", LOOK_FOR_SIGN_IN),
        patch.object(extending, "LOOK_EVERY", looks),
        patch.object(provisioning, "LOOK_EVERY", looks),
        patch.object(proving, "WATCH_EVERY", LOOK_SELDOM),
        patch.object(Celery, "send_task", lambda _app, *args, **options: broker.send(*args, **options)),
    ):
        yield found


type _People = list[tuple[Person, User]]
type _Made = tuple[
    _People, _People, list[tuple[PimGroup, Group]], Group | None, Group | None, RuleVersion | None
]


def _populate(build: Builder, people: int, groups: int, approvers: int, *, one_each: bool) -> _Made:
    askers = [
        build.user(f"asker{n}@acme.example", f"Asker {n}", given_name="A", surname=f"No{n}")
        for n in range(people)
    ]
    bosses = [
        build.user(f"boss{n}@acme.example", f"Boss {n}", given_name="B", surname=f"No{n}")
        for n in range(approvers)
    ]
    opened = [build.group(f"AWS - Group {n}", assigned=True) for n in range(groups)]
    deciders, responders = build.group("Deciders"), build.group("Responders")
    everyone = build.group("AWS - All employees", assigned=True)
    for user in (*askers, *bosses):
        build.member(everyone, user)
    for user in bosses:
        build.member(deciders, user)
    for number, user in enumerate(askers):
        build.member(responders, user)
        for group in [opened[number]] if one_each else opened:
            build.eligible(group, user)
    build.provision()
    rows = [
        make.pim_group(
            group.display_name, object_id=group.id, store_group_id=build.store_group(group).id, accounts=1
        )
        for group in opened
    ]
    one, other = ([(_person(build, user), user) for user in users] for users in (askers, bosses))
    for number, (person, _) in enumerate(one):
        for group_row in [rows[number]] if one_each else rows:
            make.eligibility(person, group_row)
    return (
        one,
        other,
        list(zip(rows, opened, strict=True)),
        deciders,
        responders,
        _rule((deciders, [row for row, _ in other]), (responders, [row for row, _ in one])),
    )


def _person(build: Builder, user: User) -> Person:
    stored = build.world.identity_store.find_user_by_external_id(user.id)
    return make.person(
        user.display_name,
        object_id=user.id,
        user_principal_name=user.user_principal_name,
        store_user_id=stored.id if stored else "",
    )


def _rule(*known: tuple[Group, list[Person]]) -> RuleVersion:
    """One rule for every group: one member of the deciders agrees, and in an emergency responders go without.

    `known` are these two directory groups with their members, as the portal has read them.
    """
    for group, members in known:
        row = DirectoryGroup.objects.create(object_id=group.id, display_name=group.display_name)
        DirectoryMembership.objects.bulk_create(
            DirectoryMembership(group=row, person=person) for person in members
        )
    deciders, responders = (group for group, _ in known)
    document = {
        "groups": [],
        "stages": [{"people": [], "groups": [deciders.id], "quorum": 1}],
        "emergency": {
            "allowed": {"groups": [responders.id]},
            "longest_duration": duration_iso_string(LONGEST_EMERGENCY),
            "reviewers": {"groups": [deciders.id]},
        },
        "shortest_justification": 10,
        "reference_required": False,
        "lapses_after": "P1D",
    }
    rule = Rule.objects.create(name=f"deciders {deciders.id}")
    version = RuleVersion.objects.create(
        rule=rule,
        number=1,
        document=document,
        document_hash=document_hash(document),
        created_at=real_now(),
        created_by="tests",
    )
    Rule.objects.filter(pk=rule.pk).update(current=version)
    return version
