"""`manage.py lifecycle`: print docs/lifecycle.md."""

from typing import Any

from django.core.management.base import BaseCommand

from requests_app.diagram import lifecycle_markdown


class Command(BaseCommand):
    help = "Print the life cycle's diagram and tables as Markdown."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.stdout.write(lifecycle_markdown())
