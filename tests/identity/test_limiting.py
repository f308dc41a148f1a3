"""How often one person may do something: counted across processes, refused with a page, and open without Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from unittest.mock import patch

import pytest
import redis
from django.http import HttpResponse
from pytest_django import Settings

from base.errors import TooOften
from identity import limiting
from identity.limiting import ALLOWANCES, Act, Allowance, spend
from identity.models import Person
from tests.pages.conftest import World, world

__all__ = ["world"]


@pytest.fixture
def counted(settings: Settings, redis_url: str) -> Iterator[None]:
    """Two at once and one more an hour of each act, in a Redis of the tests' own."""
    settings.REDIS_URL = redis_url
    few = {act: Allowance(2, timedelta(hours=2), each.words) for act, each in ALLOWANCES.items()}
    connection = redis.Redis.from_url(redis_url)
    with patch.object(limiting, "ALLOWANCES", few), patch.object(limiting, "_silent_until", 0.0):
        yield
    for key in connection.scan_iter(match="portal:person:*"):
        connection.delete(key)


def test_a_burst_passes_and_the_next_waits_its_turn(counted: None) -> None:
    one, other = Person(pk=910_001, object_id="one"), Person(pk=910_002, object_id="other")
    for _ in range(2):
        spend(one, Act.DECIDE)
    with pytest.raises(TooOften):
        spend(one, Act.DECIDE)
    with pytest.raises(TooOften) as caught:
        spend(one, Act.DECIDE)
    assert timedelta(minutes=59) < caught.value.wait <= timedelta(hours=1), "a refusal costs nothing more"
    assert caught.value.sentence.endswith("Go on in 1 h.")
    spend(one, Act.SEARCH)
    spend(other, Act.DECIDE)


def test_without_redis_nothing_is_counted_and_it_is_not_asked_again_at_once(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    someone = Person(pk=910_003, object_id="someone")
    with (
        patch.object(limiting, "_silent_until", 0.0),
        patch.object(limiting, "_connection", wraps=limiting._connection) as asked,
    ):
        for _ in range(200):
            spend(someone, Act.SUBMIT)
    assert asked.call_count == 1


def statuses(ask: Callable[[], HttpResponse]) -> list[int]:
    """The answers to the same thing three times."""
    return [ask().status_code for _ in range(3)]


@pytest.mark.django_db
def test_an_auditor_s_pages_say_when_to_go_on(counted: None, world: World) -> None:
    auditor = world.sign_in(world.cy, "Auditor")
    assert statuses(lambda: auditor.get("/audit/?action=grant.")) == [200, 200, 429]
    refused = auditor.get("/audit/?action=grant.")
    assert "Go on in" in refused.content.decode()
    assert 3500 < int(refused["Retry-After"]) <= 3600
    assert auditor.get("/audit/").status_code == 200, "reading goes on"
    assert statuses(lambda: auditor.post("/audit/export/", form="csv")) == [200, 200, 429]


@pytest.mark.django_db
def test_forms_keep_what_was_typed(counted: None, world: World) -> None:
    ada, ben = world.sign_in(world.ada), world.sign_in(world.ben)
    item = world.ask()
    form, typed = f"/access/{world.group.object_id}/request/", "Look at the stuck deployment"
    lost = {"length": "60", "justification": typed, "start": "2001-01-01T00:00"}
    assert statuses(lambda: ada.post(form, **lost)) == [422, 422, 429]
    refused = ada.post(form, **lost).content.decode()
    assert typed in refused
    assert "Nothing was sent" in refused
    thread, decision = f"/requests/{item.request_id}/thread/", f"/approvals/{item.pk}/"
    assert statuses(lambda: ben.post(thread, words="")) == [422, 422, 429]
    assert statuses(lambda: ben.post(decision, verdict="deny", comment="")) == [422, 422, 429]
    assert statuses(lambda: ada.get("/access/?q=ec2")) == [200, 200, 429]
