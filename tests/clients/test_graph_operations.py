"""The table of Graph operations that the product uses is what its adapters really send."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

import pytest

from clients import ports
from clients.entra.operations import OPERATIONS, used
from simulator.entra.graph.exchange import Exchange
from tests.clients.test_simulated_graph import Adapters, order, removal
from tests.simulator.entra.graph.running import RunningGraph, running_graph
from tests.simulator.entra.graph.small_world import ADA, ADMINS, TEAM
from tests.support.graph_contract import GraphContract, document

PORTS = (
    *(ports.EntraDirectory, ports.EntraPim, ports.EntraProvisioning, ports.EntraStanding),
    ports.PersonalPim,
)
# Needs people who sign in: tests/clients/test_simulated_personal.py::test_each_method_sends_what_the_table_says
PERSONAL = "PersonalPim."

CALLS: dict[str, Callable[[Adapters], object]] = {
    "EntraDirectory.read_user": lambda entra: entra.directory.read_user(ADA),
    "EntraDirectory.read_manager": lambda entra: entra.directory.read_manager(ADA),
    "EntraDirectory.read_groups": lambda entra: entra.directory.read_groups([ADMINS]),
    "EntraDirectory.read_members": lambda entra: [
        entra.directory.read_members(TEAM, transitive=each) for each in (False, True)
    ],
    "EntraDirectory.read_owners": lambda entra: entra.directory.read_owners(ADMINS),
    "EntraDirectory.application_groups": lambda entra: entra.directory.application_groups(),
    "EntraPim.group_eligibilities": lambda entra: entra.pim.group_eligibilities(ADMINS),
    "EntraPim.principal_eligibilities": lambda entra: entra.pim.principal_eligibilities(ADA),
    "EntraPim.group_policy": lambda entra: entra.pim.group_policy(ADMINS),
    "EntraPim.assignments": lambda entra: entra.pim.assignments(ADMINS, principal_id=ADA),
    "EntraPim.requests": lambda entra: entra.pim.requests(ADMINS, ADA),
    "EntraPim.assign": lambda entra: entra.pim.assign(order(), client_request_id="one"),
    "EntraPim.extend": lambda entra: entra.pim.extend(order(), client_request_id="three"),
    "EntraPim.remove": lambda entra: entra.pim.remove(removal(), client_request_id="two"),
    "EntraStanding.identity": lambda entra: entra.standing.identity(),
    "EntraProvisioning.job": lambda entra: entra.provisioning.job(),
    "EntraProvisioning.provision_on_demand": lambda entra: entra.provisioning.provision_on_demand(
        ADMINS, [ADA], client_request_id="three"
    ),
}


@pytest.fixture
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGraph]:
    with running_graph(tmp_path_factory.getbasetemp() / "clients-graph-keys") as running:
        yield running


def methods() -> set[str]:
    """Every method of the ports through which Graph is called."""
    return {
        f"{port.__name__}.{name}"
        for port in PORTS
        for name, _ in inspect.getmembers(port, inspect.isfunction)
        if not name.startswith("_")
    }


def test_every_method_of_the_ports_is_in_the_table() -> None:
    assert set(OPERATIONS) == methods()
    assert set(CALLS) == {method for method in methods() if not method.startswith(PERSONAL)}


def test_every_operation_of_the_table_is_graphs() -> None:
    described = {
        f"{method.upper()} {template}"
        for template, operations in document()["paths"].items()
        for method in operations
    }
    assert used() <= described


@pytest.mark.parametrize("method", sorted(CALLS))
def test_a_method_sends_what_the_table_says(graph: RunningGraph, method: str) -> None:
    sent = set()

    def observe(exchange: Exchange) -> None:
        found = GraphContract().operation_of(exchange.method, exchange.path)
        assert found is not None
        sent.add(f"{exchange.method} {found[0]}")

    adapters = Adapters(graph)
    try:
        if method in {"EntraPim.remove", "EntraPim.extend"}:
            adapters.pim.assign(order(), client_request_id="zero")
            graph.world.clock.step(graph.world.provisioning.interval)
        graph.front.observers.append(observe)
        CALLS[method](adapters)
    finally:
        adapters.caller.close()
    assert sent == OPERATIONS[method]
