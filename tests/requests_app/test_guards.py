"""Postgres refuses what the life cycle's table lacks, whoever asks and however."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.db import InternalError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.utils import IntegrityError, ProgrammingError
from django_subatomic.db import transaction as subatomic

from audit.ledger.recorder import Actor
from identity.models import Person
from requests_app.actions.extending import extend
from requests_app.actions.moving import move
from requests_app.actions.recording import record_of
from requests_app.guards import InstallGuards, fingerprint, guard_function_sql, told_function_sql
from requests_app.lifecycle import GRANT, MACHINES, MAY_HOLD_ACCESS, TERMINAL
from requests_app.models import Decision, Grant, GrantInterval, RequestItem
from tests.pages.moving import decide
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


def test_web_does_not_move_the_end_of_a_grant(item: RequestItem, as_role: AsRole) -> None:
    grant = make.scheduled_grant(item)
    for change in (
        {"ends_at": grant.ends_at + timedelta(hours=1)},
        {"revision": 2},
        {"starts_at": grant.ends_at},
    ):
        with (
            as_role("portal_web"),
            pytest.raises(ProgrammingError, match="permission denied"),
            transaction.atomic(),
        ):
            Grant.objects.filter(pk=grant.pk).update(**change)


@subatomic()
def spans(grant: Grant, item: RequestItem, **spans: timedelta) -> None:
    """An interval of the grant for an item, around the grant's end, and the event that gives it."""
    window = {"starts_at": grant.ends_at + spans["begins"], "ends_at": grant.ends_at + spans["ends"]}
    GrantInterval.objects.create(grant=grant, item=item, **window)
    fields = {"item_id": item.pk, "before": grant.ends_at, **window, "revision": 2}
    record_of(grant, "grant.extended", fields, request_id=item.request_id)


def further(item: RequestItem, as_role: AsRole, *, approved: bool = True) -> RequestItem:
    """Another item of the same person and group."""
    with as_role("portal_web"):
        again = make.pending_item(item.requester, item.group, make.judging(item))
    if approved:
        approve(again, as_role)
    return again


HOUR, NOTHING = timedelta(hours=1), timedelta(0)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"ends_at": -HOUR}, "only moves later"),
        ({"ends_at": HOUR}, "as the next revision"),
        ({"ends_at": HOUR, "revision": 3}, "as the next revision"),
        ({"revision": 2}, "only moves later"),
        ({"ends_at": HOUR, "revision": 2}, "no approved item reaches"),
        ({"ends_at": 2 * HOUR, "revision": 2}, "no approved item reaches"),
    ],
)
def test_no_end_moves_without_an_approved_interval(
    item: RequestItem, as_role: AsRole, change: dict[str, Any], refusal: str
) -> None:
    item = approve(item, as_role)
    grant = make.scheduled_grant(item)
    values = {
        name: grant.ends_at + value if isinstance(value, timedelta) else value
        for name, value in change.items()
    }
    if "ends_at" in change and change["ends_at"] == 2 * HOUR:
        spans(grant, further(item, as_role), begins=NOTHING, ends=HOUR)
    with pytest.raises(IntegrityError, match=refusal), transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(**values)


def approve(item: RequestItem, as_role: AsRole) -> RequestItem:
    """As many approvals as its one stage wants, and what follows."""
    (approver,) = Person.objects.filter(object_id__in=item.terms.parsed.stages[0].approvers.people)
    decide(item, approver, "approve", as_role)
    return item


def test_no_item_is_approved_without_the_words_that_its_terms_demand(as_role: AsRole) -> None:
    first, second = make.person("Ben Boss"), make.person("Cy Chief")
    requester, group = make.person("Ada Asker"), make.pim_group()
    version = make.rule(first, second, quorum=2, groups=(group,))
    with as_role("portal_web"):
        item = make.pending_item(requester, group, version)
    with pytest.raises(IntegrityError, match="not approved by as many"), transaction.atomic():
        RequestItem.objects.filter(pk=item.pk).update(
            status="approved", version=2, decided_at=item.created_at
        )
    with pytest.raises(IntegrityError, match="not approved by as many"):
        decide(item, first, "approve", as_role)


