"""A page that is opened brings fresh data about one person, and never waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from celery import current_app
from kombu.exceptions import OperationalError

from base.clock import BusinessClock, business_clock, configure
from catalog import nudges
from catalog.models import Eligibility, PersonRefresh, PimGroup, SyncRun
from catalog.sync.differences import write_differences
from catalog.sync.engine import Outcome, run_part
from catalog.sync.intervals import INTERVALS, PERSON_FRESH_FOR
from catalog.sync.person import LEASE, refresh
from catalog.tasks import UNHEARD_AFTER, sync_due
from clients.errors import NotPermitted
from identity.models import Person
from tests.support.fake_clouds import (
    ADA,
    BEN,
    BILLING,
    EC2,
    ENGINEERS,
    FakeClouds,
    a_policy,
    a_user,
    eligible,
    guid,
)

pytestmark = pytest.mark.django_db
type Step = Callable[[timedelta], datetime]


@pytest.fixture(autouse=True)
def _talkative() -> Iterator[None]:
    nudges._silent_until = 0.0
    yield
    nudges._silent_until = 0.0


@pytest.fixture
def synced(clouds: FakeClouds, step: Step) -> FakeClouds:
    for part in INTERVALS:
        assert run_part(part) is Outcome.DONE
    step(timedelta(minutes=3))
    clouds.calls.clear()
    return clouds


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[int]]]:
    """What was rung for; nobody answers."""
    heard: list[tuple[str, list[int]]] = []

    def hear(name: str, args: list[int], **_options: object) -> None:
        heard.append((name, args))

    monkeypatch.setattr(current_app, "send_task", hear)
    return heard


def person(number: int) -> Person:
    return Person.objects.get(object_id=guid(number))


def groups_of(number: int) -> set[str]:
    rows = Eligibility.objects.filter(person__object_id=guid(number))
    return set(rows.values_list("group__display_name", flat=True))


def test_new_and_lost_eligibilities_show_at_once(synced: FakeClouds) -> None:
    synced.eligibilities = [eligible(EC2, ENGINEERS), eligible(BILLING, BEN)]
    assert refresh(person(ADA).pk)
    assert refresh(person(BEN).pk)
    assert groups_of(ADA) == set()
    assert groups_of(BEN) == {"AWS - Amazon EC2 Admin", "AWS - Billing"}


def test_leaving_an_eligible_group_shows_at_once(synced: FakeClouds) -> None:
    synced.members[guid(ENGINEERS)] = []
    assert refresh(person(BEN).pk)
    assert groups_of(BEN) == set()


def test_the_person_and_the_policies_of_their_groups_are_read_too(synced: FakeClouds) -> None:
    synced.users[guid(ADA)] = a_user(ADA, "Ada Ames", surname="")
    synced.policies[guid(BILLING)] = a_policy(guid(BILLING), requires_ticket=True)
    assert refresh(person(ADA).pk)
    assert person(ADA).surname == ""
    assert PimGroup.objects.get(object_id=guid(BILLING)).requires_ticket
    assert synced.calls["group_policy"] == 2


def test_a_fresh_answer_is_not_asked_for_again(synced: FakeClouds, step: Step) -> None:
    assert refresh(person(ADA).pk)
    synced.calls.clear()
    assert not refresh(person(ADA).pk)
    assert not synced.calls
    step(PERSON_FRESH_FOR)
    assert refresh(person(ADA).pk)


def test_two_workers_do_not_read_the_same_person_at_once(synced: FakeClouds, step: Step) -> None:
    row = PersonRefresh.objects.create(person=person(ADA), lease_until=step(timedelta(0)) + LEASE)
    assert not refresh(person(ADA).pk)
    step(LEASE)
    assert refresh(person(ADA).pk)
    row.refresh_from_db()
    assert row.lease_until is None


def test_a_failure_is_noted_and_takes_nothing_away(synced: FakeClouds) -> None:
    synced.failing["principal_eligibilities"] = NotPermitted("The portal may not read eligibilities.")
    assert not refresh(person(ADA).pk)
    assert groups_of(ADA) == {"AWS - Amazon EC2 Admin", "AWS - Billing"}
    row = PersonRefresh.objects.get()
    assert (row.error, row.read_at) == ("The portal may not read eligibilities.", None)


def test_freshness_is_real_time_even_when_business_time_runs_faster(synced: FakeClouds, step: Step) -> None:
    before = business_clock()
    now = step(timedelta(0))
    configure(BusinessClock(factor=60, anchor_real=now, anchor_business=now))
    try:
        assert refresh(person(ADA).pk)
        step(PERSON_FRESH_FOR - timedelta(seconds=1))
        assert not refresh(person(ADA).pk), "an hour of business time is a minute in front of the screen"
    finally:
        configure(before)


def test_a_page_rings_once_until_it_is_answered(
    synced: FakeClouds,
    rings: list[tuple[str, list[int]]],
    step: Step,
    as_role: Callable[[str], AbstractContextManager[None]],
) -> None:
    ada = person(ADA)
    with as_role("portal_web"):
        assert nudges.want_refresh(ada)
        assert not nudges.want_refresh(ada)
    assert rings == [("catalog.tasks.refresh_person", [ada.pk])]
    assert refresh(ada.pk)
    step(nudges.PATIENCE)
    assert not nudges.want_refresh(ada), "it was just read"
    step(PERSON_FRESH_FOR)
    assert nudges.want_refresh(ada)


def test_a_broker_that_is_down_costs_one_try_and_no_page(
    synced: FakeClouds, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    tries: list[str] = []

    def refuse(name: str, **_options: object) -> None:
        tries.append(name)
        raise OperationalError("Connection refused")

    monkeypatch.setattr(current_app, "send_task", refuse)
    assert not nudges.want_refresh(person(ADA))
    assert not nudges.want_refresh(person(BEN))
    assert len(tries) == 1, "the next page doesn't try at once"
    assert PersonRefresh.objects.filter(wanted_at__isnull=False).count() == 2, "the wish is kept"


def test_a_broker_that_nobody_listens_at_is_given_up_within_two_seconds(
    synced: FakeClouds, settings: object
) -> None:
    # The test environment's REDIS_URL names a port at which nothing listens.
    began = time.monotonic()
    assert not nudges.want_refresh(person(ADA))
    assert time.monotonic() - began < 2


def test_a_ring_that_was_lost_is_made_up_for(
    synced: FakeClouds, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    rung: list[int] = []
    monkeypatch.setattr("catalog.tasks.refresh_person", SimpleNamespace(delay=rung.append))
    PersonRefresh.objects.create(person=person(ADA), wanted_at=step(timedelta(0)))
    sync_due()
    assert rung == []
    step(UNHEARD_AFTER + timedelta(seconds=1))
    sync_due()
    assert rung == [person(ADA).pk]


def test_the_periodic_task_works_on_what_is_due(clouds: FakeClouds, step: Step) -> None:
    sync_due()
    assert set(SyncRun.objects.values_list("part", "status")) == {
        (part.value, "succeeded") for part in INTERVALS
    }
    clouds.calls.clear()
    sync_due()
    assert not clouds.calls


def test_while_one_worker_reads_the_others_are_left_to_people(clouds: FakeClouds, step: Step) -> None:
    now = step(timedelta(0))
    SyncRun.objects.create(part=SyncRun.Part.GROUPS, started_at=now, lease_until=now + LEASE)
    sync_due()
    succeeded = SyncRun.objects.filter(status=SyncRun.Status.SUCCEEDED)
    assert list(succeeded.values_list("part", flat=True)) == ["provisioning"]
    step(LEASE)
    sync_due()
    assert succeeded.count() == len(INTERVALS)


def test_the_periodic_sync_and_a_refresh_may_write_the_same_row(synced: FakeClouds) -> None:
    row = Eligibility.objects.filter(person=person(ADA))[0]
    values = {"person_id": row.person_id, "group_id": row.group_id, "instance_id": row.instance_id}
    count = Eligibility.objects.count()
    write_differences(Eligibility, existing={}, wanted={row.instance_id: values}, contended=True)
    assert Eligibility.objects.count() == count
