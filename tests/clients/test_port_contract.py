"""One contract for the client ports, kept by the simulated world in-process and by the real adapters over HTTP.

Every case of `tests/clients/ports/` runs twice: through `tests.support.world_clients`, which the life cycle's thousands of
tests stand on, and through msgraph-sdk and boto3 against the simulator's fronts. So what those tests believe of a port is
what the adapters do. A method of a port without a case fails.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from clients import ports
from clients.aws.cutting import Boto3MembershipRemoval, Boto3SessionDenials
from clients.aws.objects import Boto3Objects
from clients.limits import LocalLimiter
from tests.clients import test_simulated_personal
from tests.clients.ports import (
    denials,
    directory,
    identity_center,
    objects,
    organization,
    pim,
    provisioning,
    standing,
    trail,
)
from tests.clients.ports.cloud import CASES, Cloud
from tests.simulator.world.factory import small_world
from tests.support.aws_models import aws_caller
from tests.support.http_clients import UNPACED, http_clients
from tests.support.world_clients import Calls, world_clients
from tests.support.world_cutters import WorldDenials, WorldRemoval
from tests.support.world_objects import WorldObjects

# Imported for their cases.
OF_PORTS = (denials, directory, objects, pim, provisioning, identity_center, organization, trail, standing)
# Ports with a module of their own whose tests run both ways: people who sign in want the authority over HTTPS.
BOTH_WAYS = {"PersonalPim": test_simulated_personal}
# Ports that aren't about the clouds, and where they are tested instead.
ELSEWHERE = {
    "Notifier": "tells operators, not the clouds: tests/oversight/test_watching.py",
    "Postman": "writes to people, not to the clouds: tests/notifications/test_channels.py",
    "CallObserver": "is called by adapters, not asked",
}


@pytest.fixture(params=["in-process", "http"])
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    small = small_world()
    with ExitStack() as stack:
        if request.param == "in-process":
            found, calls = world_clients(small.world)
            counted = Calls(calls.made)
            yield Cloud(
                small,
                found,
                WorldRemoval(small.world, counted),
                WorldDenials(small.world, counted),
                lambda bucket: WorldObjects(small.world, counted, bucket),
            )
        else:
            folder = tmp_path_factory.getbasetemp() / "http-clients-keys"
            found, _ = stack.enter_context(http_clients(small.world, folder))
            center: Any = found.identity_center
            caller = center._caller
            region, unpaced = small.world.state.identity_center.region, LocalLimiter(UNPACED)
            objects_caller = aws_caller(region, unpaced, attempts=2, bucket="object-store")
            yield Cloud(
                small,
                found,
                Boto3MembershipRemoval(caller),
                Boto3SessionDenials(caller),
                lambda bucket: Boto3Objects(objects_caller, bucket),
            )


ALL = sorted(
    {function for functions in CASES.values() for function in functions}, key=lambda each: each.__name__
)


@pytest.mark.parametrize("check", ALL, ids=lambda each: each.__name__)
def test_contract(cloud: Cloud, check: Callable[[Cloud], None]) -> None:
    check(cloud)


PROTOCOLS = {
    name: port
    for name, port in vars(ports).items()
    if getattr(port, "_is_protocol", False) and name != "Protocol"
}


def methods(name: str) -> set[str]:
    found = inspect.getmembers(PROTOCOLS[name], inspect.isfunction)
    return {f"{name}.{method}" for method, _ in found if not method.startswith("_")}


def test_every_method_of_a_port_has_a_case() -> None:
    others = {*ELSEWHERE, *BOTH_WAYS}
    assert others <= set(PROTOCOLS)
    assert set(CASES) == set().union(*(methods(name) for name in set(PROTOCOLS) - others))


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_a_module_that_runs_both_ways_calls_every_method(name: str) -> None:
    module = BOTH_WAYS[name]
    both = inspect.getsource(module).partition('@pytest.fixture(params=["in_process", "over_http"])\n')[2]
    assert both.startswith("def cloud(")
    tests = [
        each
        for test, each in inspect.getmembers(module, inspect.isfunction)
        if test.startswith("test_") and "cloud" in inspect.signature(each).parameters
    ]
    text = "".join(inspect.getsource(each) for each in (module.Cloud, *tests))
    assert {each for each in methods(name) if f".personal.{each.partition('.')[2]}(" not in text} == set()
