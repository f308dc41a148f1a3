"""Proof that somebody works: workers say after each task that they and it ran, at most every few seconds."""

from __future__ import annotations

import time

import structlog
from django.db import DatabaseError

from base.clock import real_now
from oversight.models import Heartbeat

log = structlog.get_logger(__name__)

EVERY_SECONDS = 5.0
_said: dict[str, float] = {}


def ran(task: str, worker: str) -> None:
    """Note that a worker has just ended a task. Never fails: the work is done, whatever becomes of the note."""
    for name in (f"task:{task}", f"worker:{worker}"):
        beat(name[:128])


def beat(name: str) -> None:
    """Note one sign of life, at most every five seconds for each name and process."""
    now = time.monotonic()
    if now - _said.get(name, -EVERY_SECONDS) < EVERY_SECONDS:
        return
    _said[name] = now
    try:
        Heartbeat.objects.update_or_create(name=name, defaults={"seen_at": real_now()})
    except DatabaseError as error:
        log.warning("heartbeat_lost", name=name, error=type(error).__name__)
