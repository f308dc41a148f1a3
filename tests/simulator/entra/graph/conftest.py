"""Graph in front of a small world, over HTTP."""

from collections.abc import Iterator

import pytest

from tests.simulator.entra.graph.running import RunningGraph, running_graph


@pytest.fixture
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGraph]:
    """A Graph front of its own."""
    with running_graph(tmp_path_factory.getbasetemp() / "graph-keys") as running:
        yield running
