"""`manage.py reconcile`: after a restore, before the workers start: bring this database in line with the world."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from oversight.restoring import reconcile


class Command(BaseCommand):
    help = "Rebuild forgotten grants from PIM's marks, and make findings of what this database can't explain."

    def handle(self, *_args: Any, **_options: Any) -> None:
        done = reconcile()
        self.stdout.write(f"{done.rebuilt} grants rebuilt, {done.found} new findings")
        if done.not_looked:
            raise CommandError(
                f"{done.not_looked} groups could not be read; the page about drift says why. Run it again."
            )
