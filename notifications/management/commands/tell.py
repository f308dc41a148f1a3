"""`manage.py tell`: tell people without Celery, as `manage.py sweep` works without it."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any, NoReturn

import structlog
from django.core.management.base import BaseCommand
from django.db import close_old_connections

from notifications.telling import tell

log = structlog.get_logger(__name__)

EVERY_SECONDS = 5.0


class Command(BaseCommand):
    help = "Plan messages for what has happened and send what is owed; with --loop, for ever."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on until interrupted")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["loop"]:
            self._loop()
        planned, sent = tell()
        self.stdout.write(f"{planned} planned, {sent} sent")

    def _loop(self) -> NoReturn:
        while True:
            try:
                tell()
            except Exception as error:
                log.exception("tell_failed", error=type(error).__name__)
            close_old_connections()
            time.sleep(EVERY_SECONDS)
