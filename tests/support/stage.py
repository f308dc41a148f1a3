"""A stage for the life cycle: a small world behind the ports, one time for everything, real PostgreSQL.

The product's actions run as they are. Only time is made: one stepped instant serves as real time,
business time and the world's time, so that a grant of an hour plays in milliseconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from tempfile import NamedTemporaryFile
from unittest.mock import patch
from uuid import UUID

from django.test import override_settings

from audit.ledger.models import Event, Version
from base import clock as base_clock
from base import crash
from base.clock import BusinessClock
from catalog.models import PimGroup
from clients import cutters
from clients.registry import using
from identity.models import Person
from policy.models import RuleVersion
from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciding import check_decision, submit_decision
from requests_app.actions.ending import end_early
from requests_app.actions.steps import pacing
from requests_app.actions.sweeping import sweep
from requests_app.cutting import planning, removing, severing
from requests_app.cutting.models import FastRemoval, SeveringPlace
from requests_app.lifecycle import DECISION, GRANT, ITEM, TERMINAL, DecisionStatus
from requests_app.models import Decision, Grant, RequestItem
from simulator.sample.builder import Builder, empty_world
from simulator.world.clock import WorldClock
from simulator.world.state import Group, User
from simulator.world.world import World
from tests.requests_app import factories as make
from tests.support.world_clients import Calls, world_clients
from tests.support.world_cutters import WorldDenials, WorldRemoval

type AsRole = Callable[[str], AbstractContextManager[None]]

BEGINNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_seeds = itertools.count(1)


class Died(BaseException):
    """The process died here: not an Exception, so that nothing in the product catches it."""


@dataclass
class Time:
    """The one instant of a stage."""

    now: datetime = BEGINNING


@dataclass
class Stage:
    """Everything that a play needs, and its verbs."""

    time: Time
    world: World
    calls: Calls
    as_role: AsRole
    asker: Person
    boss: Person
    group: PimGroup
    world_asker: User
    world_group: Group
    rule: RuleVersion
    cutters_run: bool = True  # whether remover and severer take part in `work`

    # ------------------------------------------------------------ people

    def ask(self, *, duration: timedelta = timedelta(hours=1)) -> RequestItem:
        """The asker asks, in the browser."""
        with self.as_role("portal_web"):
            return make.pending_item(self.asker, self.group, self.rule, duration=duration)

    def decide(self, item: RequestItem, verdict: str = "approve", *, who: Person | None = None) -> UUID:
        """Somebody (by default the boss) decides, in the browser."""
        approver = who or self.boss
        comment = "" if verdict == "approve" else "Not needed for this"
        with self.as_role("portal_web"):
            return submit_decision(
                item_id=item.pk,
                approver_id=approver.pk,
                verdict=verdict,
                comment=comment,
                shown=make.shown(item),
                actor=make.actor(approver),
            )

    def finish_early(self, grant: Grant) -> None:
        """The asker is done, in the browser."""
        with self.as_role("portal_web"):
            end_early(grant_id=grant.pk, person_id=self.asker.pk, actor=make.actor(self.asker))

    def grant(self) -> Grant:
        """The newest grant. Raises Grant.DoesNotExist."""
        return (
            Grant.objects.filter(person=self.asker, group=self.group)
            .select_related("person", "group")
            .latest("created_at")
        )

    # ------------------------------------------------------------ the machine

    def work(self) -> int:
        """One pass of the sweeper: everything that is owed now."""
        self.world.advance()
        owed = sweep()
        for decision_id in owed.decisions:
            for grant_id in check_decision(decision_id=decision_id):
                advance_grant(grant_id=grant_id)
        for grant_id in owed.grants:
            advance_grant(grant_id=grant_id)
        return len(owed.decisions) + len(owed.grants) + (self.cut() if self.cutters_run else 0)

    def cut(self) -> int:
        """One pass of remover and severer, each with its own rights: what they owe where their settings are on."""
        with self.as_role("portal_remover"):
            removals = removing.owed()
            for removal_id in removals:
                removing.remove_fast(removal_id=removal_id)
        if not planning.is_on() and not SeveringPlace.objects.exists():
            return len(removals)
        with self.as_role("portal_severer"):
            places = severing.owed()
            for place_id in places:
                severing.sever(place_id=place_id)
        return len(removals) + len(places)

    def step(self, by: timedelta) -> None:
        """Let time pass, on all clocks."""
        self.time.now += by
        self.world.advance()

    def work_until_it_dies(self, point: str, *, every: timedelta = timedelta(seconds=1)) -> None:
        """Work, time passing in between, until the worker dies at its first passing of this crash point."""

        def die(reached: str) -> None:
            if reached == point:
                raise Died(reached)

        crash.install(die)
        try:
            for _ in range(200):
                self.work()
                self.step(every)
        except Died:
            return
        finally:
            crash.install(None)
        raise AssertionError(f"{point} was never passed; {self.describe()}")

    def play(self, until: Callable[[], bool], *, at_most: timedelta = timedelta(days=2)) -> None:
        """Work and let time pass to the next thing due, until something holds. Raises AssertionError when it never does."""
        last = self.time.now + at_most
        while not until():
            if self.time.now >= last:
                raise AssertionError(f"never happened within {at_most}; {self.describe()}")
            self.work()
            if not until():
                self.step(self._until_next())

    def play_to(self, *statuses: str) -> Grant:
        """Play until the newest grant has one of these statuses."""
        self.play(lambda: self._status() in statuses)
        return self.grant()

    def play_out(self) -> Grant:
        """Play until nothing more is owed to the newest grant."""
        return self.play_to(*TERMINAL)

    def _status(self) -> str:
        newest = Grant.objects.filter(person=self.asker, group=self.group).order_by("-created_at").first()
        return newest.status if newest else ""

    def _until_next(self) -> timedelta:
        """To the next instant at which anything is due, at least a tenth of a second, at most ten minutes."""
        now, soon = self.time.now, timedelta(milliseconds=100)
        grants = Grant.objects.filter(next_action_at__isnull=False, person=self.asker)
        decisions = Decision.objects.filter(status=DecisionStatus.SUBMITTED, item__requester=self.asker)
        owed = self.cutters_run and removing.owed_at_all()
        removals = [
            *(FastRemoval.objects.filter(next_action_at__isnull=False) if owed else ()),
            *(SeveringPlace.objects.filter(next_action_at__isnull=False) if self.cutters_run else ()),
        ]
        dues = [
            *(due.at for due in self.world.state.due[:1]),
            *(_latest(row.next_action_at, row.retry_at, row.lease_until) for row in grants),
            *(_latest(row.next_action_at, row.retry_at, row.lease_until) for row in removals),
            *(_latest(row.submitted_at, row.retry_at, row.lease_until) for row in decisions),
        ]
        later = [due for due in dues if due > now]
        wait = min(later) - now + soon if later else soon
        return soon if any(due <= now for due in dues) else min(max(wait, soon), timedelta(minutes=10))

    def describe(self) -> str:
        """Where things stand, for a failing test."""
        rows = [
            f"{g.status} v{g.version} due {g.next_action_at} retry {g.retry_at} lease {g.lease_until} {g.problem}"
            for g in Grant.objects.filter(person=self.asker)
        ]
        decisions = [
            f"{d.verdict} {d.status} {d.reason}" for d in Decision.objects.filter(item__requester=self.asker)
        ]
        return f"now {self.time.now}; grants {rows}; decisions {decisions}"

    # ------------------------------------------------------------ what the world shows

    def in_entra(self) -> bool:
        """Whether the membership is in Entra now."""
        self.world.advance()
        return self.world.directory.is_member(self.world_group.id, self.world_asker.id)

    def in_aws(self) -> bool:
        """Whether the membership is in IAM Identity Center now."""
        self.world.advance()
        return self.world.identity_store.is_member(self.asker.store_user_id, self.group.store_group_id)

    def assignments_made(self) -> int:
        """How many assignments of the asker PIM ever made in this group."""
        return sum(
            1
            for row in self.world.state.schedules.values()
            if row.kind == "assignment"
            and row.group_id == self.world_group.id
            and row.principal_id == self.world_asker.id
        )


def _latest(*instants: datetime | None) -> datetime:
    return max(instant for instant in instants if instant is not None)


def check_invariants(play: Stage, item: RequestItem) -> None:
    """What holds after a request of this stage came to its end; `tests.support.invariants` has those of a whole world."""
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


@contextmanager
def stage(
    as_role: AsRole,
    *,
    eligible_for: timedelta | None = None,
    on_demand: bool = True,
    polls: tuple[tuple[timedelta, timedelta], ...] = (),
) -> Iterator[Stage]:
    """A fresh world with an asker, a boss and a group; rows for them; clocks that stand until stepped.

    `polls` says how often a worker looks while young; by default it looks every ten minutes, which plays faster.
    """
    time = Time()
    base_clock.replace_real_clock(lambda: time.now)
    before = base_clock.business_clock()
    base_clock.configure(BusinessClock(1.0, BEGINNING, BEGINNING))
    try:
        clock = WorldClock(1.0, anchor_real=BEGINNING, anchor_world=BEGINNING, real=lambda: time.now)
        build = Builder(empty_world(clock, seed=f"stage {next(_seeds)}"))
        world = build.world
        asker = build.user("ada@acme.example", "Ada Asker", given_name="Ada", surname="Asker")
        boss = build.user("ben@acme.example", "Ben Boss", given_name="Ben", surname="Boss")
        group = build.group("AWS - Amazon EC2 Admin", assigned=True)
        everyone = build.group("AWS - All employees", assigned=True)
        build.member(everyone, asker)
        build.member(everyone, boss)
        build.eligible(group, asker, ends_in=eligible_for)
        build.provision()
        built, calls = world_clients(world)
        if not on_demand:
            world.faults.add("graph.POST provisionOnDemand", "error", count=None)
        rows = _rows(world, build, asker, boss, group)
        with (
            using(built),
            cutters.using(removal=WorldRemoval(world, calls), denials=WorldDenials(world, calls)),
            _allow_list(group.id),
            _looking(polls),
        ):
            yield Stage(time, world, calls, as_role, *rows[:3], asker, group, rows[3])
    finally:
        crash.install(None)
        base_clock.replace_real_clock(None)
        base_clock.configure(before)


@contextmanager
def _looking(polls: tuple[tuple[timedelta, timedelta], ...]) -> Iterator[None]:
    with patch.multiple(pacing, POLLS=polls, SLOWEST_POLL=timedelta(minutes=10)):
        yield


@contextmanager
def _allow_list(*group_ids: str) -> Iterator[None]:
    with NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(group_ids))
        file.flush()
        with override_settings(PORTAL_MANAGED_GROUPS_FILE=file.name):
            yield


def _rows(
    world: World, build: Builder, asker: User, boss: User, group: Group
) -> tuple[Person, Person, PimGroup, RuleVersion]:
    """What catalogue sync would have written."""

    def person(user: User) -> Person:
        stored = world.identity_store.find_user_by_external_id(user.id)
        return make.person(
            user.display_name,
            object_id=user.id,
            user_principal_name=user.user_principal_name,
            store_user_id=stored.id if stored else "",
        )

    one, other = person(asker), person(boss)
    row = make.pim_group(
        group.display_name, object_id=group.id, store_group_id=build.store_group(group).id, accounts=1
    )
    make.eligibility(one, row)
    return one, other, row, make.rule(other, groups=(row,))
