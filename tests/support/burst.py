"""Many approvals at the same moment, on the simulated clock: what the world received, and when each is usable.

The real actions run against a world in this process; one second of its time is one pass of the sweeper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Min
from django.test import override_settings

from catalog.models import PimGroup
from clients.registry import clients, using
from clients.types import AssignmentOrder, OnDemandResult, PimRequest, Reading
from identity.models import Person
from requests_app.actions.deciding import check_decision, submit_decision
from requests_app.actions.sweeping import sweep
from requests_app.models import Grant
from simulator.sample.builder import Builder
from simulator.world.state import Group
from tests.requests_app import factories as make
from tests.support.stage import AsRole, Stage, stage

SECOND = timedelta(seconds=1)
# Often enough that a look costs no more than a few seconds of the time to usable.
POLLS = ((timedelta(minutes=3), timedelta(seconds=5)), (timedelta(days=1), timedelta(seconds=30)))
# One approval is counted this long after the other, so that each start is an instant of its own.
APART = timedelta(milliseconds=20)
NO_PACING = 100_000


@dataclass
class Log:
    """What the enterprise application received on its narrow path: when, and how many members it was for."""

    assigned: list[datetime] = field(default_factory=list)
    carried: list[tuple[datetime, int]] = field(default_factory=list)

    def all(self, *, assignments: bool = True) -> list[datetime]:
        """Instants in order."""
        return sorted([*(self.assigned if assignments else ()), *(at for at, _ in self.carried)])


def most_in(instants: Sequence[datetime], span: timedelta) -> int:
    """The most that fall into any half-open span of this length."""
    return max((sum(1 for at in instants if first <= at < first + span) for first in instants), default=0)


@dataclass
class _LoggedPim:
    inner: Any
    log: Log
    play: Stage

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def assign(self, order: AssignmentOrder, *, client_request_id: str) -> Reading[PimRequest]:
        self.log.assigned.append(self.play.time.now)
        answer: Reading[PimRequest] = self.inner.assign(order, client_request_id=client_request_id)
        return answer


@dataclass
class _LoggedProvisioning:
    inner: Any
    log: Log
    play: Stage

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def provision_on_demand(
        self, group_id: str, principal_ids: Sequence[str], *, client_request_id: str
    ) -> Reading[OnDemandResult]:
        self.log.carried.append((self.play.time.now, len(principal_ids)))
        answer: Reading[OnDemandResult] = self.inner.provision_on_demand(
            group_id, principal_ids, client_request_id=client_request_id
        )
        return answer


@contextmanager
def logged(play: Stage) -> Iterator[Log]:
    """Write down what goes along the narrow path, at the world's door."""
    log, ports = Log(), clients()
    wrapped = replace(
        ports,
        pim=_LoggedPim(ports.pim, log, play),
        provisioning=_LoggedProvisioning(ports.provisioning, log, play),
    )
    with using(wrapped):
        yield log


@dataclass(frozen=True)
class Crowd:
    """People who are eligible for one of the groups each, as rows and in the world."""

    members: Sequence[tuple[Person, PimGroup]]
    groups: Sequence[tuple[PimGroup, Group]]


def crowd(play: Stage, people: int, *, groups: int) -> Crowd:
    """So many people beside the stage's own, in turns eligible for the groups; the boss decides on all of them."""
    build = Builder(play.world)
    rows: list[tuple[PimGroup, Group]] = []
    for number in range(groups):
        there = build.group(f"AWS - Burst {number}", assigned=True)
        here = make.pim_group(there.display_name, object_id=there.id, accounts=1)
        rows.append((here, there))
    with Path(settings.PORTAL_MANAGED_GROUPS_FILE).open("a") as managed:
        managed.writelines(f"\n{there.id}" for _, there in rows)
    members: list[tuple[Person, PimGroup]] = []
    everyone = next(g for g in play.world.directory.groups() if g.display_name == "AWS - All employees")
    for number in range(people):
        here, there = rows[number % groups]
        user = build.user(
            f"p{number}@acme.example", f"Person {number}", given_name="Person", surname=f"{number}"
        )
        build.member(everyone, user)
        build.eligible(there, user)
        person = make.person(
            user.display_name,
            object_id=user.id,
            user_principal_name=user.user_principal_name,
            store_user_id="",
        )
        make.eligibility(person, here)
        members.append((person, here))
    build.provision()
    for here, there in rows:
        here.store_group_id = build.store_group(there).id
        PimGroup.objects.filter(pk=here.pk).update(store_group_id=here.store_group_id)
    for person, _ in members:
        stored = play.world.identity_store.find_user_by_external_id(person.object_id)
        Person.objects.filter(pk=person.pk).update(store_user_id=stored.id if stored else "")
    return Crowd(members, rows)


