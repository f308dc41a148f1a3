"""Workers that are behind, with the Celery and the Redis of production: rings for the same rows don't pile up."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from django.conf import settings
from pytest_django import Settings
from redis import Redis

from requests_app import tasks
from requests_app.actions.sweeping import Owed

OWED = Owed(decisions=(uuid4(), uuid4()), grants=(uuid4(), uuid4(), uuid4()))
LAST, ALL_HEARD = uuid4(), threading.Event()
IN_TURNS = [OWED.grants[0], OWED.decisions[0], OWED.grants[1], OWED.decisions[1], OWED.grants[2]]


@pytest.fixture
def broker(redis_url: str) -> Iterator[Celery]:
    """The portal's Celery with the test's Redis; everything that is sent goes there."""
    app = Celery("backlog", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.update(
        broker_url=redis_url, task_default_queue=f"backlog-{uuid4()}", task_queues=None, task_routes={}
    )
    send = Celery.send_task
    with patch.object(Celery, "send_task", lambda _app, *args, **options: send(app, *args, **options)):
        yield app
    with Redis.from_url(redis_url) as redis:
        redis.delete(app.conf.task_default_queue)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The rows for which a task was run."""
    rows: list[UUID] = []

    def check(*, decision_id: UUID) -> tuple[UUID, ...]:
        if decision_id == LAST:
            ALL_HEARD.set()
        else:
            rows.append(decision_id)
        return ()

    monkeypatch.setattr(tasks, "sweep_action", lambda: OWED)
    monkeypatch.setattr(tasks, "check_decision_action", check)
    monkeypatch.setattr(tasks, "advance_grant", lambda *, grant_id: rows.append(grant_id))
    monkeypatch.setattr("oversight.heartbeats.beat", lambda _name: None)
    monkeypatch.setattr("accessportal.checks.refuse_misconfiguration", lambda: None)
    monkeypatch.setattr("accessportal.recorded_settings.record_at_start", lambda: None)
    return rows


def waiting(app: Celery) -> int:
    """Messages in the queue."""
    with Redis.from_url(app.conf.broker_url) as redis:
        return int(redis.llen(app.conf.task_default_queue))


def work_until_all_is_heard(app: Celery) -> None:
    """A worker that ends once it has come to the message that is sent last here."""
    ALL_HEARD.clear()
    tasks.check_decision.delay(str(LAST))
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        assert ALL_HEARD.wait(30)


def test_a_row_that_was_rung_for_in_every_sweep_is_worked_on_once(
    broker: Celery, done: list[UUID], settings: Settings
) -> None:
    settings.SWEEP_EVERY = timedelta(0)  # as if two periods had passed since
    for _ in range(9):
        tasks.sweep()
    settings.SWEEP_EVERY = timedelta(seconds=60)
    tasks.sweep()
    assert waiting(broker) == 10 * len(IN_TURNS)
    work_until_all_is_heard(broker)
    assert Counter(done) == Counter(IN_TURNS)
    assert done == IN_TURNS, "decisions and grants in turns"


def test_sweeps_that_nobody_ran_in_time_ring_for_nothing(broker: Celery, done: list[UUID]) -> None:
    """Beat goes on while all workers are down; what they find afterwards is one sweep, not an hour of them."""
    entry = settings.CELERY_BEAT_SCHEDULE["sweep"]
    for _ in range(9):
        tasks.sweep.apply_async(**{**entry["options"], "expires": 0})
    tasks.sweep.apply_async(**entry["options"])
    work_until_all_is_heard(broker)  # the sweeps
    work_until_all_is_heard(broker)  # and what they rang for
    assert Counter(done) == Counter(IN_TURNS)
