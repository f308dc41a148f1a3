"""Erase what people wrote once its retention time is over."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.ledger.canonical import instant
from audit.ledger.erasure import erase_due
from audit.ledger.retention import RetentionError
from audit.ledger.row_words import erase_rows_due


class Command(BaseCommand):
    help = (
        "Delete the words and names beside events, and the same words in rows, whose time by AUDIT_WORDS_KEPT_DAYS is over, "
        "for good; the events and every proof stay. Run it as a worker; beat does the same every hour."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would go first, and erase nothing"
        )

    def handle(self, *_args: Any, dry_run: bool, **_options: Any) -> None:
        if not settings.AUDIT_WORDS_KEPT_DAYS.strip():
            self.stdout.write("AUDIT_WORDS_KEPT_DAYS is empty: words are kept for ever. Nothing was erased.")
            return
        try:
            done = erase_due(settings.AUDIT_WORDS_KEPT_DAYS, dry_run=dry_run)
            in_rows = erase_rows_due(settings.AUDIT_WORDS_KEPT_DAYS, dry_run=dry_run)
        except RetentionError as error:
            raise CommandError(f"AUDIT_WORDS_KEPT_DAYS: {error}") from error
        what = "would be erased" if dry_run else "erased"
        for due in done:
            types = f"{len(due.types)} event type{'' if len(due.types) == 1 else 's'}"
            self.stdout.write(
                f"{due.texts} texts {what}: of events of {types} before {instant(due.before)}, kept for {due.days} days."
            )
        for place, due in in_rows:
            self.stdout.write(
                f"{due.texts} texts {what}: in {place.column} of {place.table} before {instant(due.before)}, "
                f"kept for {due.days} days."
            )
        if not done and not in_rows:
            self.stdout.write("Nothing is old enough to be erased.")
        elif not dry_run:
            self.stdout.write("Copies that were handed out before are out of reach.")
