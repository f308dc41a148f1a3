"""Postgres keeps rule versions, and the terms of requests, as they were written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import LiteralString

import psycopg
import pytest
from django.db import DatabaseError, ProgrammingError, connection, transaction

from base.clock import real_now
from policy.models import Rule, RuleVersion, Terms
from tests.support.servers import PostgresServer


def a_version() -> RuleVersion:
    rule = Rule.objects.create(name="Everything")
    Terms.objects.create(demands={}, judged_by=[], document_hash="0" * 64)
    return RuleVersion.objects.create(
        rule=rule, number=1, document={}, document_hash="0" * 64, created_at=real_now(), created_by="a test"
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE policy_ruleversion SET document = '{}'",
        "DELETE FROM policy_ruleversion",
        "UPDATE policy_terms SET demands = '{}'",
        "DELETE FROM policy_terms",
    ],
)
def test_the_application_has_no_right_to_change_a_version(statement: str) -> None:
    a_version()
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        connection.cursor().execute(statement)


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["portal_web", "portal_sealer"])
def test_only_workers_write_rules(role: str, as_role: Callable[[str], AbstractContextManager[None]]) -> None:
    with as_role(role), pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        Rule.objects.create(name="Mine")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE policy_ruleversion SET document_hash = 'x'",
        "DELETE FROM policy_ruleversion",
        "TRUNCATE policy_ruleversion CASCADE",
        "UPDATE policy_terms SET demands = '{}'",
        "DELETE FROM policy_terms",
        "TRUNCATE policy_terms CASCADE",
    ],
)
def test_not_even_the_owner_changes_a_version(
    statement: LiteralString, committed_db: str, postgres_server: PostgresServer
) -> None:
    a_version()
    with (
        psycopg.connect(postgres_server.conninfo("portal_owner", committed_db)) as owner,
        pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="never change"),
    ):
        owner.execute(statement)
