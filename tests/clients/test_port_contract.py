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
from clients.aws.cutting import Boto3MembershipRemoval
from clients.ports import MembershipRemoval
from tests.clients.ports import directory, identity_center, organization, pim, provisioning, standing, trail
from tests.clients.ports.cloud import CASES, Cloud
from tests.simulator.world.factory import small_world
from tests.support.http_clients import http_clients
from tests.support.world_clients import Calls, world_clients
from tests.support.world_cutters import WorldRemoval

# Imported for their cases.
OF_PORTS = (directory, pim, provisioning, identity_center, organization, trail, standing)
# Ports that a process of its own uses, and where they are tested instead.
ELSEWHERE = {
    "SessionDenials": "writes policies, and has one adapter: tests/clients/test_simulated_cutting.py",
    "PersonalPim": "needs people who sign in: tests/clients/test_simulated_personal.py",
    "Notifier": "tells operators, not the clouds: tests/oversight/test_watching.py",
    "Postman": "writes to people, not to the clouds: tests/notifications/test_channels.py",
    "ObjectStore": "has no person in it, and one adapter: tests/clients/test_simulated_objects.py",
    "CallObserver": "is called by adapters, not asked",
}


@pytest.fixture(params=["in-process", "http"])
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    small = small_world()
    with ExitStack() as stack:
        if request.param == "in-process":
            found, calls = world_clients(small.world)
            removal: MembershipRemoval = WorldRemoval(small.world, Calls(calls.made))
        else:
            folder = tmp_path_factory.getbasetemp() / "http-clients-keys"
            found, _ = stack.enter_context(http_clients(small.world, folder))
            center: Any = found.identity_center
            removal = Boto3MembershipRemoval(center._caller)
        yield Cloud(small, found, removal)


ALL = sorted(
    {function for functions in CASES.values() for function in functions}, key=lambda each: each.__name__
)


@pytest.mark.parametrize("check", ALL, ids=lambda each: each.__name__)
def test_contract(cloud: Cloud, check: Callable[[Cloud], None]) -> None:
    check(cloud)


def test_every_method_of_a_port_has_a_case() -> None:
    protocols = {
        name: port
        for name, port in vars(ports).items()
        if getattr(port, "_is_protocol", False) and name != "Protocol"
    }
    methods = {
        f"{name}.{method}"
        for name, port in protocols.items()
        if name not in ELSEWHERE
        for method, _ in inspect.getmembers(port, inspect.isfunction)
        if not method.startswith("_")
    }
    assert set(CASES) == methods
    assert set(ELSEWHERE) <= set(protocols)
