"""How long each part of the way takes: measured on this installation's own grants, or said to be unknown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from base.clock import business_now
from requests_app.estimates import MOST_HISTORY, hop, hops
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant
from tests.pages.moving import bring
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole

pytestmark = pytest.mark.django_db


def arrived(as_role: AsRole, *seconds: float) -> None:
    """Grants that were read back in AWS so many seconds after Entra had them."""
    boss, now = make.person(), business_now()
    for each in seconds:
        person, group = make.person(), make.pim_group(accounts=1)
        rule = make.rule(boss, groups=(group,))
        with as_role("portal_web"):
            item = make.pending_item(person, group, rule)
        grant = bring(make.scheduled_grant(item), GrantStatus.ACTIVE)
        Grant.objects.filter(pk=grant.pk).update(
            seen_in_entra_at=now, arrived_at=now + timedelta(seconds=each)
        )


def test_nothing_is_claimed_before_anything_was_measured() -> None:
    assert [each.key for each in hops()] == ["into_entra", "into_aws", "out_of_entra", "out_of_aws"]
    assert {(each.typical, each.slow, each.measured_on) for each in hops()} == {(None, None, 0)}
    assert hop("into_aws").words == "How long this takes has not been measured here yet."


def test_half_and_nineteen_of_twenty(as_role: AsRole) -> None:
    arrived(as_role, *range(1, 21))
    measured = hop("into_aws")
    assert measured.measured_on == 20
    assert measured.typical == timedelta(seconds=10.5)
    assert measured.slow == timedelta(seconds=19.05)
    assert "20 times here" in measured.words
    assert hop("out_of_aws").measured_on == 0


def test_each_is_one_bounded_query_with_an_index(as_role: AsRole) -> None:
    arrived(as_role, 1, 2, 3)
    with CaptureQueriesContext(connection) as asked:
        hops()
    assert len(asked.captured_queries) == 4
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for query in asked.captured_queries:
            assert f"LIMIT {MOST_HISTORY}" in query["sql"]
            cursor.execute(f"EXPLAIN {query['sql']}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Index Scan" in plan, plan
            assert "Sort" not in plan, plan
