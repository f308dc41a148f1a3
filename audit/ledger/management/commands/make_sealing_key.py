"""Make the key that seals the audit trail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.ledger.keys import make_key, public_path


class Command(BaseCommand):
    help = "Make an Ed25519 key: PATH (private, for the sealer alone) and PATH.pub (for whoever verifies)."
    requires_system_checks = []  # it makes what the checks ask for

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:
        path: Path = options["path"]
        try:
            key = make_key(path)
        except FileExistsError:
            raise CommandError(f"{path} exists already and is left alone.") from None
        except OSError as error:
            raise CommandError(f"{path} can't be written: {error}") from error
        self.stdout.write(f"Key {key.id}: {path}, public half {public_path(path)}.")
