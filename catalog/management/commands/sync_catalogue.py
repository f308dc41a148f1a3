"""Read the clouds into the catalogue, here and now, to the end."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from base.clock import real_now
from catalog.models import SyncRun
from catalog.sync.engine import Outcome, due_at, due_parts, run_part
from catalog.sync.intervals import INTERVALS


class Command(BaseCommand):
    help = "Reads what may be asked for from Entra and AWS. Without options: what is due, each to completion."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--part", choices=[part.value for part in INTERVALS], help="read this part only")
        parser.add_argument("--once", action="store_true", help="read every part once, due or not")
        parser.add_argument(
            "--accept-shrinking",
            action="store_true",
            help="believe an answer that empties a list or takes more than half of it away",
        )
        parser.add_argument("--wait", type=float, default=120, help="give up after this many seconds")

    def handle(self, *_args: Any, **options: Any) -> None:
        until = time.monotonic() + options["wait"]
        if options["part"]:
            parts = [SyncRun.Part(options["part"])]
        else:
            parts = list(INTERVALS) if options["once"] else list(due_parts())
        failed = [
            part.label
            for part in parts
            if not self._complete(part, until=until, accept_shrinking=options["accept_shrinking"])
        ]
        if failed:
            raise CommandError(f"Not read: {', '.join(failed)}. What was known before is kept.")

    def _complete(self, part: SyncRun.Part, *, until: float, accept_shrinking: bool) -> bool:
        began = time.monotonic()
        while time.monotonic() < until:
            outcome = run_part(part, accept_shrinking=accept_shrinking)
            run = SyncRun.objects.filter(part=part).latest("started_at", "pk")
            match outcome:
                case Outcome.DONE:
                    changes = (
                        ", ".join(f"{name} {n}" for name, n in run.changes.items() if n) or "nothing new"
                    )
                    took = time.monotonic() - began
                    self.stdout.write(f"{part.label}: {run.calls} calls, {changes} ({took:.1f} s)")
                    return True
                case Outcome.FAILED:
                    self.stderr.write(f"{part.label}: {run.error}")
                    return False
                case Outcome.PAUSED | Outcome.BUSY:
                    self.stdout.write(f"{part.label}: waiting for its turn")
                    due = due_at(part)
                    pause = (due - real_now()).total_seconds() if due else 1.0
                    time.sleep(min(max(pause, 0.2), 30.0))
                case Outcome.MORE:
                    self.stdout.write(f"{part.label}: {run.calls} calls so far")
        self.stderr.write(f"{part.label}: not finished in time")
        return False
