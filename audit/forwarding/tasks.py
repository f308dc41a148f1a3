"""Celery's side of carrying the trail away. A task may run twice or never: each stream's place is a row."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from audit.forwarding.carrying import carry as carry_once
from audit.forwarding.carrying import due


@shared_task(name="audit.forwarding.tasks.forward")
def forward() -> None:
    """Ring for each stream that has something to carry: a task of its own, so that none waits for another."""
    for name in due(settings.AUDIT_STREAMS):
        carry.apply_async((name,), expires=2 * settings.FORWARD_EVERY.total_seconds())


@shared_task(name="audit.forwarding.tasks.carry")
def carry(name: str) -> None:
    """Carry what one stream lacks."""
    carry_once(name)
