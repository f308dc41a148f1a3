"""Ringing for the worker that applies changes and works out their effect. It would come by in seconds anyway."""

from __future__ import annotations

import structlog
from celery import current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)


def nudge() -> None:
    """A change was proposed or accepted."""
    try:
        current_app.send_task("oversight.tasks.rules")
    except (OperationalError, RedisError, OSError) as error:
        log.warning("nudge_lost", task="oversight.tasks.rules", error=type(error).__name__)
