"""Anything in any order: the machine of `tests.support.anything`, briefly here and at length in `make proof`."""

from __future__ import annotations

import itertools
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from pytest_django import DjangoDbBlocker

from audit.ledger.models import Event
from requests_app.lifecycle import DecisionStatus, GrantStatus
from requests_app.models import Decision, Grant
from tests.support import servers
from tests.support.anything import Anything
from tests.support.stage import AsRole

# Together 300 examples of 40 steps, in parts that run side by side.
PARTS, EXAMPLES, STEPS = 6, 50, 40
_numbers = itertools.count(1)


def machine(
    server: servers.PostgresServer, blocker: DjangoDbBlocker, as_role: AsRole, name: str
) -> type[Anything]:
    """The machine, each example of which has a database of its own, a clone of the migrated one."""

    def open_database(stack: ExitStack) -> None:
        database = f"{name}_{next(_numbers)}"
        server.clone(database)
        stack.callback(server.drop, database)
        stack.enter_context(blocker.unblock())
        stack.enter_context(servers.pointed_at(server, database, step_into=servers.DEFAULT_ROLE))

    class Machine(Anything):
        pass

    Machine.open_database = staticmethod(open_database)
    Machine.as_role = staticmethod(as_role)
    return Machine


def run(
    server: servers.PostgresServer,
    blocker: DjangoDbBlocker,
    as_role: AsRole,
    name: str,
    *,
    examples: int,
    steps: int,
    chosen: int | None = None,
    phases: tuple[Phase, ...] = (Phase.generate, Phase.shrink),
) -> None:
    """Let the machine do this many lives of this many steps: those of the number `chosen`, or others each time."""
    kind = machine(server, blocker, as_role, name)
    run_state_machine_as_test(
        kind if chosen is None else seed(chosen)(kind),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=True,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_few_examples(
    postgres_server: servers.PostgresServer,
    django_db_blocker: DjangoDbBlocker,
    as_role: AsRole,
    worker_id: str,
) -> None:
    run(
        postgres_server,
        django_db_blocker,
        as_role,
        f"anything_{worker_id}",
        examples=4,
        steps=25,
        chosen=PARTS,
        # Making a failure small takes longer than finding it by far; add Phase.shrink to have it small.
        phases=(Phase.generate,),
    )


@pytest.mark.proof
def test_an_example_that_chance_seldom_makes(
    postgres_server: servers.PostgresServer,
    django_db_blocker: DjangoDbBlocker,
    as_role: AsRole,
    worker_id: str,
) -> None:
    """The approver's right is lost between the click and the check, so nothing is granted."""
    one = machine(postgres_server, django_db_blocker, as_role, f"seldom_{worker_id}")()
    try:
        one.begin(0)
        one.submit(0, 0, 30, None)
        one.approve_the_newest(0)
        one.lose_approver(0)
        one.work_until_quiet()
        one.approvers_had_the_right_when_they_were_counted()
        one.all_invariants_hold()
        assert Decision.objects.get().status == DecisionStatus.REFUSED
    finally:
        one.teardown()


@pytest.mark.proof
@pytest.mark.parametrize("number", [1, 2])
def test_what_is_asked_for_again_waits_for_what_leaves(
    postgres_server: servers.PostgresServer,
    django_db_blocker: DjangoDbBlocker,
    as_role: AsRole,
    worker_id: str,
    number: int,
) -> None:
    """Ten minutes are too short for that: PIM keeps the earlier for its first five, and AWS until it is carried out."""
    one = machine(postgres_server, django_db_blocker, as_role, f"again_{worker_id}_{number}")()
    try:
        one.begin(0)
        one.submit(0, number, 90, None)
        one.approve_the_newest(0)
        one.work_until_quiet()
        one.advance(1)
        one.end(0)
        one.submit(0, number, 10, None)
        one.approve_the_newest(0)
        one.work_until_quiet()
        one.all_invariants_hold()
    finally:
        one.teardown()


@pytest.mark.proof
def test_what_is_revoked_before_provisioning_was_asked_for_never_arrives(
    postgres_server: servers.PostgresServer,
    django_db_blocker: DjangoDbBlocker,
    as_role: AsRole,
    worker_id: str,
) -> None:
    """A worker died behind PIM's yes: PIM lets go after five minutes, and Entra's cycle comes after that."""
    one = machine(postgres_server, django_db_blocker, as_role, f"revoked_{worker_id}")()
    try:
        one.begin(0)
        one.submit(0, 0, 10, None)
        one.approve_the_newest(0)
        one.crash("activating.before_settle", kept=False)
        one.revoke(0, 0)
        one.work_until_quiet()
        one.advance(6)
        one.work_until_quiet()
        one.advance(120)
        one.work_until_quiet()
        one.all_invariants_hold()
        grant = Grant.objects.get()
        assert (grant.status, grant.problem) == (
            GrantStatus.NEVER_ARRIVED,
            "It was revoked before AWS showed the membership.",
        )
    finally:
        one.teardown()


def told(one: Anything) -> list[tuple[str, object, object]]:
    """Live through a bit of everything that chance has a hand in, and give what the trail tells of it."""
    try:
        one.begin(7)
        one.fault("throttle", "graph.POST *", 1)
        one.fault("error", "graph.GET *", 3)
        for number in range(3):
            one.submit(number, number, 90, None)
            one.approve_the_newest(0)
        one.crash("write.answered", kept=True)
        one.work_until_quiet()
        one.advance(45)
        one.end(1)
        one.work_until_quiet()
        return [
            (event.type, event.grant_id, (event.data["business_at"], event.data.get("subject")))
            for event in Event.objects.order_by("id")
        ]
    finally:
        one.teardown()


@pytest.mark.proof
def test_the_same_life_comes_again(
    postgres_server: servers.PostgresServer,
    django_db_blocker: DjangoDbBlocker,
    as_role: AsRole,
    worker_id: str,
) -> None:
    """A failure that doesn't come again with the same steps is of little use."""
    kind = machine(postgres_server, django_db_blocker, as_role, f"same_{worker_id}")
    first = told(kind())
    assert first == told(kind())


@pytest.mark.proof
def test_an_approver_who_leaves_before_a_start_that_was_asked_for(
    postgres_server: servers.PostgresServer,
    django_db_blocker: DjangoDbBlocker,
    as_role: AsRole,
    worker_id: str,
) -> None:
    """The approver's right is lost between the approval and the start, hours later, so nothing is granted."""
    one = machine(postgres_server, django_db_blocker, as_role, f"leaves_{worker_id}")()
    try:
        one.begin(0)
        one.submit(0, 0, 30, 300)
        one.approve_the_newest(0)
        one.work_until_quiet()
        one.lose_approver(0)
        for minutes in (120, 120, 45, 6, 6, 6):
            one.advance(minutes)
            one.work_until_quiet()
            one.nothing_is_sent_on_the_word_of_somebody_who_may_not_decide_any_more()
            one.all_invariants_hold()
        grant = Grant.objects.get()
        assert grant.status == "not_granted"
        assert "doesn't stand any more" in grant.problem
    finally:
        one.teardown()


@pytest.mark.proof(about=80)
@pytest.mark.parametrize("part", range(PARTS))
def test_many_examples(
    postgres_server: servers.PostgresServer,
    django_db_blocker: DjangoDbBlocker,
    as_role: AsRole,
    worker_id: str,
    part: int,
) -> None:
    """The same ones in every run of the same code: what was proven of a change doesn't turn red by chance elsewhere."""
    many(postgres_server, django_db_blocker, as_role, f"anything_{worker_id}_{part}", chosen=part)


@pytest.mark.proof
@pytest.mark.marathon
@pytest.mark.parametrize("part", range(PARTS))
def test_others_each_time(
    postgres_server: servers.PostgresServer,
    django_db_blocker: DjangoDbBlocker,
    as_role: AsRole,
    worker_id: str,
    part: int,
) -> None:
    """To look for what the chosen ones miss; a failure prints how to have it again."""
    many(postgres_server, django_db_blocker, as_role, f"others_{worker_id}_{part}", chosen=None)


def many(
    server: servers.PostgresServer,
    blocker: DjangoDbBlocker,
    as_role: AsRole,
    name: str,
    *,
    chosen: int | None,
) -> None:
    """A part of the examples."""
    run(server, blocker, as_role, name, examples=EXAMPLES, steps=STEPS, chosen=chosen)
