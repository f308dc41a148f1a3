"""System checks: who has the sealing key, and whether the guards stand."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from pytest_django import Settings

from audit.ledger.checks import check_database, check_sealing_key
from audit.ledger.keys import make_key
from tests.support.servers import PostgresServer, pointed_at


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
def test_nobody_else_is_told_where_the_key_is(process: str, settings: Settings) -> None:
    settings.PORTAL_PROCESS, settings.SEALING_KEY_PATH = process, "/run/secrets/sealing-key"
    assert ids([*check_sealing_key()]) == ["ledger.E003"]
    settings.SEALING_KEY_PATH = ""
    assert check_sealing_key() == []


@pytest.mark.usefixtures("committed_db")
def test_the_application_has_a_role_without_power() -> None:
    assert check_database(databases=["default"]) == []


@pytest.mark.parametrize("role", ["portal_owner", "postgres"])
def test_a_process_that_owns_the_trail_is_refused(
    role: str, committed_db: str, postgres_server: PostgresServer, settings: Settings
) -> None:
    with pointed_at(postgres_server, committed_db, role=role):
        settings.PORTAL_PROCESS = "web"
        assert ids([*check_database(databases=["default"])]) == ["ledger.E004"]
        settings.PORTAL_PROCESS = "migrate"
        assert check_database(databases=["default"]) == []


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
    assert ids([*check_database(databases=["default"])]) == ["ledger.E005"]
