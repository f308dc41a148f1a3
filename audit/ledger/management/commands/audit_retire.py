"""Remove a month of the audit trail whose time is over."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.ledger.retention import RetentionError
from audit.ledger.retirement import Month, Unremovable, remove


class Command(BaseCommand):
    help = (
        "Remove the oldest month of the audit trail, with an event that says so: when AUDIT_EVENTS_KEPT_DAYS lets all of "
        "its events go, every one is as it was sealed, and its seals are anchored. Leaves and seals stay. Run it as migrate."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("month", metavar="YYYY-MM", help="the month, in UTC")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="look at everything and say what would go, and remove nothing",
        )

    def handle(self, *_args: Any, month: str, dry_run: bool, **_options: Any) -> None:
        if settings.PORTAL_PROCESS != "migrate":
            raise CommandError(
                "Only the tables' owner removes anything from the trail: run it with PORTAL_PROCESS=migrate."
            )
        try:
            wanted = Month.parse(month)
        except ValueError as error:
            raise CommandError(f"{month!r} is no month: write it like 2021-03.") from error
        try:
            gone = remove(wanted, settings.AUDIT_EVENTS_KEPT_DAYS, dry_run=dry_run)
        except (Unremovable, ValueError) as error:
            raise CommandError(str(error)) from error
        except RetentionError as error:
            raise CommandError(f"AUDIT_EVENTS_KEPT_DAYS: {error}") from error
        seals = f", sealed in batches {gone.first_batch} to {gone.last_batch}" if gone.events else ""
        done = "would be removed" if dry_run else "were removed"
        self.stdout.write(f"The {gone.events} events of {gone.name} {done}{seals}.")
        if not dry_run:
            self.stdout.write("Copies that were handed out, streams and backups are out of reach.")
