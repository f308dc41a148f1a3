"""Celery's side of identity."""

from __future__ import annotations

from celery import shared_task

from identity.personal.keeping import clear_expired_tokens
from identity.signin.sessions import clear_expired


@shared_task(name="identity.tasks.clear_expired_sessions")
def clear_expired_sessions() -> None:
    """Take away what is left of sessions that nobody closed, and tokens that nobody may use any more."""
    clear_expired()
    clear_expired_tokens()
