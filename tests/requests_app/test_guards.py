"""Postgres refuses what the life cycle's table lacks, whoever asks and however."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.db import InternalError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.utils import IntegrityError, ProgrammingError

from requests_app.guards import InstallGuards, fingerprint, guard_function_sql
from requests_app.lifecycle import GRANT, MACHINES, MAY_HOLD_ACCESS, TERMINAL
from requests_app.models import Decision, Grant, RequestItem
from tests.requests_app import factories as make

type AsRole = Callable[[str], AbstractContextManager[None]]

pytestmark = pytest.mark.django_db


@pytest.fixture
def item(as_role: AsRole) -> RequestItem:
    requester, approver = make.person("Ada Asker"), make.person("Ben Boss")
    group = make.pim_group()
    version = make.rule(approver, groups=(group,))
    with as_role("portal_web"):
        return make.pending_item(requester, group, version)


def test_no_terminal_state_may_hold_access() -> None:
    assert not TERMINAL & MAY_HOLD_ACCESS


def test_update_can_not_skip_a_state(item: RequestItem) -> None:
    grant = make.scheduled_grant(item)
    with pytest.raises(IntegrityError, match='no step from "scheduled" to "ended"'), transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(status="ended", version=2)


def test_raw_sql_can_not_skip_a_state(item: RequestItem) -> None:
    grant = make.scheduled_grant(item)
    with (
        pytest.raises(IntegrityError, match="no step from"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "UPDATE requests_app_grant SET status = 'active', version = 2 WHERE id = %s", [grant.pk]
        )


def test_web_can_not_approve(item: RequestItem, as_role: AsRole) -> None:
    with (
        as_role("portal_web"),
        pytest.raises(ProgrammingError, match="portal_web may not move"),
        transaction.atomic(),
    ):
        RequestItem.objects.filter(pk=item.pk).update(
            status="approved", version=2, decided_at=item.created_at
        )


def test_no_role_moves_the_end_of_a_grant(item: RequestItem, as_role: AsRole) -> None:
    grant = make.scheduled_grant(item)
    for role in ("portal_worker", "portal_web"):
        with (
            as_role(role),
            pytest.raises(ProgrammingError, match="permission denied"),
            transaction.atomic(),
        ):
            Grant.objects.filter(pk=grant.pk).update(ends_at=grant.ends_at)


def test_a_status_change_without_its_event_does_not_commit(item: RequestItem) -> None:
    grant = make.scheduled_grant(item)
    with pytest.raises((IntegrityError, InternalError), match="grant"), transaction.atomic():
        _change_without_event(grant)


def _change_without_event(grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(status="activating", version=2)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_nobody_decides_on_their_own_request_even_in_sql(item: RequestItem, as_role: AsRole) -> None:
    with (
        as_role("portal_web"),
        pytest.raises(IntegrityError, match="nobody decides on their own request"),
        transaction.atomic(),
    ):
        Decision.objects.create(
            item=item,
            approver=item.requester,
            verdict="approve",
            stage=0,
            status="submitted",
            submitted_at=item.created_at,
        )


def test_every_edge_has_exactly_one_event_of_its_own() -> None:
    events = [edge.event for machine in MACHINES for edge in machine.edges]
    assert len(events) == len(set(events))


def test_every_status_can_be_reached_and_is_terminal_or_can_be_left() -> None:
    for machine in MACHINES:
        reached = {edge.target for edge in machine.edges}
        assert reached == set(machine.statuses.values)
    for status in set(GRANT.statuses.values) - TERMINAL:
        assert GRANT.targets(status), status


def test_the_triggers_are_those_of_the_table() -> None:
    for machine in MACHINES:
        with connection.cursor() as cursor:
            cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = %s", [f"{machine.table}_guard"])
            row = cursor.fetchone()
        assert row is not None
        expected = guard_function_sql(machine).split("$guard$")[1]
        assert row[0].strip() == expected.strip(), (
            f"add a migration with InstallGuards() for {machine.subject}"
        )


def test_a_change_of_the_table_has_its_migration() -> None:
    migrations = MigrationLoader(None).disk_migrations
    installed = [
        operation.of
        for (app, _name), migration in sorted(migrations.items())
        if app == "requests_app"
        for operation in migration.operations
        if isinstance(operation, InstallGuards)
    ]
    assert installed[-1] == fingerprint(), f'add a migration with InstallGuards("{fingerprint()}")'


def test_the_triggers_fire_whatever_a_session_pretends_to_be() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal AND tgname IN "
            "('lifecycle_guard', 'lifecycle_event', 'not_own')"
        )
        found = cursor.fetchall()
    assert len(found) == 8
    assert {enabled for _, enabled in found} == {"A"}
