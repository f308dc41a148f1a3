"""A small organisation behind the ports, its allow-list deployed, and a stepped clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from base.clock import replace_real_clock
from clients.registry import using
from tests.support.fake_clouds import BILLING, EC2, TENANT, FakeClouds, guid, small_organisation

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def clouds(settings: Settings, tmp_path: Path) -> Iterator[FakeClouds]:
    allow_list = tmp_path / "managed-groups.txt"
    allow_list.write_text(f"{guid(EC2)}\n{guid(BILLING)}\n")
    settings.PORTAL_MANAGED_GROUPS_FILE = str(allow_list)
    settings.ENTRA_TENANT_ID = TENANT
    clouds = small_organisation()
    with using(clouds.clients()):
        yield clouds


@pytest.fixture
def step() -> Iterator[Callable[[timedelta], datetime]]:
    """Real (and business) time stands at noon until a test moves it on."""
    now = NOON

    def move(span: timedelta) -> datetime:
        nonlocal now
        now += span
        return now

    replace_real_clock(lambda: now)
    yield move
    replace_real_clock(None)
