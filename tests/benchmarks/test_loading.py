"""What the loader makes past the guards is what they would have let through, and they are back afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from django.db import DatabaseError
from pytest_django import DjangoDbBlocker

from audit.ledger.models import Event
from audit.ledger.recorder import Actor, record_alone
from audit.ledger.verifying import verify
from benchmarks.loading import World, load
from benchmarks.setting import acting_as, database
from requests_app.models import Grant, RequestItem
from tests.benchmarks.test_setups import MUCH
from tests.support.servers import PostgresServer

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def world(postgres_server: PostgresServer, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with django_db_blocker.unblock(), database(postgres_server) as name:
        yield load(postgres_server, name, MUCH)


def test_the_trail_tells_of_every_row_and_hides_nothing(
    postgres_server: PostgresServer, world: World
) -> None:
    with acting_as(postgres_server, world.name, "worker"):
        report = verify({}, most_findings=10_000)
        statuses = Counter(RequestItem.objects.values_list("status", flat=True))
        assert statuses["pending"] == MUCH.size.pending + 1, "one was played"
        assert Grant.objects.filter(status="active").count() == MUCH.active + 1
        everything = Event.objects.count()
    assert {finding.code for finding in report.findings} == {"event_unsealed"}
    assert report.unsealed + len(report.findings) == everything
    assert everything - world.events in (0, 1), "another test here adds one, and may come first"
    assert abs(world.events - MUCH.events) < MUCH.events / 5


def test_every_column_says_what_its_text_says(postgres_server: PostgresServer, world: World) -> None:
    with acting_as(postgres_server, world.name, "worker"):
        event = record_alone("signin.refused", actor=Actor.anonymous(), fields={"reason": "x", "code": "y"})
        assert Event.objects.get(pk=event).type == "signin.refused", "what comes later is derived again"
        for each in Event.objects.all():
            assert each.type == each.data["type"]
            assert each.outcome == each.data["outcome"]
            assert each.actor_kind == each.data["actor"]["kind"]
            assert each.actor_oid == each.data["actor"].get("oid", "")
            assert (each.about_oid, each.group_oid) == (
                each.data.get("about", ""),
                each.data.get("group", ""),
            )
            assert str(each.request_id or "") == each.data.get("request", "")
            assert str(each.grant_id or "") == each.data.get("grant", "")


def test_the_guards_are_back(postgres_server: PostgresServer, world: World) -> None:
    with acting_as(postgres_server, world.name, "worker"):
        with pytest.raises(DatabaseError, match="no step"):
            RequestItem.objects.filter(status="denied").update(status="pending", version=3)
        with pytest.raises(DatabaseError, match=r"only grows|permission denied"):
            Event.objects.all().delete()
