"""Every guarded table, and every way around the application: refused, or found as unexplained.

Django's admin and shell have no ways of their own: they save, update and delete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Model, ProtectedError

from audit.ledger.unexplained import attached, unexplained
from base.clock import business_now
from identity.absences.declaring import declare
from identity.models import User
from requests_app.actions import freezing
from requests_app.actions.conversing import remark
from requests_app.freezes.models import Freeze
from tests.requests_app import factories as make
from tests.requests_app.emergencies import in_emergency, let_through
from tests.support.servers import PostgresServer

type AsRole = Callable[[str], AbstractContextManager[None]]
# Of each there is a row below.
KINDS = frozenset({"request", "item", "decision", "grant", "remark", "freeze", "finding", "absence"})
type Way = Callable[[Any], object]


def guarded() -> Iterator[tuple[str, type[Model]]]:
    """The kinds whose tables need an event for each version, with their models, from the database's own triggers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger "
            "WHERE tgfoid = 'public.audit_require_event'::regproc"
        )
        tables = {table for (table,) in cursor.fetchall()}
    models = {model._meta.db_table: model for model in apps.get_models()}
    kinds = {each.table: each.kind for each in attached() if each.counts_from_one}
    assert set(kinds) == tables
    return ((kinds[table], models[table]) for table in sorted(tables))


def populate(as_role: AsRole) -> None:
    """A row of each."""
    person, boss, group = make.person(), make.person(), make.pim_group()
    version = make.rule(boss, groups=(group,))
    with as_role("portal_web"):
        item = make.pending_item(person, group, version)
        remark(item_id=item.pk, person_id=boss.pk, words="Why?", actor=make.actor(boss))
        make.submitted_decision(item, boss)
        User.objects.create_user(person=person, app_roles=["Operator"])
        freezing.freeze(
            kind=Freeze.Kind.PERSON,
            subject=boss.object_id,
            person_id=person.pk,
            reason="Stolen",
            actor=make.actor(person),
        )
        ends = business_now() + timedelta(days=1)
        declare(
            person_id=boss.pk,
            delegate_id=None,
            begins_at=None,
            ends_at=ends,
            by_id=boss.pk,
            actor=make.actor(boss),
        )
    make.scheduled_grant(item)
    make.finding(person, group)
    drilled = in_emergency(person, make.pim_group(), boss, as_role, drill=True)
    let_through(drilled)


def raw(statement: str, row: Model) -> None:
    table = connection.ops.quote_name(row._meta.db_table)
    columns = ", ".join(
        connection.ops.quote_name(field.column or "") for field in row._meta.concrete_fields[1:]
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.format(table=table, columns=columns), [row.pk])


def saved(row: Any) -> None:
    row.version += 1
    row.save()


def bulk_updated(row: Any) -> None:
    row.version += 1
    type(row).objects.bulk_update([row], ["version"])


def copied(row: Any) -> None:
    row.pk, row.version = uuid4(), 1
    type(row).objects.bulk_create([row])


WAYS: dict[str, Way] = {
    "update()": lambda row: type(row).objects.filter(pk=row.pk).update(version=F("version") + 1),
    "save()": saved,
    "bulk_update()": bulk_updated,
    "bulk_create()": copied,
    "delete()": lambda row: row.delete(),
    "raw update": lambda row: raw("UPDATE {table} SET version = version + 1 WHERE id = %s", row),
    "raw insert": lambda row: raw(
        "INSERT INTO {table} (id, {columns}) SELECT gen_random_uuid(), {columns} FROM {table} WHERE id = %s",
        row,
    ),
    "raw delete": lambda row: raw("DELETE FROM {table} WHERE id = %s", row),
}


@pytest.mark.usefixtures("committed_db")
def test_no_way_around_the_application_changes_a_guarded_table(as_role: AsRole) -> None:
    populate(as_role)
    tables = [(kind, model) for kind, model in guarded() if model._default_manager.exists()]
    assert {kind for kind, _ in tables} >= KINDS
    assert list(unexplained()) == []
    went: list[str] = []
    for kind, model in tables:
        for way, act in WAYS.items():
            for role in ("portal_web", "portal_worker"):
                with as_role(role):
                    try:
                        with transaction.atomic():
                            act(model._default_manager.all()[0])
                    except (DatabaseError, ProtectedError):
                        continue
                    went.append(f"{way} on {kind} as {role}")
    assert went == []
    assert list(unexplained()) == []


# What a superuser does who has switched every trigger of a table off.
UNEXPLAINED = {
    "change_unexplained": "UPDATE {} SET version = version + 1",
    "subject_set_back": "UPDATE {} SET version = version - 1",
    "subject_missing": "DELETE FROM {}",
}
BACK = {
    "change_unexplained": UNEXPLAINED["subject_set_back"],
    "subject_set_back": UNEXPLAINED["change_unexplained"],
}


def nothing_in_the_way(superuser: psycopg.Connection, table: str) -> None:
    superuser.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    checks = superuser.execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = %s::regclass", [table]
    ).fetchall()
    for (name,) in checks:
        superuser.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")


def test_what_was_done_past_the_guards_is_unexplained(
    committed_db: str, postgres_server: PostgresServer, as_role: AsRole
) -> None:
    populate(as_role)
    tables = [(kind, model) for kind, model in guarded() if kind in KINDS]
    with psycopg.connect(postgres_server.conninfo("postgres", committed_db), autocommit=True) as superuser:
        for _, model in tables:
            nothing_in_the_way(superuser, model._meta.db_table)
        superuser.execute("UPDATE requests_app_grant SET status = 'activating'")
        assert [each.code for each in unexplained()] == ["status_unexplained"]
        superuser.execute("UPDATE requests_app_grant SET status = 'scheduled'")
        for code, statement in UNEXPLAINED.items():
            for kind, model in tables:
                superuser.execute(statement.format(model._meta.db_table))
                with as_role("portal_sealer"):
                    found = [each for each in unexplained() if f"{kind} " in each.sentence]
                assert code in {each.code for each in found}, (kind, found)
                if code in BACK:
                    superuser.execute(BACK[code].format(model._meta.db_table))
                    assert list(unexplained()) == []
