"""Sealed events, and an auditor's browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.ledger.keys import SealingKey, make_key
from tests.audit.history.conftest import _site, auditor

__all__ = ["_site", "auditor"]


@pytest.fixture
def key(tmp_path: Path) -> SealingKey:
    """The sealer's key; `tmp_path / "key.pub"` is what a verifier is given."""
    return make_key(tmp_path / "key")
