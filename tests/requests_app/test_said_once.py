"""What is said once of a request or a grant: it comes with its event and never changes, or is found."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.db.transaction import atomic, set_rollback
from django_subatomic.db import transaction

from base.clock import business_now, real_now
from identity.absences.declaring import declare
from identity.models import Person
from requests_app.actions.ending import begin_end, record_revocation
from requests_app.lifecycle import EndReason
from requests_app.models import Grant, GrantInterval, RequestScope, Revocation
from requests_app.told import DIGEST_SQL, FINAL, WHOLE, scope_digest
from requests_app.unexplained import unexplained_facts
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer, pointed_at

type AsRole = Callable[[str], AbstractContextManager[None]]
CHANGED, MISSING = {"change_unexplained"}, {"subject_missing"}

# What the owner does, once nothing is in the way, and what it is found as.
PAST_THE_GUARDS = {
    "UPDATE requests_app_requestscope SET account_name = 'Sandbox'": CHANGED,
    "UPDATE requests_app_requestscope SET session_duration = interval '12 hours'": CHANGED,
    "DELETE FROM requests_app_requestscope WHERE id = (SELECT min(id) FROM requests_app_requestscope)": CHANGED,
    "UPDATE requests_app_grantinterval SET ends_at = ends_at + interval '1 hour'": CHANGED | MISSING,
    "DELETE FROM requests_app_grantinterval": MISSING,
    "UPDATE requests_app_revocation SET kind = 'incident'": CHANGED,
    "UPDATE requests_app_revocation SET reason = 'Because'": CHANGED,
    "UPDATE requests_app_revocation SET by_id = (SELECT min(id) FROM identity_person)": CHANGED,
    "DELETE FROM requests_app_revocation": MISSING,
    "UPDATE requests_app_accessrequest SET reference = 'CHG-1'": CHANGED,
    "UPDATE requests_app_accessrequest SET justification = 'Because'": CHANGED,
    "UPDATE requests_app_requestitem SET duration = interval '9 hours'": CHANGED,
    "UPDATE requests_app_decision SET verdict = 'deny'": CHANGED,
    "UPDATE requests_app_decision SET shown = 'What they did not see'": CHANGED,
    "UPDATE requests_app_decision SET absence_id = (SELECT id FROM identity_absence)": CHANGED,
    "UPDATE requests_app_decision SET approver_id = (SELECT min(id) FROM identity_person)": CHANGED,
    "UPDATE requests_app_grant SET starts_at = starts_at - interval '1 day'": CHANGED,
    "UPDATE requests_app_grant SET ends_at = ends_at + interval '1 hour'": CHANGED,
}
# What may be erased stays a change that nothing refuses; windows have a guard of their own.
LET_THROUGH = "UPDATE requests_app_accessrequest SET justification"
REFUSED = r"said once stays|the start never changes|begun to end is extended|end only moves|own request|not the delegate"


def scheduled(as_role: AsRole) -> tuple[Grant, Person]:
    """A grant that hasn't begun, with all that comes before it, and who decided."""
    person, boss, group = make.person(), make.person(), make.pim_group()
    rule = make.rule(boss, groups=(group,))
    with as_role("portal_web"):
        item = make.pending_item(person, group, rule)
        make.submitted_decision(item, boss, shown="What the approver saw")
    return make.scheduled_grant(item), boss


def revoked(as_role: AsRole) -> Grant:
    """One that its approver took away."""
    grant, boss = scheduled(as_role)
    with transaction():
        record_revocation(
            grant,
            EndReason.REVOKED,
            by=boss,
            reason="The change is off",
            acting_as="approver",
            actor=make.actor(boss),
        )
        begin_end(grant, EndReason.REVOKED, actor=make.actor(boss))
    return grant


def found(until: datetime | None = None) -> set[str]:
    return {each.code for each in unexplained_facts(until)}


def refused_as(role: str, as_role: AsRole, insert: Callable[[], object]) -> None:
    with (
        as_role(role),
        pytest.raises(DatabaseError, match=r"with its event or never|no audit event|permission denied"),
        atomic(),
    ):
        insert()


def test_nothing_said_once_comes_late_changes_or_goes_unseen(
    committed_db: str, postgres_server: PostgresServer, as_role: AsRole
) -> None:
    grant, (untouched, _) = revoked(as_role), scheduled(as_role)
    item = grant.intervals.get().item
    with as_role("portal_web"):
        more = make.pending_item(make.person(), item.group, make.judging(item))
        away, delegate = make.person(), make.person()
        declare(
            person_id=away.pk,
            delegate_id=delegate.pk,
            begins_at=None,
            ends_at=business_now() + timedelta(days=1),
            by_id=away.pk,
            actor=make.actor(away),
        )
    opened = {"account_name": "x", "permission_set_arn": "x", "session_duration": timedelta(hours=1)}
    span = {"starts_at": grant.ends_at, "ends_at": grant.ends_at + timedelta(hours=1)}
    why = {"kind": "leaver", "reason": "Because", "revoked_at": business_now()}
    for role in ("portal_web", "portal_worker"):
        refused_as(role, as_role, lambda: RequestScope.objects.create(item=item, account_id="1", **opened))
        refused_as(role, as_role, lambda: GrantInterval.objects.create(grant=grant, item=more, **span))
        refused_as(role, as_role, lambda: Revocation.objects.create(grant=untouched, **why))
    with as_role("portal_sealer"):
        assert found() == set()

    with pointed_at(postgres_server, committed_db, role="postgres"), connection.cursor() as cursor:
        cursor.execute(f"SELECT {DIGEST_SQL} FROM requests_app_requestscope WHERE item_id = %s", [item.pk])  # noqa: S608
        assert cursor.fetchone() == (scope_digest(item.scope.all()),)
        for statement in PAST_THE_GUARDS:
            if not statement.startswith(LET_THROUGH):
                with pytest.raises(DatabaseError, match=REFUSED), atomic():
                    cursor.execute(statement)
        with atomic():
            for table in (*FINAL, *WHOLE):
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement, codes in PAST_THE_GUARDS.items():
            with atomic():
                cursor.execute(statement)
                assert found() == codes, statement
                set_rollback(True)
        # What went with a removed month is not missed, and what it said isn't either.
        cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER ALL")
        cursor.execute("DELETE FROM audit_event")
        assert found() == CHANGED
        assert found(real_now() + timedelta(minutes=1)) == set()
