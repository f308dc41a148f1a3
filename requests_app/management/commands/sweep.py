"""`manage.py sweep`: do everything that is owed, without Celery. The doorbell is a convenience; this is the proof."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciding import check_decision
from requests_app.actions.sweeping import sweep


class Command(BaseCommand):
    help = "Do what requests and grants owe now; with --loop, go on for ever at the sweeper's pace."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on until interrupted")

    def handle(self, *_args: Any, **options: Any) -> None:
        while True:
            done = self.one_pass()
            if not options["loop"]:
                self.stdout.write(f"{done} owed")
                return
            time.sleep(settings.SWEEP_EVERY.total_seconds())

    def one_pass(self) -> int:
        """One look, and everything that it found; gives how much that was."""
        owed = sweep()
        for decision_id in owed.decisions:
            for grant_id in check_decision(decision_id=decision_id):
                advance_grant(grant_id=grant_id)
        for grant_id in owed.grants:
            advance_grant(grant_id=grant_id)
        return len(owed.decisions) + len(owed.grants)
