"""A page on which it matters who decides has them read afresh, and never waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
from celery import current_app

from catalog import nudges
from catalog.models import DeciderRefresh
from catalog.sync.deciders import LEASE, refresh_deciders, unheard
from catalog.sync.engine import Outcome, run_part
from catalog.sync.intervals import DECIDER_FRESH_FOR, INTERVALS
from catalog.tasks import UNHEARD_AFTER
from clients.errors import NotPermitted
from identity.models import DirectoryGroup, DirectoryMembership, Person
from tests.support.fake_clouds import ADA, BEN, ENGINEERS, FakeClouds, a_user, guid

pytestmark = pytest.mark.django_db
type Step = Callable[[timedelta], datetime]
TASK = "catalog.tasks.refresh_deciders"


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, list[object]]]]:
    """What was rung for; nobody answers."""
    rung: list[tuple[str, list[object]]] = []
    nudges._silent_until = 0.0
    monkeypatch.setattr(current_app, "send_task", lambda name, *, args, retry: rung.append((name, args)))
    yield rung
    nudges._silent_until = 0.0


@pytest.fixture
def synced(clouds: FakeClouds, step: Step) -> FakeClouds:
    for part in INTERVALS:
        assert run_part(part) is Outcome.DONE
    step(timedelta(minutes=3))
    clouds.calls.clear()
    return clouds


type Want = Callable[[list[str], list[str]], bool]
type AsRole = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def want(as_role: AsRole) -> Want:
    """A page asks, with the rights of the web process."""

    def ask(groups: list[str], people: list[str]) -> bool:
        with as_role("portal_web"):
            return nudges.want_deciders(groups, people)

    return ask


def members() -> set[str]:
    rows = DirectoryMembership.objects.filter(group__object_id=guid(ENGINEERS))
    return set(rows.values_list("person__object_id", flat=True))


def test_who_decides_is_asked_for_once_a_minute_and_read(
    synced: FakeClouds,
    rings: list[tuple[str, list[object]]],
    step: Step,
    want: Want,
) -> None:
    asked = sorted([guid(ENGINEERS), guid(BEN)])
    assert want([guid(ENGINEERS)], [guid(BEN)])
    assert not want([guid(ENGINEERS)], [guid(BEN)])
    assert rings == [(TASK, [asked])]
    synced.users[guid(BEN)] = a_user(BEN, "Ben Renamed")
    assert refresh_deciders(asked) == 2
    assert refresh_deciders(asked) == 0, "delivered twice"
    assert Person.objects.get(object_id=guid(BEN)).display_name == "Ben Renamed"
    group = DirectoryGroup.objects.get(object_id=guid(ENGINEERS))
    assert group.synced_at == step(timedelta(0))
    step(DECIDER_FRESH_FOR - timedelta(seconds=1))
    assert not want([guid(ENGINEERS)], [guid(BEN)]), "it was just read"
    step(timedelta(seconds=2))
    assert want([guid(ENGINEERS)], [guid(BEN)])


def test_what_fails_leaves_the_last_good_data_and_is_not_asked_for_at_every_page(
    synced: FakeClouds, rings: list[tuple[str, list[object]]], step: Step, want: Want
) -> None:
    before = members()
    assert want([guid(ENGINEERS)], [])
    synced.failing["read_members"] = NotPermitted("No.", code="x")
    assert refresh_deciders([guid(ENGINEERS)]) == 1
    assert members() == before
    assert not want([guid(ENGINEERS)], [])
    step(DECIDER_FRESH_FOR + timedelta(seconds=1))
    assert want([guid(ENGINEERS)], [])


def test_a_ring_that_was_lost_and_a_worker_that_died_are_made_up_for(
    synced: FakeClouds, rings: list[tuple[str, list[object]]], step: Step, want: Want
) -> None:
    want([], [guid(ADA)])
    assert not unheard(UNHEARD_AFTER)
    step(UNHEARD_AFTER + timedelta(seconds=1))
    assert unheard(UNHEARD_AFTER) == [guid(ADA)]
    DeciderRefresh.objects.update(lease_until=step(timedelta(0)) + LEASE)
    assert not unheard(UNHEARD_AFTER)
    assert refresh_deciders([guid(ADA)]) == 0, "somebody is at it"
    step(LEASE + timedelta(seconds=1))
    assert unheard(UNHEARD_AFTER) == [guid(ADA)]
    assert refresh_deciders([guid(ADA)]) == 1
