"""`manage.py remove_fast`: the remover. Takes memberships that are over out of IAM Identity Center."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError

from requests_app.cutting import removing
from requests_app.cutting.looping import until_terminated


class Command(BaseCommand):
    help = "Take memberships that are over out of IAM Identity Center, where FAST_REMOVAL is direct."
    requires_system_checks = ["portal", Tags.security]  # not those of pages, which it does not need

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on until terminated")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["loop"]:
            self.stdout.write("Removing fast.")
            until_terminated(one_pass)
            return
        done, broken = one_pass()
        self.stdout.write(f"{done} owed")
        if broken:
            raise CommandError(f"{broken} of {done} failed. The log names the rows; the others were done.")


def one_pass() -> tuple[int, int]:
    """One look, and everything that it found; gives how much that was, and how much of it broke."""
    owed = removing.owed()
    broken = removing.pass_over(lambda row_id: removing.remove_fast(removal_id=row_id), owed)
    return len(owed), broken
