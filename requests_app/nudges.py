"""Ringing the doorbell. Nothing depends on it being heard: the sweeper finds what is owed anyway."""

from __future__ import annotations

from uuid import UUID

import structlog
from celery import current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)


def decision(decision_id: UUID) -> None:
    """A decision waits to be checked."""
    _ring("requests_app.tasks.check_decision", str(decision_id))


def waiver(waiver_id: UUID) -> None:
    """An ask to go without an approval waits to be checked."""
    _ring("requests_app.tasks.check_waiver", str(waiver_id))


def grant(grant_id: UUID) -> None:
    """A grant may owe an action."""
    _ring("requests_app.tasks.advance", str(grant_id))


def queue() -> None:
    """The order of the queue for the narrow path has changed."""
    _ring("requests_app.tasks.call_up")


def freezes() -> None:
    """Something was frozen: what is open there has to end."""
    _ring("requests_app.tasks.carry_freezes")


def _ring(task: str, *row_ids: str) -> None:
    try:
        current_app.send_task(task, args=row_ids)
    except (OperationalError, RedisError, OSError) as error:
        log.warning("nudge_lost", task=task, row=" ".join(row_ids), error=type(error).__name__)
