"""Celery's side of exports."""

from __future__ import annotations

from celery import shared_task

from audit.exporting.running import forget_old


@shared_task(name="audit.exporting.tasks.forget_exports")
def forget_exports() -> None:
    """Delete how far exports were that began long ago."""
    forget_old()
