"""Anything in any order: the machine of `tests.support.anything`, briefly here and at length in `make proof`."""

from __future__ import annotations

import itertools
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from pytest_django import DjangoDbBlocker

from requests_app.lifecycle import DecisionStatus
from requests_app.models import Decision
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
    derandomize: bool,
    phases: tuple[Phase, ...] = (Phase.generate, Phase.shrink),
) -> None:
    """Let the machine do this many lives of this many steps."""
    run_state_machine_as_test(
        machine(server, blocker, as_role, name),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=derandomize,
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
        derandomize=True,
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
@pytest.mark.parametrize("part", range(PARTS))
def test_many_examples(
    postgres_server: servers.PostgresServer,
    django_db_blocker: DjangoDbBlocker,
    as_role: AsRole,
    worker_id: str,
    part: int,
) -> None:
    """Other examples in every run; a failure prints how to have it again."""
    run(
        postgres_server,
        django_db_blocker,
        as_role,
        f"anything_{worker_id}_{part}",
        examples=EXAMPLES,
        steps=STEPS,
        derandomize=False,
    )
