"""`manage.py oversee`: watch without Celery, as `manage.py sweep` works without it."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any, NoReturn

import structlog
from django.core.management.base import BaseCommand
from django.db import close_old_connections

from audit.ledger.scheduled import go_on
from oversight.drift.runs import Outcome, run_slice
from oversight.heartbeats import beat
from oversight.rules.applying import carry_changes
from oversight.rules.working_out import work_out_slice
from oversight.watching import watch

log = structlog.get_logger(__name__)

EVERY_SECONDS = 15.0


class Command(BaseCommand):
    help = (
        "Compare portal, PIM and AWS when it is owed, raise, clear and send alerts, apply accepted changes of the rules, "
        "and verify a piece of the trail when that is due; with --loop, for ever."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on until interrupted")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["loop"]:
            self._loop()
        one_pass()

    def _loop(self) -> NoReturn:
        while True:
            try:
                one_pass()
            except Exception as error:
                log.exception("oversee_failed", error=type(error).__name__)
            close_old_connections()
            time.sleep(EVERY_SECONDS)


def one_pass() -> None:
    """Everything that watching owes now, to the end of a comparison, what is owed to changes of the rules, and of a
    verification one piece.
    """
    carry_changes()
    while work_out_slice():
        carry_changes()
    outcome = watch()
    while outcome is Outcome.MORE:
        outcome = run_slice()
    go_on()
    beat("task:oversight.tasks.watch")
