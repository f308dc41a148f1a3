"""Graph in front of a small world, over HTTP, every exchange held to the contract."""

from collections.abc import Iterator

import pytest

from tests.simulator.entra.graph.running import RunningGraph, running_graph


@pytest.fixture
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGraph]:
    """A Graph front of its own; the test fails when any exchange broke the contract."""
    with running_graph(tmp_path_factory.getbasetemp() / "graph-keys") as running:
        yield running
        running.contract.assert_clean()
