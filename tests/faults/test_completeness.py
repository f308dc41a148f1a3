"""Thousands of random changes, with failures everywhere: in the end the trail has one event for each version, no more.

Rows are made and moved along any edge by any process, or people, workers and time do what comes, while statements fail,
commits fail and processes die at chance: at crash points, in the middle of a transaction, right before its end. What
failed or was refused has left neither change nor event.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import IntegrityError, OperationalError, ProgrammingError, connection
from django.db.models import F, Sum
from django_subatomic.db import transaction

from audit.ledger.models import Event, Version
from audit.ledger.unexplained import unexplained
from base import crash
from base.clock import business_now
from base.errors import DomainError
from identity.models import Person
from oversight.drift.writing import change
from oversight.models import Finding, FindingStatus
from requests_app.actions import freezing
from requests_app.actions.deciding import submit_decision
from requests_app.actions.ending import end_early, revoke
from requests_app.actions.moving import machine_of
from requests_app.actions.withdrawing import withdraw_item
from requests_app.deliberation.models import Remark
from requests_app.freezes.models import Freeze
from requests_app.lifecycle import DecisionStatus, GrantStatus, ItemStatus
from requests_app.models import AccessRequest, Decision, Grant, RequestItem
from requests_app.waivers.models import OwedReview, Waiver
from tests.pages.moving import WAY, decide
from tests.pages.moving import step as take
from tests.requests_app import factories as make
from tests.support import invariants
from tests.support.fleet import Fleet, fleet
from tests.support.replaying import differences
from tests.support.stage import AsRole, Died

PEOPLE, GROUPS, APPROVERS = 12, 3, 2
# How often, in one of so many, something fails when it is come to: a statement, a commit, a crash point.
SELDOM, OFTEN = (400, 60, 60), (60, 15, 15)


@dataclass
class Chance:
    """Failures at chance, and how many of each there were."""

    random: random.Random
    rates: tuple[int, int, int] = SELDOM
    armed: bool = False
    failed: Counter[str] = field(default_factory=Counter)

    def _strikes(self, one_in: int) -> bool:
        return self.armed and self.random.randrange(one_in) == 0

    def at_a_statement(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        """Around each statement: it fails, or the process dies, before it or right after it."""
        if not self._strikes(self.rates[0]):
            return execute(sql, *rest)
        if self.random.random() < 0.5:
            execute(sql, *rest)
        if self.random.random() < 0.5:
            self.failed["statement"] += 1
            raise OperationalError("The database went away.")
        self.failed["died in a transaction"] += 1
        raise Died("in a transaction")

    def at_a_point(self, reached: str) -> None:
        if self._strikes(self.rates[2]):
            self.failed["died at a point"] += 1
            raise Died(reached)

    def at_a_commit(self) -> None:
        if self._strikes(self.rates[1]):
            self.failed["commit"] += 1
            raise OperationalError("The database went away at the commit.")

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        commit = connection.commit

        def failing_commit() -> None:
            self.at_a_commit()
            commit()

        with (
            connection.execute_wrapper(self.at_a_statement),
            patch.object(connection, "commit", failing_commit),
        ):
            crash.install(self.at_a_point)
            try:
                yield
            finally:
                crash.install(None)

    @contextmanager
    def strikes(self, _kind: str = "", _row: UUID | None = None) -> Iterator[None]:
        """What fails in the body, fails; whoever did it is gone or sees an error, and nobody else."""
        self.armed = True
        try:
            yield
        except (OperationalError, Died):
            self.failed["whole actions"] += 1
        finally:
            self.armed = False


class People:
    """What people do, one thing at a time."""

    def __init__(self, play: Fleet, chance: Chance, operators: Sequence[Person]) -> None:
        self.play, self.chance, self.operators, self.refused = play, chance, operators, 0
        self.acts = (
            [self.ask] * 6 + [self.decide] * 8 + [self.withdraw, self.end, self.revoke] + [self.freeze]
        )

    def act(self) -> None:
        action = self.chance.random.choice(self.acts)
        with self.play.as_role("portal_web"), self.chance.strikes():
            try:
                action()
            except DomainError:
                self.refused += 1

    def ask(self) -> None:
        person, _ = self.chance.random.choice(self.play.people)
        group, _ = self.chance.random.choice(self.play.groups)
        assert self.play.rule
        minutes = self.chance.random.choice((10, 30, 90))
        make.pending_item(person, group, self.play.rule, duration=timedelta(minutes=minutes))

    def _any(self, rows: Any) -> Any:
        found = list(rows.order_by("-created_at", "pk")[:8])
        return self.chance.random.choice(found) if found else None

    def decide(self) -> None:
        item = self._any(RequestItem.objects.filter(status="pending"))
        boss, _ = self.chance.random.choice(self.play.approvers)
        if item is not None:
            submit_decision(
                item_id=item.pk,
                approver_id=boss.pk,
                verdict=self.chance.random.choice(("approve", "approve", "approve", "deny")),
                comment="Because",
                shown=make.shown(item),
                actor=make.actor(boss),
            )

    def withdraw(self) -> None:
        item = self._any(RequestItem.objects.filter(status="pending"))
        if item is not None:
            withdraw_item(item_id=item.pk, person_id=item.requester_id, actor=make.actor(item.requester))

    def end(self) -> None:
        grant = self._any(Grant.objects.all())
        if grant is not None:
            end_early(grant_id=grant.pk, person_id=grant.person_id, actor=make.actor(grant.person))

    def revoke(self) -> None:
        grant = self._any(Grant.objects.all())
        boss, _ = self.chance.random.choice(self.play.approvers)
        if grant is not None:
            revoke(grant_id=grant.pk, person_id=boss.pk, reason="Not any more", actor=make.actor(boss))

    def freeze(self) -> None:
        standing = Freeze.objects.filter(lifted_at=None).first()
        one, other = self.operators
        if standing is None:
            person, _ = self.chance.random.choice(self.play.people)
            freezing.freeze(
                kind=Freeze.Kind.PERSON,
                subject=person.object_id,
                person_id=one.pk,
                reason="The laptop was stolen",
                actor=make.actor(one),
            )
        else:
            freezing.lift(
                freeze_id=standing.pk, person_id=other.pk, reason="It was found", actor=make.actor(other)
            )


class Steps:
    """Any row of the life cycle, or a finding, one step along any edge, whoever may take it."""

    INSTANTS: Mapping[str, tuple[str, ...]] = {
        **{str(status): ("decided_at",) for status in ItemStatus},
        **{str(status): ("settled_at",) for status in (DecisionStatus.COUNTED, DecisionStatus.REFUSED)},
        **{str(status): instants for status, instants in WAY},
        str(GrantStatus.NOT_GRANTED): ("ended_at",),
        str(GrantStatus.CANCELLED): ("ended_at",),
        str(GrantStatus.NEVER_ARRIVED): ("ended_at",),
    }

    def __init__(self, chance: Chance, as_role: AsRole) -> None:
        self.chance, self.as_role = chance, as_role
        self.boss = make.person()
        self.people = [make.person() for _ in range(6)]
        self.groups = [make.pim_group(accounts=1) for _ in range(2)]
        self.rule = make.rule(self.boss, groups=tuple(self.groups))
        self.live: list[tuple[type[Any], UUID]] = []
        self.refused = 0

    def act(self) -> None:
        """Make a row, or take one a step; seldom as a process that may not."""
        action: Callable[[], object]
        if len(self.live) < 10 or self.chance.random.random() < 0.1:
            looks = self.chance.random.random() < 0.2
            role, action = ("portal_worker", self.look) if looks else ("portal_web", self.ask)
        else:
            role, action = self._step(self.chance.random.randrange(len(self.live)))
        if self.chance.random.random() < 0.1:
            role = "portal_web" if role == "portal_worker" else "portal_worker"
        with self.as_role(role), self.chance.strikes():
            try:
                action()
            except (DomainError, IntegrityError, ProgrammingError):
                self.refused += 1

    def ask(self) -> None:
        pick = self.chance.random.choice
        item = make.pending_item(pick(self.people), pick(self.groups), self.rule)
        self.live.append((RequestItem, item.pk))

    def look(self) -> None:
        pick = self.chance.random.choice
        self.live.append((Finding, make.finding(pick(self.people), pick(self.groups)).pk))

    def _step(self, at: int) -> tuple[str, Callable[[], object]]:
        """What can become of a row, and as which role; what nothing can become of any more is left alone from now on."""
        model, pk = self.live[at]
        row = model.objects.get(pk=pk)
        if isinstance(row, Finding):
            if row.status != FindingStatus.OPEN:
                del self.live[at]
                return self._step(self.chance.random.randrange(len(self.live)))
            return "portal_web", lambda: self._resolve(row)
        if isinstance(row, RequestItem) and row.status == ItemStatus.APPROVED:
            del self.live[at]
            return "portal_worker", lambda: self.live.append((Grant, make.scheduled_grant(row).pk))
        if (
            isinstance(row, RequestItem)
            and row.status == ItemStatus.PENDING
            and self.chance.random.random() < 0.3
        ):
            return "portal_web", lambda: self.live.append((Decision, make.submitted_decision(row, self.boss)))
        if (
            isinstance(row, RequestItem)
            and row.status == ItemStatus.PENDING
            and self.chance.random.random() < 0.2
        ):
            # Postgres wants as many words as the terms do.
            return "portal_worker", lambda: decide(row, self.boss, "approve", self.as_role)
        targets = sorted(machine_of(row).targets(row.status))
        if not targets:
            del self.live[at]
            return self._step(self.chance.random.randrange(len(self.live)))
        target = self.chance.random.choice(targets)
        edge = machine_of(row).edge(row.status, target)
        assert edge
        return f"portal_{min(edge.by)}", lambda: self._move(row, target)

    def _resolve(self, row: Finding) -> None:
        with transaction():
            change(
                row, FindingStatus.HANDLED, "drift.handled", actor=make.actor(self.boss), now=business_now()
            )

    def _move(self, row: Any, target: str) -> None:
        changes: dict[str, Any] = dict.fromkeys(self.INSTANTS.get(target, ()), business_now())
        if target == GrantStatus.REMOVING:
            changes["end_reason"] = "ended_early"
        if target == GrantStatus.DRAINING:
            changes["last_possible_use_at"] = business_now() + timedelta(hours=2)
        take(row, target, **changes)


def versions_of_rows() -> int:
    """How often anything has changed, by the rows alone."""
    counted = sum(
        rows.aggregate(n=Sum("version"))["n"] or 0
        for rows in (
            AccessRequest.objects.all(),
            RequestItem.objects.all(),
            Decision.objects.all(),
            Grant.objects.all(),
            Remark.objects.all(),
            Freeze.objects.all(),
            Waiver.objects.all(),
            OwedReview.objects.all(),
            Finding.objects.all(),
        )
    )
    return int(counted) + int(Grant.objects.aggregate(n=Sum(F("revision") - 1))["n"] or 0)


def compare(as_role: AsRole) -> None:
    """The trail with the rows, in every way there is."""
    told = Event.objects.filter(data__has_key="subject").count()
    assert versions_of_rows() == Version.objects.count() == told
    assert list(unexplained()) == []
    with as_role("portal_sealer"):
        assert not invariants.seal_is_sound()


def step_at_chance(as_role: AsRole, *, changes: int, rates: tuple[int, int, int], seed: int) -> Chance:
    """Take steps until so many were taken, failed or were refused."""
    chance = Chance(random.Random(seed), rates)
    steps = Steps(chance, as_role)
    with chance.everywhere():
        for _ in range(changes):
            steps.act()
    compare(as_role)
    assert Version.objects.count() > changes // 2
    assert steps.refused > changes // 50
    return chance


def live_at_chance(as_role: AsRole, *, changes: int, seed: int) -> Chance:
    """Let everybody act, against simulated clouds, until so much has changed."""
    chance = Chance(random.Random(seed))
    with fleet(as_role, people=PEOPLE, groups=GROUPS, approvers=APPROVERS) as play:
        operators = [make.person(f"Operator {n}", employee_id=f"E900{n}") for n in range(2)]
        with as_role("portal_web"):
            for operator in operators:
                make.login(operator, "Operator")
        people = People(play, chance, operators)
        play.around = chance.strikes
        with chance.everywhere():
            while Version.objects.count() < changes:
                for _ in range(chance.random.randrange(1, 12)):
                    people.act()
                play.work()
                play.step(timedelta(minutes=chance.random.choice((1, 5, 20))))
        compare(as_role)
        assert differences() == []  # of the windows, too, which mere steps tell nothing true of
    return chance


@pytest.mark.usefixtures("committed_db")
def test_two_hundred_changes_and_failures_leave_one_event_for_each_version(as_role: AsRole) -> None:
    assert step_at_chance(as_role, changes=200, rates=OFTEN, seed=1).failed.total() >= 10


@pytest.mark.proof
@pytest.mark.usefixtures("committed_db")
def test_ten_thousand_changes_and_failures_leave_one_event_for_each_version(as_role: AsRole) -> None:
    chance = step_at_chance(as_role, changes=10_000, rates=SELDOM, seed=2)
    assert all(chance.failed[kind] >= 20 for kind in ("statement", "commit", "died in a transaction")), (
        chance.failed
    )


@pytest.mark.proof
@pytest.mark.usefixtures("committed_db")
def test_lives_with_deaths_at_every_crash_point_leave_one_event_for_each_version(as_role: AsRole) -> None:
    chance = live_at_chance(as_role, changes=500, seed=3)
    assert chance.failed["died at a point"] >= 5, chance.failed
