"""The whole portal, running: the very stack that `make demo` starts, on free ports, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stack.running import Stack
from tests.support.servers import HarnessError


@pytest.fixture(scope="session")
def stack_speed() -> float:
    """The factor of business time: at 120, an hour of access takes half a minute. Override it in a conftest."""
    return 120.0


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory, stack_speed: float) -> Iterator[Stack]:
    """Servers, simulated clouds and every process of the portal, started once for the session.

    Nothing is started again by itself here: a process that has ended is an error at the end of the session.
    """
    with Stack(tmp_path_factory.mktemp("stack"), speed=stack_speed, durable=False) as stack:
        yield stack
        if ended := stack.ended():
            raise HarnessError("Processes ended while the tests ran: " + "\n".join(ended))
