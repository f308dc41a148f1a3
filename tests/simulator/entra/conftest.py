"""A simulated Entra on free ports, with a handful of people."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator.entra.running import RunningEntra, running_entra


@pytest.fixture(scope="module")
def entra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEntra]:
    """The authority and the browser listener, shared by a module: tests use sessions of their own."""
    with running_entra(Path(tmp_path_factory.mktemp("entra"))) as running:
        yield running
