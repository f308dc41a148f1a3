"""Load approval rules from a file; run it as the worker, whose database role may write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError, CommandParser

from base.errors import Invalid
from catalog.nudges import want_approvers
from catalog.sync import directory
from policy.loading import load_rules, parse_rules


class Command(BaseCommand):
    help = "Makes a YAML or JSON file's rules the current ones. Running it again with the same file changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--retire-others",
            action="store_true",
            help="rules that the file doesn't name judge no new request",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            rules = parse_rules(_read(path))
        except Invalid as error:
            raise CommandError(f"{path}: {error.sentence} Nothing was changed.") from error
        changes = load_rules(rules, written_by="load_rules", retire_others=options["retire_others"])
        for loaded in changes:
            self.stdout.write(f"{loaded.name}: {loaded.change.value} (version {loaded.number})")
        if directory.unread():
            # The periodic sync does it within a minute in any case.
            want_approvers()


def _read(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} can't be read: {type(error).__name__}.") from error
    except (ValueError, yaml.YAMLError) as error:
        raise CommandError(f"{path} is neither valid YAML nor JSON: {error}") from error
