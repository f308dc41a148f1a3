"""What pages say about the age of the catalogue and about provisioning."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog.freshness import HealthState, ages, judge_provisioning, provisioning_health, read_at
from catalog.models import ProvisioningState, SyncRun
from catalog.sync.engine import Outcome, run_part
from catalog.sync.intervals import INTERVALS, OVERDUE_AFTER
from clients.errors import NotPermitted
from clients.types import ProvisioningCode
from tests.support.fake_clouds import FakeClouds

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def a_state(**changes: Any) -> ProvisioningState:
    values = {"code": "Active", "last_cycle_completed": True, "observed_at": NOW, **changes}
    return ProvisioningState(**values)


@pytest.mark.parametrize(
    ("state", "health", "blocks"),
    [
        (a_state(), HealthState.WELL, False),
        (a_state(last_cycle_completed=False), HealthState.SLOW, False),
        (a_state(code="Quarantine", quarantine_reason="TooManyDeletes"), HealthState.STOPPED, True),
        (a_state(code="Paused"), HealthState.STOPPED, True),
        (a_state(code="NotRun"), HealthState.STOPPED, True),
        (a_state(code="NotConfigured"), HealthState.STOPPED, True),
        (a_state(code="Unknown"), HealthState.UNKNOWN, True),
        (a_state(code="SomethingNew"), HealthState.UNKNOWN, True),
        (a_state(observed_at=NOW - OVERDUE_AFTER - timedelta(seconds=1)), HealthState.UNKNOWN, True),
        (None, HealthState.UNKNOWN, True),
    ],
)
def test_what_the_state_of_provisioning_means(
    state: ProvisioningState | None, health: HealthState, blocks: bool
) -> None:
    judged = judge_provisioning(state, NOW)
    assert (judged.state, judged.blocks) == (health, blocks)
    assert bool(judged.sentence) == (health is not HealthState.WELL)


def test_the_reason_of_a_quarantine_is_told() -> None:
    state = a_state(code=ProvisioningCode.QUARANTINE, quarantine_reason="EncounteredQuarantineException")
    assert "EncounteredQuarantineException" in judge_provisioning(state, NOW).sentence


@pytest.mark.django_db
def test_health_is_one_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert provisioning_health().state is HealthState.UNKNOWN


@pytest.mark.django_db
def test_the_oldest_part_gives_the_age_and_a_failure_its_sentence(
    clouds: FakeClouds, step: Callable[[timedelta], datetime], django_assert_num_queries: Any
) -> None:
    assert read_at() is None
    first = step(timedelta(0))
    for part in INTERVALS:
        assert run_part(part) is Outcome.DONE
    step(timedelta(minutes=5))
    clouds.failing["group_eligibilities"] = NotPermitted("The portal may not read eligibilities.")
    assert run_part(SyncRun.Part.ELIGIBILITIES) is Outcome.FAILED
    assert run_part(SyncRun.Part.PROVISIONING) is Outcome.DONE
    with django_assert_num_queries(1):
        by_part = {age.part: age for age in ages()}
    assert by_part["eligibilities"].problem == "The portal may not read eligibilities."
    assert by_part["eligibilities"].read_at == first
    assert by_part["provisioning"].read_at == first + timedelta(minutes=5)
    assert read_at() == first
    clouds.failing.clear()
    assert run_part(SyncRun.Part.ELIGIBILITIES) is Outcome.DONE
    assert not any(age.problem for age in ages())
