"""What is said once of a request or a grant: it comes with its event and never changes, or is found."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
from django.db import DatabaseError, connection
from django.db.transaction import atomic, set_rollback
from django_subatomic.db import transaction

from base.clock import business_now, real_now
from identity.absences.declaring import declare
from identity.models import Person
from identity.signin.proving import Proof
from requests_app.actions.ending import begin_end, record_revocation
from requests_app.actions.pathing import move_to_front
from requests_app.lifecycle import EndReason, GrantStatus
from requests_app.models import Grant, GrantInterval, RequestScope, Revocation
from requests_app.narrow_path import application
from requests_app.path_models import PathKind, PathTicket
from requests_app.told import DIGEST_SQL, FINAL, WHOLE, scope_digest
from requests_app.unexplained import unexplained_facts
from requests_app.waivers.models import OwedReview, Waiver
from requests_app.waivers.reviewing import escalate_overdue, lift_block, review
from tests.pages.moving import bring
from tests.requests_app import factories as make
from tests.requests_app.emergencies import in_emergency, let_through
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
    "UPDATE requests_app_grant SET longest_session = interval '9 hours'": CHANGED,
    "UPDATE requests_app_grant SET as_person = NOT as_person": CHANGED,
    "UPDATE requests_app_requestitem SET longest_session = interval '9 hours'": CHANGED,
    "UPDATE requests_app_accessrequest SET proof = NULL WHERE proof IS NOT NULL": CHANGED,
    "UPDATE requests_app_accessrequest SET proof = jsonb_set(proof, '{contexts,c9}', 'null')": CHANGED,
    "UPDATE requests_app_accessrequest SET proof = jsonb_set(proof, '{person}', to_jsonb(reference))": CHANGED,
    "UPDATE requests_app_decision SET proof = jsonb_set(proof, '{verified_at}', to_jsonb(shown))": CHANGED,
    "UPDATE requests_app_decision SET proof = proof - 'authenticated_at'": CHANGED,
    "UPDATE requests_app_pathticket SET front_at = since WHERE front_at IS NULL": CHANGED,
    "UPDATE requests_app_pathticket SET front_at = since WHERE front_at IS NOT NULL": CHANGED,
    "UPDATE requests_app_pathticket SET front_at = NULL WHERE front_at IS NOT NULL": CHANGED,
    "UPDATE requests_app_waiver SET kind = 'automatic', why = ''": CHANGED,
    "UPDATE requests_app_waiver SET conditions = '[]'": CHANGED,
    "UPDATE requests_app_owedreview SET due_at = due_at - interval '1 hour'": CHANGED,
    "UPDATE requests_app_owedreview SET person_id = (SELECT min(id) FROM identity_person)": CHANGED,
    "UPDATE requests_app_owedreview SET verdict = 'not_in_order' WHERE verdict <> ''": CHANGED,
    "UPDATE requests_app_owedreview SET comment = 'Because' WHERE verdict <> ''": CHANGED,
    "UPDATE requests_app_owedreview SET verdict = '', comment = '', reviewed_by_id = NULL, reviewed_at = NULL": CHANGED,
    "UPDATE requests_app_owedreview SET (verdict, comment, reviewed_by_id, reviewed_at)"
    " = ('in_order', 'Fine', (SELECT min(id) FROM identity_person), owed_at) WHERE verdict = ''": CHANGED,
    "UPDATE requests_app_owedreview SET lifted_by_id = reviewed_by_id, lifted_at = owed_at, lift_reason = 'So'"
    " WHERE verdict <> ''": CHANGED,
    "UPDATE requests_app_owedreview SET lifted_by_id = person_id WHERE lifted_at IS NOT NULL": CHANGED,
    "UPDATE requests_app_owedreview SET lift_reason = 'Because' WHERE lifted_at IS NOT NULL": CHANGED,
    "UPDATE requests_app_owedreview SET escalated_at = NULL": CHANGED,
    "UPDATE requests_app_owedreview SET escalated_at = owed_at": CHANGED,
}
# What may be erased stays a change that nothing refuses; windows have a guard of their own.
LET_THROUGH = "UPDATE requests_app_accessrequest SET justification"
REFUSED = r"said once stays|the start never changes|begun to end is extended|end only moves|own request|not the delegate"
REFUSED += r"|never changes|not lifted again|does not follow|grows with an extension|no audit event moves"


def proof_of(person: Person) -> Proof:
    """Of a sign-in a minute ago."""
    now = real_now()
    return Proof(person.object_id, now, now - timedelta(minutes=1), {"c1": now, "c10": now}, now)


def scheduled(as_role: AsRole) -> tuple[Grant, Person]:
    """A grant that hasn't begun, with all that comes before it, and who decided."""
    person, boss, group = make.person(), make.person(), make.pim_group()
    rule = make.rule(boss, groups=(group,))
    with as_role("portal_web"):
        item = make.pending_item(person, group, rule, proof=proof_of(person))
        make.submitted_decision(item, boss, shown="What the approver saw", proof=proof_of(boss))
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


