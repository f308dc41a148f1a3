"""Real workers, killed with SIGKILL between two steps, against the simulator over HTTP and a real database.

The process that dies is `manage.py sweep` as it runs in production; nothing of it gets a last word.
Afterwards plain sweeps finish what it left. Time stands still on both sides and is stepped by the
test; a lease of the dead is let run out by setting it back.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models import F
from django.test import override_settings

from audit.ledger.models import Event, Version
from base import clock as base_clock
from base import crash
from base.clock import BusinessClock
from clients import registry
from clients.registry import Clients
from requests_app.actions.deciding import submit_decision
from requests_app.actions.ending import end_early
from requests_app.lifecycle import DECISION, GRANT, ITEM, TERMINAL, DecisionStatus
from requests_app.management.commands.sweep import Command as Sweep
from requests_app.models import Attempt, Decision, Grant, RequestItem
from tests.clients.test_simulator_process import environment, managed_groups
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.simulator.process import ROOT, SimulatorProcess, simulator_process
from tests.support.servers import PostgresServer

# So slow that a process sees no time pass; the test moves the anchor.
STANDING = 1e-6
MOMENT = timedelta(seconds=1)
KILLED = -signal.SIGKILL
ADMIN_ASSIGN = "adminassign"

# The points where something outside has just happened, or is about to; the others are proof.
MAIN = frozenset(
    {
        "write.answered",
        "deprovisioning.before_settle",
    }
)
ACTIVATION = ("deciding", "advancing", "starting", "activating", "write", "provisioning")
REMOVAL = ("ending", "removing", "deprovisioning")
WHEN_GIVEN_BACK = ("write.intent_recorded", "write.answered", "removing.looked", "removing.settled")


@dataclass
class Portal:
    """The portal's rows, the simulated clouds over HTTP, and one time for both."""

    simulator: SimulatorProcess
    ports: Clients
    variables: dict[str, str]
    as_role: AsRole
    item: RequestItem

    def set_clock(self) -> None:
        """Business time here is the world's, a moment behind: what begins now has begun there."""
        now = datetime.fromisoformat(self.simulator.control("GET", "/clock")["now"]) - MOMENT
        base_clock.configure(BusinessClock(STANDING, datetime.now(UTC), now))

    def step(self, by: timedelta) -> None:
        """Time passes on both sides."""
        self.simulator.control("POST", "/clock/advance", {"seconds": max(by.total_seconds(), 0.0)})
        self.set_clock()

    def die_at(self, point: str) -> None:
        """A worker's pass, in a process of its own, that is killed at a point."""
        clock = base_clock.business_clock()
        result = subprocess.run(
            [sys.executable, "manage.py", "sweep"],
            cwd=ROOT,
            env={
                **os.environ,
                **self.variables,
                "PORTAL_CRASH_AT": point,
                "BUSINESS_CLOCK_FACTOR": str(STANDING),
                "BUSINESS_CLOCK_ANCHOR_REAL": clock.anchor_real.isoformat(),
                "BUSINESS_CLOCK_ANCHOR_BUSINESS": base_clock.business_now().isoformat(),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == KILLED, f"{point} was not passed:\n{result.stdout}{result.stderr}"

    def leases_run_out(self) -> None:
        """Real time passes: what the dead held is free, every pause is over, and what was sent is long ago."""
        Attempt.objects.update(started_at=F("started_at") - timedelta(minutes=2))
        Grant.objects.filter(next_action_at__isnull=False).update(lease_until=None, retry_at=None)
        Decision.objects.filter(status=DecisionStatus.SUBMITTED).update(lease_until=None, retry_at=None)

    def sweep(self) -> None:
        """A plain pass."""
        self.leases_run_out()
        call_command(Sweep(), stdout=StringIO())

    def grant(self) -> Grant:
        return Grant.objects.select_related("person", "group").get()

    def play_to(self, *statuses: str) -> None:
        """Plain passes, and time in between, until the grant has one of these statuses."""
        for _ in range(80):
            grant = Grant.objects.first()
            if grant is not None and grant.status in statuses:
                return
            self.sweep()
            grant = Grant.objects.first()
            if grant is None or grant.status in statuses:
                continue
            due = (grant.next_action_at or base_clock.business_now()) - base_clock.business_now()
            self.step(due + MOMENT if due > timedelta(0) else timedelta(minutes=15))
        grant = self.grant()
        raise AssertionError(f"stays {grant.status} (due {grant.next_action_at}): {grant.problem}")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with simulator_process(tmp_path_factory.mktemp("killed") / "world", "--clock", "stepped") as running:
        yield running


@pytest.fixture
def portal(
    simulator: SimulatorProcess,
    postgres_server: PostgresServer,
    committed_db: str,
    as_role: AsRole,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Portal]:
    """Somebody eligible has asked and an approver has agreed; no worker has looked at it yet."""
    clouds = environment(simulator.said)
    for name, value in clouds.items():
        monkeypatch.setenv(name, value)
    registry.forget()
    ports = registry.clients()
    before = base_clock.business_clock()
    managed = simulator.said["managed_groups_file"]
    variables = {
        **clouds,
        **postgres_server.environment("worker", committed_db),
        "PORTAL_MANAGED_GROUPS_FILE": managed,
    }
    try:
        with override_settings(PORTAL_MANAGED_GROUPS_FILE=managed):
            made = Portal(simulator, ports, variables, as_role, RequestItem())
            made.set_clock()
            _somebody_asks(made)
            yield made
    finally:
        crash.install(None)
        base_clock.configure(before)
        ports.directory._caller.close()  # type: ignore[attr-defined]  # the Entra adapters share this caller
        registry.forget()


def _somebody_asks(portal: Portal) -> None:
    group_id, person_id = _free_pair(portal)
    store_group = next(
        each for each in portal.ports.identity_center.groups().value if group_id in each.external_ids
    )
    user = portal.ports.directory.read_user(person_id).value
    assert user is not None
    stranger = next(
        row["oid"]
        for row in portal.simulator.control("GET", "/people")
        if row["enabled"]
        and row["oid"] != person_id
        and row["tenant_id"] == portal.simulator.said["tenant_id"]
    )
    asker = make.person(
        user.display_name,
        object_id=person_id,
        user_principal_name=user.user_principal_name,
        store_user_id="",
    )
    boss = make.person("Ben Boss", object_id=stranger)
    group = make.pim_group("AWS - Under test", object_id=group_id, store_group_id=store_group.group_id)
    make.eligibility(asker, group)
    rule = make.rule(boss)
    with portal.as_role("portal_web"):
        portal.item = make.pending_item(asker, group, rule)
        submit_decision(
            item_id=portal.item.pk,
            approver_id=boss.pk,
            verdict="approve",
            comment="",
            shown=make.shown(portal.item),
            actor=make.actor(boss),
        )


_used: set[tuple[str, str]] = set()


def _free_pair(portal: Portal) -> tuple[str, str]:
    """A plain group and somebody directly eligible for it whom no test before had in it."""
    ports = portal.ports
    carried = ports.directory.application_groups().value
    later = base_clock.business_now() + timedelta(days=30)
    for group_id in managed_groups(portal.simulator.said):
        if group_id not in carried:
            continue
        policy = ports.pim.group_policy(group_id).value
        if policy.requires_mfa or policy.requires_ticket or policy.requires_approval:
            continue
        if policy.authentication_context or policy.activation_maximum < timedelta(hours=1):
            continue
        for eligibility in ports.pim.group_eligibilities(group_id).value:
            pair = group_id, eligibility.principal_id
            if pair in _used or (eligibility.ends_at or later) < later:
                continue
            user = ports.directory.read_user(pair[1]).value
            if (
                user is None
                or not user.enabled
                or ports.pim.assignments(group_id, principal_id=pair[1]).value
            ):
                continue
            _used.add(pair)
            return pair
    pytest.fail("the sample organisation has nobody left who could ask")


def check_the_end(portal: Portal) -> None:
    """What holds at the end, whenever the worker died."""
    grant = portal.grant()
    group_id, person_id = grant.group.object_id, grant.person.object_id
    assert grant.status == "ended"
    assert grant.ends_at - grant.starts_at == portal.item.duration
    asked = [
        row
        for row in portal.ports.pim.requests(group_id, person_id).value
        if row.action.lower() == ADMIN_ASSIGN
    ]
    assert len(asked) == 1, "PIM has more than one assignment of ours"
    assert asked[0].tag == grant.tag
    assert asked[0].ends_at == grant.ends_at
    assert portal.ports.pim.assignments(group_id, principal_id=person_id).value == ()
    state = portal.simulator.control("GET", "/state")
    shown = next(row for row in state["groups"] if row["id"] == group_id)
    assert grant.person.user_principal_name not in [*shown["entra"], *shown["identity_store"]]
    for machine, row in (
        (ITEM, RequestItem.objects.get()),
        (DECISION, Decision.objects.get()),
        (GRANT, grant),
    ):
        versions = Version.objects.filter(subject_kind=machine.subject, subject_id=row.pk)
        assert sorted(versions.values_list("version", flat=True)) == list(range(1, row.version + 1))
        events = {edge.event for edge in machine.edges}
        recorded = Event.objects.filter(request_id=portal.item.request_id, type__in=events)
        assert recorded.count() == row.version, f"{machine.subject}: one event a version"


def points(prefixes: tuple[str, ...], main: frozenset[str]) -> list[object]:
    """Every point of these modules; those that aren't main run in the proof tier."""
    return [
        pytest.param(point, marks=() if point in main else pytest.mark.proof)
        for point in crash.registered()
        if point.partition(".")[0] in prefixes
    ]


@pytest.mark.parametrize("point", points(ACTIVATION, MAIN))
def test_killed_while_activating(portal: Portal, point: str) -> None:
    portal.die_at(point)
    portal.play_to("active")
    portal.play_to(*TERMINAL)
    check_the_end(portal)


@pytest.mark.parametrize("point", points(REMOVAL, MAIN))
def test_killed_while_removing(portal: Portal, point: str) -> None:
    portal.play_to("active")
    portal.step(portal.grant().ends_at - base_clock.business_now() + MOMENT)
    portal.die_at(point)
    portal.play_to(*TERMINAL)
    check_the_end(portal)


@pytest.mark.proof
@pytest.mark.parametrize("point", WHEN_GIVEN_BACK)
def test_killed_while_taking_back_what_was_given_back(portal: Portal, point: str) -> None:
    portal.play_to("active")
    portal.step(timedelta(minutes=6))
    grant = portal.grant()
    with portal.as_role("portal_web"):
        end_early(grant_id=grant.pk, person_id=grant.person_id, actor=make.actor(grant.person))
    portal.die_at(point)
    portal.play_to(*TERMINAL)
    check_the_end(portal)
    ended = portal.grant()
    assert ended.out_of_entra_at is not None
    assert ended.out_of_entra_at < ended.ends_at


@pytest.mark.proof
@pytest.mark.parametrize("point", points(("draining",), frozenset()))
def test_killed_while_proving_the_end(portal: Portal, point: str) -> None:
    portal.play_to("draining")
    due = portal.grant().next_action_at
    assert due is not None
    portal.step(due - base_clock.business_now() + MOMENT)
    portal.die_at(point)
    portal.play_to(*TERMINAL)
    check_the_end(portal)


@pytest.mark.parametrize("mode", ["production", "demo"])
def test_no_process_obeys_outside_the_tests(mode: str) -> None:
    point = crash.registered()[0]
    try:
        crash.obey({"PORTAL_CRASH_AT": point}, mode=mode)
        crash.crash_point(point)
    finally:
        crash.install(None)
