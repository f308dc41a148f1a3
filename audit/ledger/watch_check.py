"""A system check: every table whose rows events tell of is watched, in the columns and by the events that are declared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.db import DatabaseError, connections

from audit.ledger.watched import unwatched


def check_watched(*, databases: Sequence[str] | None, **_: Any) -> list[CheckMessage]:
    """No watched table has lost its triggers, or has others than the application means.

    Runs with `manage.py check --database default` and before a migration.
    """
    problems: list[CheckMessage] = []
    for alias in databases or ():
        try:
            with connections[alias].cursor() as cursor:
                # Before the migration that has a table watched, it can't be.
                cursor.execute(
                    "SELECT substr(proname, length('audit_told_') + 1) FROM pg_proc WHERE proname LIKE 'audit\\_told\\_%'"
                )
                begun = {table for (table,) in cursor.fetchall()}
                missing = [each for each in unwatched(cursor) if each.partition(".")[0] in begun]
        except DatabaseError:
            continue  # which the project's own check of the database reports
        if missing:
            problems.append(
                Error(
                    f"Rows aren't held to what the trail says of them: {', '.join(missing)}.",
                    hint="A trigger is missing, switched off or another one. Find out who did it, run `manage.py "
                    "audit_verify`, and switch it on again.",
                    id="ledger.E014",
                )
            )
    return problems
