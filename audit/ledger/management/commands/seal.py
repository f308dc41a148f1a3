"""Seal the audit trail, once or for as long as the process lives."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.ledger.anchoring import start
from audit.ledger.keys import KeyFileError, load_key
from audit.ledger.places import configured
from audit.ledger.sealing import Sealer, seal_everything


class Command(BaseCommand):
    help = "Seal all events of the audit trail that aren't sealed yet."
    requires_system_checks = ["portal", Tags.security]  # not those of pages, which it doesn't need

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on every second until terminated")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not settings.SEALING_KEY_PATH:
            raise CommandError("SEALING_KEY_PATH names no key; `manage.py make_sealing_key PATH` makes one.")
        try:
            key = load_key(Path(settings.SEALING_KEY_PATH))
        except KeyFileError as problem:
            raise CommandError(str(problem)) from problem
        if not options["loop"]:
            self.stdout.write(f"Sealed {seal_everything(key)} events.")
            return
        sealer = Sealer(key)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sealer.stop.set())
        self.stdout.write(f"Sealing with key {key.id}.")
        start(configured(), sealer.stop)
        sealer.run()
