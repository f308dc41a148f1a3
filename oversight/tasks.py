"""Celery's side of watching. Every task may be delivered twice: runs and messages are claimed by row."""

from __future__ import annotations

from celery import shared_task

from oversight.drift.runs import Outcome, run_slice
from oversight.rules.applying import carry_changes
from oversight.rules.working_out import work_out_slice
from oversight.watching import watch as watch_once


@shared_task(name="oversight.tasks.watch")
def watch() -> None:
    """What watching owes now."""
    if watch_once() is Outcome.MORE:
        compare.delay()


@shared_task(name="oversight.tasks.compare")
def compare() -> None:
    """The next slice of a comparison; ring again when there is more."""
    if run_slice() is Outcome.MORE:
        compare.delay()


@shared_task(name="oversight.tasks.rules")
def rules() -> None:
    """Apply what a second operator accepted, then work out some of what a proposal would do; ring again for the rest."""
    carry_changes()
    if work_out_slice():
        rules.delay()
