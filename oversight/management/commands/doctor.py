"""`manage.py doctor`: is the tenant as the portal needs it? Reads the clouds, and changes nothing.

With the sealer's settings: do the places that keep seals outside the database?
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from oversight.doctor import Finding, Level, examine
from oversight.doctor.examining import SEALER

SIGNS = {Level.GOOD: "ok     ", Level.UNKNOWN: "unknown", Level.WARNING: "warning", Level.BROKEN: "BROKEN "}


class Command(BaseCommand):
    help = (
        "Checks Entra and AWS call by call, read-only: permissions, the provisioning job, each managed group's chain. "
        "Fails when something would break a grant. With the sealer's settings: the places that keep its seals."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
        parser.add_argument(
            "--group", action="append", default=[], help="object id of a group; may be repeated"
        )
        parser.add_argument(
            "--as-person",
            action="store_true",
            help="every managed group is activated as the person, so that the worker needs to read PIM only",
        )
        parser.add_argument("--quiet", action="store_true", help="leave out what is good")

    def handle(self, *_args: Any, **options: Any) -> None:
        shown = self._as_json if options["json"] else self._as_text
        counts = shown(examine(options["group"], as_person=options["as_person"]), quiet=options["quiet"])
        if counts[Level.BROKEN]:
            breaks = "leave seals unkept" if settings.PORTAL_PROCESS == SEALER else "would break a grant"
            raise CommandError(f"{counts[Level.BROKEN]} of these {breaks}.", returncode=1)

    def _as_text(self, findings: Iterator[Finding], *, quiet: bool) -> Counter[Level]:
        """Each finding as it comes."""
        counts: Counter[Level] = Counter()
        for each in findings:
            counts[each.level] += 1
            if quiet and each.level is Level.GOOD:
                continue
            self.stdout.write(f"{SIGNS[each.level]} {each.check}: {each.about}: {each.what}")
            for label, text in (("why", each.why), ("mend", each.mend)):
                if text:
                    self.stdout.write(f"          {label}: {text}")
        summary = ", ".join(f"{counts[level]} {level.value}" for level in Level)
        self.stdout.write(summary)
        return counts

    def _as_json(self, findings: Iterator[Finding], *, quiet: bool) -> Counter[Level]:
        found = list(findings)
        counts = Counter(each.level for each in found)
        rows = [asdict(each) for each in found if not (quiet and each.level is Level.GOOD)]
        report = {"counts": {level.value: counts[level] for level in Level}, "findings": rows}
        self.stdout.write(json.dumps(report, indent=2, ensure_ascii=False))
        return counts