def approve_all(play: Stage, everybody: Crowd, *, duration: timedelta) -> None:
    """Everybody has asked, and the boss approves all at the same moment."""
    rule = make.rule(play.boss, groups=tuple(here for here, _ in everybody.groups))
    with play.as_role("portal_web"):
        for person, group in everybody.members:
            item = make.pending_item(person, group, rule, duration=duration)
            submit_decision(
                item_id=item.pk,
                approver_id=play.boss.pk,
                verdict="approve",
                comment="",
                shown=make.shown(item),
                actor=make.actor(play.boss),
            )


@dataclass(frozen=True)
class Burst:
    """What came of it."""

    usable_after: Sequence[timedelta]  # sorted, one per person: from the approval to the membership in AWS
    log: Log

    def share(self, part: float) -> timedelta:
        """The time within which this part (0 to 1) of the people had their access."""
        return self.usable_after[min(len(self.usable_after) - 1, int(part * len(self.usable_after)))]


def burst(
    as_role: AsRole,
    *,
    people: int = 30,
    groups: int = 6,
    paced: bool = True,
    on_demand: bool = True,
    fast_path: bool = True,
) -> Burst:
    """Approve `people` requests at once and play until everybody's access is in AWS.

    `fast_path`: whether the portal's assignments enjoy Entra's fast path (not established), whose five places in
    ten seconds they share with provisionOnDemand. `on_demand` off: the portal can't ask for provisioning.

    Raises AssertionError when somebody is without access after two hours.
    """
    with (
        override_settings(**({} if paced else {"NARROW_PATH_PLACES": NO_PACING})),
        stage(as_role, on_demand=on_demand, polls=POLLS) as play,
    ):
        play.world.switches.admin_assign_fast_path = fast_path
        everybody = crowd(play, people, groups=groups)
        with logged(play) as log:
            return Burst(_play_out(play, everybody), log)


def _until_next(play: Stage) -> timedelta:
    """To the next instant at which a grant or the world has something due; workers look once a second."""
    retries = Grant.objects.filter(retry_at__gt=play.time.now).aggregate(first=Min("retry_at"))["first"]
    dues = [at for at in (retries, *(due.at for due in play.world.state.due[:1])) if at is not None]
    wait = min(dues, default=play.time.now + 30 * SECOND) - play.time.now
    return min(max(wait, SECOND), 30 * SECOND)


def _play_out(play: Stage, everybody: Crowd) -> list[timedelta]:
    began = play.time.now
    approve_all(play, everybody, duration=timedelta(hours=3))
    for decision_id in sweep().decisions:
        check_decision(decision_id=decision_id)
        play.step(APART)
    there = {here.pk: here.store_group_id for here, _ in everybody.groups}
    missing, usable = list(everybody.members), []
    while missing and play.time.now < began + timedelta(hours=2):
        play.work()
        still = []
        for person, group in missing:
            stored = play.world.identity_store.find_user_by_external_id(person.object_id)
            if stored and play.world.identity_store.is_member(stored.id, there[group.pk]):
                usable.append(play.time.now - began)
            else:
                still.append((person, group))
        missing = still
        play.step(_until_next(play))
    assert not missing, f"{len(missing)} of {len(everybody.members)} never got access"
    return sorted(usable)
