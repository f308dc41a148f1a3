"""A system check: every table whose rows events tell of is watched, in the columns and by the events that are declared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.db import DatabaseError, connections
from django.db.backends.utils import CursorWrapper
from django.db.migrations.loader import MigrationLoader

from audit.ledger.watched import Watch, unwatched

_MADE = "SELECT substr(proname, length('audit_told_') + 1) FROM pg_proc WHERE proname LIKE 'audit\\_told\\_%'"
_MAY_READ = "SELECT coalesce(has_table_privilege(to_regclass('public.django_migrations'), 'SELECT'), false)"


def check_watched(*, databases: Sequence[str] | None, **_: Any) -> list[CheckMessage]:
    """No watched table has lost its triggers, or has others than the application means.

    Runs with `manage.py check --database default` and before a migration.
    """
    problems: list[CheckMessage] = []
    for alias in databases or ():
        try:
            with connections[alias].cursor() as cursor:
                begun = _begun(alias, cursor)
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


def _begun(alias: str, cursor: CursorWrapper) -> set[str]:
    """The tables that are watched by now: before the migration that has one watched, it can't be.

    What a migration made may have been dropped with the triggers, so the migrations say it too, to whoever may read which
    were applied.
    """
    cursor.execute(_MADE)
    begun = {table for (table,) in cursor.fetchall()}
    if loader := migrations(alias, cursor):
        applied = (
            loader.disk_migrations[name]
            for name in loader.applied_migrations.keys() & loader.disk_migrations.keys()
        )
        begun |= {
            each.table for migration in applied for each in migration.operations if isinstance(each, Watch)
        }
    return begun


def migrations(alias: str, cursor: CursorWrapper) -> MigrationLoader | None:
    """Those that there are and those that were applied, for whoever may read which were."""
    cursor.execute(_MAY_READ)
    (may_read,) = cursor.fetchone()
    return MigrationLoader(connections[alias]) if may_read else None
