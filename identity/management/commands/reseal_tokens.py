"""Seal people's tokens anew, after the key has changed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from identity.personal.keeping import reseal_all
from identity.personal.sealing import SealError


class Command(BaseCommand):
    help = (
        "Seal every person's token for the newest key of PERSONAL_TOKEN_KEYS_PATH; run it as a worker. Afterwards the "
        "older keys can be taken out of the file."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            resealed, lost = reseal_all()
        except SealError as error:
            raise CommandError(f"{error} Nothing was changed.") from error
        self.stdout.write(f"Sealed anew: {resealed}. Deleted, because no key opens them: {lost}.")
