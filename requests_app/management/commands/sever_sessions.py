"""`manage.py sever_sessions`: the severer. Denies the sessions of access that is over, in prepared policies."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError

from requests_app.cutting import severing
from requests_app.cutting.looping import until_terminated
from requests_app.cutting.removing import pass_over


class Command(BaseCommand):
    help = "Deny the sessions of access that is over, where SESSION_SEVERING is on; lift what is no longer needed."
    requires_system_checks = ["portal", Tags.security]  # not those of pages, which it does not need

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on until terminated")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["loop"]:
            self.stdout.write("Severing sessions.")
            until_terminated(one_pass)
            return
        done, broken = one_pass()
        self.stdout.write(f"{done} owed")
        if broken:
            raise CommandError(f"{broken} of {done} failed. The log names the rows; the others were done.")


def one_pass() -> tuple[int, int]:
    """Plan, and bring up every place that owes it; gives how many those were, and how many of them broke."""
    owed = severing.owed()
    broken = pass_over(lambda row_id: severing.sever(place_id=row_id), owed)
    return len(owed), broken
