"""What tests of the streams share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from audit.ledger.keys import make_key
from audit.ledger.recorder import Actor
from audit.ledger.sealing import seal_everything
from tests.audit.history.conftest import AsRole
from tests.audit.ledger.factories import note
from tests.requests_app import factories as make

type Seal = Callable[..., list[int]]


@pytest.fixture
def seal(db: None, tmp_path: Path, as_role: AsRole) -> Seal:
    """Record events, seal them as one batch, and give their ids in the order of the seals."""
    key = make_key(tmp_path / "key")

    def sealed(count: int) -> list[int]:
        ids = [note(str(number), actor=Actor.person(make.oid(), "Ada")) for number in range(count)]
        with as_role("portal_sealer"):
            seal_everything(key)
        return ids

    return sealed
