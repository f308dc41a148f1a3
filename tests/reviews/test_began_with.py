"""What an access review began with, and who reviews in it: changed past the trail, it is refused or found."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.db.transaction import atomic, set_rollback
from pytest_django import Settings

from base.clock import business_now
from reviews.campaigns import add_reviewer, remove_reviewer, start_campaign
from reviews.models import ReviewEntry, Reviewer
from reviews.unexplained import unexplained_reviews
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer, pointed_at

type AsRole = Callable[[str], AbstractContextManager[None]]

# What the owner does, each of which is refused, and found once nothing is in the way.
ANOTHER = "(SELECT max(id) FROM identity_person)"
OTHER = "(SELECT max(id) FROM catalog_pimgroup)"
FIRST = "WHERE id = (SELECT min(id) FROM {})"
ENTRY, REVIEWER = (FIRST.format(f"reviews_{table}") for table in ("reviewentry", "reviewer"))
COPIED = "INSERT INTO reviews_{0} (person_id, {1}) SELECT {2}, {1} FROM reviews_{0} LIMIT 1"
ADDED = COPIED.format("reviewentry", "campaign_id, group_id, through, direct, verdict, reason", ANOTHER)
PAST_THE_GUARDS = (
    f"UPDATE reviews_reviewentry SET person_id = {ANOTHER} {ENTRY}",  # noqa: S608 - of names that stand here
    "UPDATE reviews_reviewentry SET direct = NOT direct",
    "UPDATE reviews_reviewentry SET through = 'Everybody'",
    f"DELETE FROM reviews_reviewentry {ENTRY}",  # noqa: S608 - likewise
    ADDED,
    f"UPDATE reviews_reviewer SET person_id = {ANOTHER} {REVIEWER}",  # noqa: S608 - likewise
    f"DELETE FROM reviews_reviewer {REVIEWER}",  # noqa: S608 - likewise
    "DELETE FROM reviews_reviewer WHERE id = (SELECT max(id) FROM reviews_reviewer)",
    COPIED.format("reviewer", "campaign_id, group_id", ANOTHER),
    "UPDATE reviews_campaign SET reviewed_by = 'deciders'",
    "UPDATE reviews_unowned SET why = 'nobody'",
    "DELETE FROM reviews_unowned",
    f"INSERT INTO reviews_unowned (campaign_id, group_id, why) SELECT campaign_id, {OTHER}, why FROM reviews_unowned",  # noqa: S608 - likewise
)
REFUSED = r"began with stays|comes when it starts|how they came or went"


def found() -> list[str]:
    return [each.code for each in unexplained_reviews(None)]


def test_a_review_is_of_what_it_began_with_and_reviewers_come_and_go_with_events(
    committed_db: str, postgres_server: PostgresServer, as_role: AsRole, settings: Settings
) -> None:
    settings.ENTRA_TENANT_ID = make.TENANT
    ada, ben, cy, dee = (make.person(name) for name in ("Ada", "Ben", "Cy", "Dee"))
    group, _ = make.pim_group("AWS - Reviewed"), make.pim_group("AWS - Not reviewed")
    make.rule(ben, cy, groups=(group,))
    for person in (ada, dee):
        make.eligibility(person, group)
    actor, stranger = make.actor(ben), make.person("Zoe")
    with as_role("portal_web"):
        review = start_campaign(name="Autumn", due_on=business_now().date(), begins="", by=ben, actor=actor)
        of: dict[str, Any] = {"campaign_id": review, "group_object_id": group.object_id, "actor": actor}
        for _ in range(2):
            remove_reviewer(object_id=cy.object_id, **of)
            add_reviewer(who=cy.object_id, **of)
            add_reviewer(who=dee.object_id, **of)
            remove_reviewer(object_id=dee.object_id, **of)
        add_reviewer(who=ada.object_id, **of)
        entry = {"campaign_id": review, "group": group, "person": stranger, "direct": True}
        with pytest.raises(DatabaseError, match="comes when it starts"), atomic():
            ReviewEntry.objects.bulk_create([ReviewEntry(**entry)])
        with pytest.raises(DatabaseError, match="how they came or went"), atomic():
            Reviewer.objects.create(campaign_id=review, group=group, person=stranger)
        with pytest.raises(DatabaseError, match="as an owner comes when it starts"), atomic():
            Reviewer.objects.create(campaign_id=review, group=group, person=stranger, as_owner=True)
        with pytest.raises(DatabaseError, match="how they came or went"), atomic():
            Reviewer.objects.filter(person=ada).delete()
    with as_role("portal_sealer"):
        assert found() == []

    with pointed_at(postgres_server, committed_db, role="postgres"), connection.cursor() as cursor:
        for statement in PAST_THE_GUARDS:
            with pytest.raises(DatabaseError, match=REFUSED), atomic():
                cursor.execute(statement)
        for table in ("reviews_reviewentry", "reviews_reviewer", "reviews_unowned", "reviews_campaign"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement in PAST_THE_GUARDS:
            with atomic():
                cursor.execute(statement)
                assert found() == ["change_unexplained"], statement
                set_rollback(True)
        # Closed, and its start gone with a removed month: nothing is added to it any more.
        for table in ("reviews_campaign", "audit_event"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        cursor.execute("UPDATE reviews_campaign SET closed_at = now(), closed_by_id = started_by_id")
        cursor.execute("DELETE FROM audit_event WHERE type = 'review.started'")
        cursor.execute("ALTER TABLE reviews_reviewentry ENABLE ALWAYS TRIGGER told")
        with pytest.raises(DatabaseError, match="comes when it starts"), atomic():
            cursor.execute(ADDED)
