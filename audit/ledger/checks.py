"""System checks: the sealer has its key, and the guards of the trail stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError, connections

from audit.ledger.keys import KeyFileError, load_key
from audit.ledger.sql import GUARDED_TABLES, GUARDS


def check_sealing_key(**_: Any) -> list[CheckMessage]:
    """The sealer has an Ed25519 key that it can read. (Who else may be told of it is the project's to check.)"""
    if settings.PORTAL_PROCESS != "sealer":
        return []
    path = settings.SEALING_KEY_PATH
    if not path:
        return [
            Error(
                "The sealer has no key.",
                hint="Make one with `manage.py make_sealing_key PATH` and set SEALING_KEY_PATH to PATH.",
                id="ledger.E001",
            )
        ]
    try:
        load_key(Path(path))
    except KeyFileError as error:
        return [
            Error(
                str(error),
                hint="SEALING_KEY_PATH must name an Ed25519 private key (PEM) that this account can read.",
                id="ledger.E002",
            )
        ]
    return []


_STANDING = """
SELECT tgrelid::regclass::text || '.' || tgname FROM pg_trigger
WHERE tgrelid::regclass::text = ANY (%s) AND NOT tgisinternal AND tgenabled = 'A'
"""


def check_guards(*, databases: Sequence[str] | None, **_: Any) -> list[CheckMessage]:
    """Every guard of the trail is there and switched on.

    Runs with `manage.py check --database default` and before a migration.
    """
    problems: list[CheckMessage] = []
    for alias in databases or ():
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT to_regclass('public.audit_event') IS NOT NULL")
                ((migrated,),) = cursor.fetchall()
                cursor.execute(_STANDING, [list(GUARDED_TABLES)])
                missing = sorted(GUARDS - {name for (name,) in cursor.fetchall()})
        except DatabaseError:
            continue  # which the project's own check of the database reports
        if migrated and missing:
            problems.append(
                Error(
                    f"Guards of the audit trail are missing or switched off: {', '.join(missing)}.",
                    hint="Find out who did it, run `manage.py audit_verify`, and switch them on again.",
                    id="ledger.E003",
                )
            )
    return problems


def register_all() -> None:
    """Called once, when the application starts."""
    register(check_sealing_key, Tags.security)
    register(check_guards, Tags.database)