def queue(as_role: AsRole) -> PathTicket:
    """Two that wait for Entra, of whom an operator moved the second to the front; it is given."""
    waiting = []
    for _ in range(2):
        grant, boss = scheduled(as_role)
        bring(grant, GrantStatus.ACTIVATING)
        now = business_now()
        place = {"application": application(), "rank": 1, "starts_at": grant.starts_at, "since": now}
        waiting.append((PathTicket.objects.create(grant=grant, kind=PathKind.ASSIGN, **place), boss))
    last, boss = waiting[1]
    with as_role("portal_web"):
        move_to_front(ticket_id=last.pk, actor=make.actor(boss))
    return last


def emergencies(as_role: AsRole) -> None:
    """One that was reviewed, and one that nobody reviewed, that went on to others, and that blocks no more."""
    person, boss, otto = make.person(), make.person(), make.person()
    reviewed, late = (
        let_through(in_emergency(each, make.pim_group(), boss, as_role), ago=ago)
        for each, ago in ((person, timedelta(0)), (make.person(), timedelta(days=30)))
    )
    assert escalate_overdue() == 1
    with as_role("portal_web"):
        make.login(otto, "Operator")
        words = {"verdict": "in_order", "comment": "The pager was answered"}
        review(review_id=reviewed.pk, person_id=boss.pk, actor=make.actor(boss), **words)
        lift_block(review_id=late.pk, person_id=otto.pk, reason="All are ill", actor=make.actor(otto))


def found(until: datetime | None = None) -> set[str]:
    return {each.code for each in unexplained_facts(until)}


def refused_as(role: str, as_role: AsRole, insert: Callable[[], object]) -> None:
    with (
        as_role(role),
        pytest.raises(DatabaseError, match=r"with its event or never|no audit event|permission denied"),
        atomic(),
    ):
        insert()


def test_what_is_said_of_an_emergency_is_what_its_event_says(committed_db: str, as_role: AsRole) -> None:
    person, boss, otto = make.person(), make.person(), make.person()
    with as_role("portal_web"):
        make.login(otto, "Operator")
    waiting = in_emergency(person, make.pim_group(), boss, as_role)
    owed = let_through(in_emergency(make.person(), make.pim_group(), boss, as_role), ago=timedelta(days=30))
    another = "no audit event emergency.{} says"
    with as_role("portal_web"):
        with (
            pytest.raises(DatabaseError, match=another.format("reviewed")),
            patch.object(OwedReview, "get_verdict_display", lambda _: "Not in order"),
        ):
            review(
                review_id=owed.pk, person_id=boss.pk, verdict="in_order", comment="x", actor=make.actor(boss)
            )
        with pytest.raises(DatabaseError, match=another.format("reviewed")):
            review(
                review_id=owed.pk, person_id=boss.pk, verdict="in_order", comment="x", actor=make.actor(otto)
            )
        with pytest.raises(DatabaseError, match=another.format("block_lifted")):
            lift_block(review_id=owed.pk, person_id=otto.pk, reason="x", actor=make.actor(boss))
    with pytest.raises(DatabaseError, match=another.format("review_overdue")):
        OwedReview.objects.filter(pk=owed.pk).update(escalated_at=business_now())
    # Which a worker tries again later.
    with patch.object(Waiver, "what", "emergency drill"), pytest.raises(OwedReview.DoesNotExist):
        let_through(waiting)
    assert found() == set()


def test_nothing_said_once_comes_late_changes_or_goes_unseen(
    committed_db: str, postgres_server: PostgresServer, as_role: AsRole
) -> None:
    grant, (untouched, _) = revoked(as_role), scheduled(as_role)
    emergencies(as_role)
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
    tickets = PathTicket.objects.filter(pk=queue(as_role).pk)
    now = business_now()
    in_front = {"kind": PathKind.REMOVE, "rank": 0, "starts_at": now, "since": now, "front_at": now}
    why = {"kind": "leaver", "reason": "Because", "revoked_at": business_now()}
    for role in ("portal_web", "portal_worker"):
        refused_as(role, as_role, lambda: RequestScope.objects.create(item=item, account_id="1", **opened))
        refused_as(role, as_role, lambda: GrantInterval.objects.create(grant=grant, item=more, **span))
        refused_as(role, as_role, lambda: Revocation.objects.create(grant=untouched, **why))
        refused_as(role, as_role, lambda: tickets.update(front_at=business_now()))
        refused_as(role, as_role, lambda: PathTicket.objects.create(grant=untouched, **in_front))
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
            for table in (
                *FINAL,
                *WHOLE,
                "requests_app_waiver",
                "requests_app_owedreview",
                "requests_app_pathticket",
            ):
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