def test_a_grant_that_was_rebuilt_is_extended_like_any_other(item: RequestItem, as_role: AsRole) -> None:
    """A restored database has forgotten the intervals; PIM's mark tells the revision that it had come to."""
    grant = make.scheduled_grant(approve(item, as_role), revision=3)
    until, more = grant.ends_at + HOUR, further(item, as_role)
    with subatomic():
        extend(grant, more, ends_at=until)
    grant.refresh_from_db()
    assert (grant.revision, grant.ends_at) == (4, until)


@pytest.mark.parametrize("why", ["pending", "somebody else's", "overlapping", "ending", "no event"])
def test_what_an_interval_must_be_for_an_end_to_move(item: RequestItem, as_role: AsRole, why: str) -> None:
    grant = make.scheduled_grant(approve(item, as_role))
    other = further(item, as_role, approved=why != "pending")
    if why == "somebody else's":
        with as_role("portal_web"):
            strange = make.pending_item(make.person(), item.group, make.judging(item))
        other = approve(strange, as_role)
    begins = -HOUR / 2 if why == "overlapping" else NOTHING
    spans(grant, other, begins=begins, ends=HOUR)
    if why == "ending":
        with subatomic():
            move(
                grant,
                "cancelled",
                actor=Actor.worker(),
                fields={"group_name": "", "reason": ""},
                ended_at=grant.starts_at,
            )
    expected = {"ending": "not begun to end", "no event": "No audit event says how grant"}.get(
        why, "no approved item reaches"
    )
    with pytest.raises(IntegrityError, match=expected), transaction.atomic():
        _lengthen(grant)


def test_the_start_never_moves(item: RequestItem) -> None:
    grant = make.scheduled_grant(item)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT has_column_privilege('portal_worker', 'requests_app_grant', 'starts_at', 'UPDATE')"
        )
        assert cursor.fetchone() == (False,)
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
    ):
        Grant.objects.filter(pk=grant.pk).update(starts_at=grant.ends_at)


def test_a_status_change_without_its_event_does_not_commit(item: RequestItem) -> None:
    grant = make.scheduled_grant(item)
    with pytest.raises((IntegrityError, InternalError), match="grant"), transaction.atomic():
        _change_without_event(grant)


def _change_without_event(grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(status="activating", version=2)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize("event", ["grant.overdue", "grant.ended", "item.approved"])
def test_a_status_change_that_is_told_as_something_else_does_not_commit(
    item: RequestItem, event: str
) -> None:
    grant = make.scheduled_grant(item)
    with pytest.raises(
        IntegrityError, match=f'"scheduled" to "activating" is recorded as {event}, not as grant.act'
    ):
        _told_as(grant, event)
    with subatomic():
        _told_as(grant, "grant.activation_started")
    assert Grant.objects.get(pk=grant.pk).status == "activating"


def _told_as(grant: Grant, event: str) -> None:
    """The step to activating, with an event that its writer chose."""
    said = {
        "v": 1,
        "type": event,
        "outcome": "done",
        "business_at": "2026-05-01T12:00:00.000000Z",
        "actor": {"kind": "worker"},
        "fields": {"source": "scheduled", "target": "activating"},
        "commitments": {},
        "subject": {"kind": "grant", "id": str(grant.pk), "version": 2},
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_event (canon) VALUES (%s)", [json.dumps(said)])
        Grant.objects.filter(pk=grant.pk).update(status="activating", version=2)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


@pytest.mark.parametrize("account", ["their own", "a second one"])
def test_nobody_decides_on_their_own_request_even_in_sql(
    item: RequestItem, as_role: AsRole, account: str
) -> None:
    asker = item.requester
    second = make.person("Ada Admin", employee_id=f" {asker.employee_id.lower()} ")
    with (
        as_role("portal_web"),
        pytest.raises(IntegrityError, match="nobody decides on their own request"),
        transaction.atomic(),
    ):
        Decision.objects.create(
            item=item,
            approver=asker if account == "their own" else second,
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
        for name, write in (("guard", guard_function_sql), ("told", told_function_sql)):
            with connection.cursor() as cursor:
                cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = %s", [f"{machine.table}_{name}"])
                row = cursor.fetchone()
            assert row is not None
            expected = write(machine).split("$guard$")[1]
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
            "('lifecycle_guard', 'lifecycle_event', 'lifecycle_event_told', 'not_own')"
        )
        found = cursor.fetchall()
    assert len(found) == 14
    assert {enabled for _, enabled in found} == {"A"}


def _lengthen(grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(ends_at=grant.ends_at + HOUR, revision=2)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
