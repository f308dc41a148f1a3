"""Checking a decision when a cloud, or something of our own, fails: unknown is never a yes, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from unittest.mock import Mock

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import IntegrityError
from structlog.testing import capture_logs

from base.errors import Conflict
from requests_app.actions import deciding
from requests_app.actions.deciding import check_decision
from requests_app.models import Decision
from tests.requests_app.deciding_scene import play
from tests.support.stage import Stage

__all__ = ["play"]

pytestmark = pytest.mark.django_db


# ------------------------------------------------------------ a cloud that can't be read is never a yes


@pytest.mark.parametrize(
    "operation",
    [
        "graph.GET users",
        "graph.GET eligibilityScheduleInstances",
        "graph.GET roleManagementPolicyAssignments",
        "graph.GET jobs",
    ],
)
def test_unreachable_means_wait(play: Stage, operation: str) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    fault = play.world.faults.add(operation, "error", status=503, count=None)
    assert check_decision(decision_id=decision_id) == ()
    decision = Decision.objects.get(pk=decision_id)
    assert decision.status == "submitted"
    assert decision.reason.startswith("Waiting for the check: ")
    assert decision.retry_at is not None
    assert decision.lease_until is None
    play.world.faults.remove(fault.id)
    play.step(timedelta(seconds=5))
    assert len(check_decision(decision_id=decision_id)) == 1
    assert Decision.objects.get(pk=decision_id).reason == ""


def test_throttled_waits_as_long_as_it_is_told(play: Stage) -> None:
    decision_id = play.decide(play.ask())
    play.world.faults.add("graph.GET users", "throttle", retry_after=37)
    check_decision(decision_id=decision_id)
    play.step(timedelta(seconds=36))
    assert check_decision(decision_id=decision_id) == (), "not before Entra wants to be asked again"
    assert Decision.objects.get(pk=decision_id).status == "submitted"
    play.step(timedelta(seconds=2))
    assert len(check_decision(decision_id=decision_id)) == 1


def test_a_decision_that_another_worker_holds_is_left_alone(play: Stage) -> None:
    decision_id = play.decide(play.ask())
    Decision.objects.filter(pk=decision_id).update(lease_until=play.time.now + timedelta(seconds=30))
    assert check_decision(decision_id=decision_id) == ()
    assert Decision.objects.get(pk=decision_id).status == "submitted"
    play.step(timedelta(seconds=31))
    assert len(check_decision(decision_id=decision_id)) == 1


# ------------------------------------------------------------ what nobody thought of leaves a trace


def failing(error: Exception) -> Callable[[Decision], tuple[str, None]]:
    def check(_: Decision) -> tuple[str, None]:
        raise error

    return check


@pytest.mark.parametrize("error", [SoftTimeLimitExceeded(), TypeError("of our own making")])
def test_an_error_that_nobody_expected_is_counted_and_goes_on_to_the_caller(
    play: Stage, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    decision_id = play.decide(play.ask())
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(deciding, "_check", failing(error))
        with pytest.raises(type(error)):
            check_decision(decision_id=decision_id)
    decision = Decision.objects.get(pk=decision_id)
    assert (decision.status, decision.failures, decision.lease_until) == ("submitted", 1, None)
    assert decision.retry_at is not None
    assert decision.retry_at > play.time.now
    assert decision.reason == "Waiting for the check: it failed inside the portal and is tried again."
    assert {"event": "decision_failed", "error": type(error).__name__}.items() <= logs[-1].items()
    assert logs[-1]["log_level"] == "error"
    play.step(timedelta(seconds=5))
    assert len(check_decision(decision_id=decision_id)) == 1


@pytest.mark.parametrize("error", [IntegrityError("a constraint"), Conflict("item.moved", "Too late.")])
def test_a_refusal_of_the_database_or_the_table_is_counted_and_tried_again(
    play: Stage, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    decision_id = play.decide(play.ask())
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(deciding, "_settle", Mock(side_effect=error))
        assert check_decision(decision_id=decision_id) == ()
    decision = Decision.objects.get(pk=decision_id)
    assert (decision.status, decision.failures, decision.lease_until) == ("submitted", 1, None)
    assert {"event": "decision_failed", "error": type(error).__name__}.items() <= logs[-1].items()


def test_a_decision_that_failed_for_days_is_still_tried(play: Stage) -> None:
    decision_id = play.decide(play.ask())
    Decision.objects.filter(pk=decision_id).update(failures=5000)
    play.world.faults.add("graph.GET users", "error", status=503)
    assert check_decision(decision_id=decision_id) == ()
    play.step(timedelta(minutes=2))
    assert len(check_decision(decision_id=decision_id)) == 1
