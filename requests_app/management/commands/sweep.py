"""`manage.py sweep`: do everything that is owed, without Celery. The doorbell is a convenience; this is the proof."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, NoReturn
from uuid import UUID

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import close_old_connections

from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciding import check_decision
from requests_app.actions.sweeping import sweep
from requests_app.waivers.settling import check_waiver

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Do what requests and grants owe now; with --loop, go on for ever at the sweeper's pace."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on until interrupted")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["loop"]:
            self._loop()
        done, failed = self.one_pass()
        self.stdout.write(f"{done} owed")
        if failed:
            raise CommandError(f"{failed} of {done} failed. The log names the rows; the others were done.")

    def _loop(self) -> NoReturn:
        """For ever: what breaks one pass, such as a database that restarts, is logged."""
        while True:
            try:
                self.one_pass()
            except Exception as error:
                log.exception("sweep_failed", error=type(error).__name__)
            close_old_connections()
            time.sleep(settings.SWEEP_EVERY.total_seconds())

    def one_pass(self) -> tuple[int, int]:
        """One look, and everything that it found; gives how much that was, and how much of it broke."""
        owed = sweep()
        failed = sum(not _done(waiver_id, _settle) for waiver_id in owed.waivers)
        failed += sum(not _done(decision_id, _check) for decision_id in owed.decisions)
        failed += sum(not _done(grant_id, _advance) for grant_id in owed.grants)
        return len(owed.waivers) + len(owed.decisions) + len(owed.grants), failed


def _done(row_id: UUID, action: Callable[[UUID], None]) -> bool:
    """Do it; a row that breaks is logged and keeps no other from its turn."""
    try:
        action(row_id)
    except Exception as error:
        log.exception("sweep_failed", row=str(row_id), error=type(error).__name__)
        return False
    return True


def _settle(waiver_id: UUID) -> None:
    for grant_id in check_waiver(waiver_id=waiver_id):
        advance_grant(grant_id=grant_id)


def _check(decision_id: UUID) -> None:
    for grant_id in check_decision(decision_id=decision_id):
        advance_grant(grant_id=grant_id)


def _advance(grant_id: UUID) -> None:
    advance_grant(grant_id=grant_id)
