"""A rule that isn't as its events say is found, whoever made it so; what the trail no longer holds isn't missed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from audit.ledger.keys import make_key, public_path
from audit.ledger.sealing import seal_everything
from base.clock import real_now
from policy.document import document_hash
from policy.models import Rule, RuleVersion
from policy.unexplained import unexplained_rules
from tests.policy.test_loading import a_rule, load
from tests.support.servers import PostgresServer, pointed_at

type AsRole = Callable[[str], AbstractContextManager[None]]

# What a superuser does who has switched the guards off, and what it is found as.
PAST_THE_GUARDS: dict[str, set[str]] = {
    "UPDATE policy_ruleversion SET document = document || '{\"stages\": []}' WHERE number = 2": {
        "change_unexplained"
    },
    "UPDATE policy_ruleversion SET document_hash = 'x' WHERE number = 1": {"change_unexplained"},
    "UPDATE policy_ruleversion SET number = 3 WHERE number = 2": {
        "change_unexplained",
        "status_unexplained",
        "subject_missing",
    },
    "UPDATE policy_rule SET name = 'Other' WHERE name = 'Old'": {"change_unexplained", "subject_missing"},
    "UPDATE policy_rule SET retired = true": {"status_unexplained"},
    "UPDATE policy_rule SET current_id = (SELECT min(id) FROM policy_ruleversion)": {"status_unexplained"},
}


def found(gone_until: datetime | None = None) -> set[str]:
    return {each.code for each in unexplained_rules(gone_until)}


def test_what_no_event_tells_of_is_found_and_named_by_the_command(
    committed_db: str, postgres_server: PostgresServer, as_role: AsRole, tmp_path: Path
) -> None:
    key, said = make_key(tmp_path / "key"), StringIO()
    load(a_rule(), a_rule("Old"))
    load(a_rule(longest_duration="PT4H"), retire_others=True)
    load(a_rule("Old"))  # retired, and in force again

    def verify() -> None:
        with as_role("portal_sealer"):
            seal_everything(key)
            call_command("audit_verify", public_key=[str(public_path(tmp_path / "key"))], stderr=said)

    verify()
    with pointed_at(postgres_server, committed_db, role="postgres"):
        for statement, codes in PAST_THE_GUARDS.items():
            with transaction.atomic():
                for each in ("policy_rule", "policy_ruleversion"):
                    connection.cursor().execute(f"ALTER TABLE {each} DISABLE TRIGGER USER")
                connection.cursor().execute(statement)
                assert found() == codes, statement
                transaction.set_rollback(True)
    # A worker needs no such rights for a version of its own making.
    raw: dict[str, list[str]] = {"stages": []}
    version = RuleVersion.objects.create(
        rule=Rule.objects.get(name="Production"), number=3, document=raw, document_hash=document_hash(raw),
        created_at=real_now(), created_by="somebody",
    )  # fmt: skip
    assert found() == {"change_unexplained"}
    Rule.objects.filter(name="Production").update(current=version)
    assert found() == {"change_unexplained", "status_unexplained"}
    with pytest.raises(CommandError, match="isn't as it was sealed"):
        verify()
    assert "change_unexplained: 0 events tell of version 3 of rule “Production”, not one." in said.getvalue()
    # Unless it is as old as what was removed from the trail.
    assert found(real_now() + timedelta(minutes=1)) == {"status_unexplained"}
