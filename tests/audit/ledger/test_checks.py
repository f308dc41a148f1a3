"""System checks: the sealer has its key, and whether the guards stand."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from pytest_django import Settings

from audit.ledger.checks import check_guards, check_sealing_key
from audit.ledger.keys import make_key
from audit.ledger.rights import check_rights
from audit.ledger.watch_check import check_watched
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
def test_nobody_else_needs_one(process: str, settings: Settings) -> None:
    settings.PORTAL_PROCESS, settings.SEALING_KEY_PATH = process, ""
    assert check_sealing_key() == []


@pytest.mark.usefixtures("committed_db")
def test_all_guards_stand_after_the_migrations() -> None:
    assert check_guards(databases=["default"]) == []
    assert check_guards(databases=None) == []
    assert check_watched(databases=["default"]) == []


def test_a_guard_that_is_off_is_reported(committed_db: str, postgres_server: PostgresServer) -> None:
    """Each undone by another, since a database of its own for each would cost more than all of it."""
    with psycopg.connect(postgres_server.conninfo("portal_owner", committed_db), autocommit=True) as owner:
        for change, undone, reported in (
            ("audit_event DISABLE TRIGGER audit_event_unchanged", "ENABLE ALWAYS", "E003"),
            ("audit_event DISABLE TRIGGER audit_event_actor", "ENABLE ALWAYS", "E003"),
            ("audit_pii DISABLE TRIGGER audit_pii_event", "ENABLE ALWAYS", "E003"),
            ("audit_seal ENABLE TRIGGER audit_seal_untruncated", "ENABLE ALWAYS", "E003"),  # no longer ALWAYS
            ("audit_version DISABLE TRIGGER subject_grant", "ENABLE ALWAYS", "E007"),
            ("requests_app_grant DISABLE TRIGGER lifecycle_event", "ENABLE ALWAYS", "E007"),
            ("requests_app_decision DISABLE TRIGGER said_once", "ENABLE ALWAYS", "E015"),
            ("requests_app_revocation DISABLE TRIGGER told_revocation", "ENABLE ALWAYS", "E015"),
        ):
            table, _, _, trigger = change.split()
            owner.execute(f"ALTER TABLE {change}")
            assert ids([*check_guards(databases=["default"])]) == [f"ledger.{reported}"], change
            owner.execute(f"ALTER TABLE {table} {undone} TRIGGER {trigger}")
            assert check_guards(databases=["default"]) == []
        month = owner.execute(
            "SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'audit_event'::regclass"
        )
        ((name,),) = month.fetchall()
        owner.execute(f"ALTER TABLE {name} DISABLE TRIGGER audit_event_actor")  # of one month alone
        (lost,) = check_guards(databases=["default"])
        assert (lost.id, f"{name}.audit_event_actor." in lost.msg) == ("ledger.E015", True)
        owner.execute(f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER audit_event_actor")
        assert check_guards(databases=["default"]) == []
        for table, trigger in (
            (name, "audit_event_untruncated"),  # each month's own, which its parent's says nothing of
            ("policy_ruleversion", "policy_ruleversion_final"),  # whose function another trigger calls still
            ("policy_terms", "policy_terms_untruncated"),
        ):
            found = owner.execute(
                "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = %s AND tgrelid = %s::regclass",
                [trigger, table],
            )
            ((made,),) = found.fetchall()
            owner.execute(f"DROP TRIGGER {trigger} ON {table}")
            (lost,) = check_guards(databases=["default"])
            assert (lost.id, f" {table}.{trigger}." in lost.msg) == ("ledger.E015", True)
            owner.execute(made)
            owner.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
            assert check_guards(databases=["default"]) == []
        for change in ("DISABLE", "ENABLE"):  # no longer ALWAYS
            owner.execute(f"ALTER TABLE notifications_preference {change} TRIGGER watched_went")
            (lost,) = check_watched(databases=["default"])
            assert (lost.id, "notifications_preference.watched_went." in lost.msg) == ("ledger.E014", True)
        owner.execute("ALTER TABLE notifications_preference ENABLE ALWAYS TRIGGER watched_went")
        assert check_watched(databases=["default"]) == []
        owner.execute(
            "DROP FUNCTION audit_told_oversight_expiry"
        )  # with everything that would tell that it was there
        for trigger in ("came", "changed", "went"):
            owner.execute(f"DROP TRIGGER watched_{trigger} ON oversight_expiry")
        with pointed_at(postgres_server, committed_db, role="portal_owner"):
            (lost,) = check_watched(databases=["default"])
        assert "oversight_expiry.watched_came, oversight_expiry.watched_changed" in lost.msg
        assert check_rights(databases=["default"]) == []
        guard = owner.execute(
            "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'lifecycle_guard' "
            "AND tgrelid = 'requests_app_grant'::regclass"
        ).fetchall()[0][0]
        owner.execute(
            "DROP TRIGGER lifecycle_guard ON requests_app_grant"
        )  # which no list expects by its name
        (lost,) = check_guards(databases=["default"])
        assert "switched off: whatever called requests_app_grant_guard." in lost.msg
        half = owner.execute("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'subject_item'")
        ((subject,),) = half.fetchall()
        owner.execute("DROP TRIGGER subject_item ON audit_version")
        with pointed_at(postgres_server, committed_db, role="portal_owner"):
            assert ids([*check_guards(databases=["default"])]) == ["ledger.E015", "ledger.E007"]
            # As `migrate` finds it that goes on where another stopped: a later migration brings both.
            owner.execute(
                "UPDATE django_migrations SET app = 'later' WHERE app = 'ledger' AND name LIKE '0015%'"
            )
            assert check_guards(databases=["default"]) == []
            owner.execute("UPDATE django_migrations SET app = 'ledger' WHERE app = 'later'")
        owner.execute(guard)
        owner.execute(subject)
        owner.execute("ALTER TABLE audit_version ENABLE ALWAYS TRIGGER subject_item")
        assert check_guards(databases=["default"]) == []
        owner.execute("DROP TRIGGER said_once ON requests_app_decision")
        (lost,) = check_guards(databases=["default"])
        assert "requests_app_decision.said_once." in lost.msg
        for given, taken, said in (
            (
                "GRANT UPDATE (canon) ON audit_event TO portal_web",
                "REVOKE UPDATE (canon) ON audit_event FROM portal_web",
                "portal_web may update audit_event",
            ),
            (
                f"GRANT DELETE ON {name} TO PUBLIC",
                f"REVOKE DELETE ON {name} FROM PUBLIC",
                f"portal_worker may delete {name}",
            ),
            (
                "GRANT INSERT (at) ON audit_event TO portal_worker",
                "REVOKE INSERT (at) ON audit_event FROM portal_worker",
                "portal_worker may say the at of a row in audit_event",
            ),
            (
                "GRANT TRUNCATE ON audit_seal TO portal_sealer",
                "REVOKE TRUNCATE ON audit_seal FROM portal_sealer",
                "portal_sealer may truncate audit_seal",
            ),
        ):
            owner.execute(given)
            (message,) = check_rights(databases=["default"])
            assert (message.id, said in message.msg) == ("ledger.E013", True), message.msg
            owner.execute(taken)
        assert check_rights(databases=["default"]) == []
        owner.execute("DROP TRIGGER audit_leaf_unchanged ON audit_leaf")
        owner.execute("DROP TRIGGER subject_item ON audit_version")
        owner.execute("ALTER TABLE audit_event DROP CONSTRAINT audit_event_says")
    (off, _, apart) = check_guards(databases=["default"])
    assert "audit_event.audit_event_says, audit_leaf.audit_leaf_unchanged" in off.msg
    assert apart.msg == "Changes and the trail aren't held to each other: item."
