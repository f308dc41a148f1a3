"""Make a key for people's own tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from identity.personal.sealing import SealError, add_key


class Command(BaseCommand):
    help = (
        "Make an X25519 key and put it first in PATH (for workers alone); prints PERSONAL_TOKEN_PUBLIC_KEY, with which "
        "the web process seals. Keys that are in PATH stay, until you take them out after `reseal_tokens`."
    )
    requires_system_checks = []  # it makes what the checks ask for

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:
        path: Path = options["path"]
        try:
            key = add_key(path)
        except SealError as error:
            raise CommandError(f"{error} It is left alone.") from error
        except OSError as error:
            raise CommandError(f"{path} can't be written: {error}") from error
        self.stdout.write(f"PERSONAL_TOKEN_PUBLIC_KEY={key.text}")
