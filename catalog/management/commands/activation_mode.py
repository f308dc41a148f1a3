"""Set how a PIM group is activated."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from base.errors import DomainError
from catalog.modes import WORDS, set_mode


class Command(BaseCommand):
    help = (
        "Have a PIM group activated by the portal for itself (application) or in the requester's own name (person). Run "
        "it as a worker. Before the first `person`: consent to the delegated scopes of docs/permissions.md, for sign-in "
        "asks for them from then on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("group", help="the group's object id")
        parser.add_argument("mode", choices=("application", "person"))
        parser.add_argument("--reason", required=True, help="why; stays in the history")

    def handle(self, *_args: Any, **options: Any) -> None:
        as_person = options["mode"] == "person"
        try:
            changed = set_mode(options["group"], as_person=as_person, reason=options["reason"])
        except DomainError as error:
            raise CommandError(str(error)) from error
        words = WORDS[as_person]
        self.stdout.write(
            f"It is activated {words} from now on." if changed else f"It was so already: {words}."
        )
