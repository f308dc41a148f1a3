"""Managers are read by workers, and only while a rule describes somebody by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from catalog.models import SyncRun
from catalog.sync import directory
from catalog.sync.directory import Interest
from catalog.sync.engine import Outcome, run_part
from catalog.sync.intervals import INTERVALS
from catalog.sync.managers import MANAGER_BELIEVED_FOR, MANAGER_STALE_AFTER, believed
from catalog.sync.person import refresh
from clients.errors import NotPermitted
from identity.models import Person
from tests.support.fake_clouds import ADA, BEN, FakeClouds, guid

pytestmark = pytest.mark.django_db
type Step = Callable[[timedelta], datetime]


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, somebody needs to know managers."""
    return lambda: monkeypatch.setattr(
        directory, "_interests", [lambda: Interest(frozenset(), frozenset(), managers=True)]
    )


def test_nobodys_manager_is_read_until_a_rule_needs_it_and_then_at_its_pace(
    clouds: FakeClouds, step: Step, wanted: Callable[[], None]
) -> None:
    clouds.managers = {guid(ADA): guid(BEN).upper()}
    for part in INTERVALS:
        assert run_part(part) is Outcome.DONE
    assert clouds.calls["read_manager"] == 0
    wanted()
    step(timedelta(minutes=11))
    assert run_part(SyncRun.Part.DIRECTORY) is Outcome.DONE
    ada = Person.objects.get(object_id=guid(ADA))
    assert ada.manager_object_id == guid(BEN)
    assert believed(ada.manager_read_at)
    asked = clouds.calls["read_manager"]
    step(timedelta(minutes=11))
    run_part(SyncRun.Part.DIRECTORY)
    assert clouds.calls["read_manager"] == asked, "fresh enough"
    step(MANAGER_STALE_AFTER)
    clouds.managers = {}
    run_part(SyncRun.Part.DIRECTORY)
    ada.refresh_from_db()
    assert ada.manager_object_id == ""


def test_opening_the_form_reads_ones_own_and_what_may_not_be_read_ages(
    clouds: FakeClouds, step: Step, wanted: Callable[[], None]
) -> None:
    for part in INTERVALS:
        assert run_part(part) is Outcome.DONE
    wanted()
    step(timedelta(minutes=3))
    clouds.managers = {guid(ADA): guid(BEN)}
    ada = Person.objects.get(object_id=guid(ADA))
    assert refresh(ada.pk)
    ada.refresh_from_db()
    assert ada.manager_object_id == guid(BEN)
    clouds.failing["read_manager"] = NotPermitted("The worker may not read this.")
    step(MANAGER_BELIEVED_FOR + timedelta(minutes=1))
    assert refresh(ada.pk), "all the rest is read nevertheless"
    ada.refresh_from_db()
    assert not believed(ada.manager_read_at)
