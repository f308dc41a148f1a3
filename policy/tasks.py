"""Celery's side of the rules."""

from __future__ import annotations

from celery import shared_task

from policy import on_call


@shared_task(name="policy.tasks.read_on_call")
def read_on_call() -> None:
    """Ask who is on call, where a rule names a schedule."""
    on_call.read_on_call()
