"""System checks: the sealer has its key, and whether the guards stand."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from pytest_django import Settings

from audit.ledger.checks import check_guards, check_sealing_key
from audit.ledger.keys import make_key
from tests.support.servers import PostgresServer


def ids(messages: list[object]) -> list[object]:
    return [getattr(message, "id", None) for message in messages]


def test_the_sealer_needs_a_key_that_it_can_read(settings: Settings, tmp_path: Path) -> None:
    settings.PORTAL_PROCESS, settings.SEALING_KEY_PATH = "sealer", ""
    assert ids([*check_sealing_key()]) == ["ledger.E001"]
    settings.SEALING_KEY_PATH = str(tmp_path / "absent")
    assert ids([*check_sealing_key()]) == ["ledger.E002"]
    (tmp_path / "absent").write_text("no key")
    assert ids([*check_sealing_key()]) == ["ledger.E002"]
    make_key(tmp_path / "key")
    settings.SEALING_KEY_PATH = str(tmp_path / "key")
    assert check_sealing_key() == []


@pytest.mark.parametrize("process", ["web", "worker", "beat", "migrate"])
def test_nobody_else_needs_one(process: str, settings: Settings) -> None:
    settings.PORTAL_PROCESS, settings.SEALING_KEY_PATH = process, ""
    assert check_sealing_key() == []


@pytest.mark.usefixtures("committed_db")
def test_all_guards_stand_after_the_migrations() -> None:
    assert check_guards(databases=["default"]) == []
    assert check_guards(databases=None) == []


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE audit_event DISABLE TRIGGER audit_event_unchanged",
        "ALTER TABLE audit_seal ENABLE TRIGGER audit_seal_untruncated",  # no longer ALWAYS
        "DROP TRIGGER audit_leaf_unchanged ON audit_leaf",
    ],
)
def test_a_guard_that_is_off_is_reported(
    change: str, committed_db: str, postgres_server: PostgresServer
) -> None:
    with psycopg.connect(postgres_server.conninfo("portal_owner", committed_db), autocommit=True) as owner:
        owner.execute(change)
    assert ids([*check_guards(databases=["default"])]) == ["ledger.E003"]
