"""What chance decides in the product, decided by a seed: for plays that have to come out the same again."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

from requests_app.actions.steps import pacing


@contextmanager
def seeded(seed: str) -> Iterator[None]:
    """How long a worker backs off, and the ids of rows, by which ties are broken, follow from the seed.

    Keys, salts and nonces stay what they are: nothing is ordered by them.
    """
    ids = random.Random(f"ids {seed}")
    with (
        patch.object(pacing, "random", random.Random(f"jitter {seed}")),
        # What `uuid4` takes its bytes from: models hold that function itself.
        patch.object(uuid, "os", SimpleNamespace(urandom=ids.randbytes)),
    ):
        yield
