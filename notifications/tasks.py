"""Celery's side of telling people. A task may run twice or never: messages are rows."""

from __future__ import annotations

from celery import shared_task

from notifications.telling import tell as tell_once


@shared_task(name="notifications.tasks.tell")
def tell() -> None:
    """Plan and send what is owed to people now."""
    tell_once()
