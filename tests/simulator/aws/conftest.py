"""A small world with AWS in front of it."""

from collections.abc import Iterator

import pytest

from tests.simulator.aws.running import Aws, serving
from tests.simulator.world.factory import Small, small_world


@pytest.fixture
def small() -> Small:
    return small_world()


@pytest.fixture
def aws(small: Small) -> Iterator[Aws]:
    with serving(small.world) as running:
        yield running
