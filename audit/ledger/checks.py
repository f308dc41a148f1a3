"""System checks: the sealer has its key and nobody else has; the database's guards stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from audit.ledger.keys import KeyFileError, load_key
from audit.ledger.sql import GUARDED_TABLES, GUARDS

APPLICATION_PROCESSES = ("web", "worker", "beat", "sealer")


def check_sealing_key(**_: Any) -> list[CheckMessage]:
    """The sealer can read an Ed25519 key, and no other process is told where it is."""
    path = settings.SEALING_KEY_PATH
    if settings.PORTAL_PROCESS != "sealer":
        if not path:
            return []
        return [
            Error(
                f"The {settings.PORTAL_PROCESS} process is told where the sealing key is.",
                hint="Set SEALING_KEY_PATH for the sealer only: who writes events must not seal them.",
                id="ledger.E003",
            )
        ]
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


_ROLE = """
SELECT current_user, rolsuper, pg_has_role(current_user, tableowner, 'MEMBER')
FROM pg_roles, pg_tables WHERE rolname = current_user AND schemaname = 'public' AND tablename = 'audit_event'
"""
_STANDING = """
SELECT tgrelid::regclass::text || '.' || tgname FROM pg_trigger
WHERE tgrelid::regclass::text = ANY (%s) AND NOT tgisinternal AND tgenabled = 'A'
"""


def check_database(*, databases: Sequence[str] | None, **_: Any) -> list[CheckMessage]:
    """The process logs in as a role that owns nothing, and every guard of the trail is switched on.

    Runs with `manage.py check --database default` and before a migration.
    """
    problems: list[CheckMessage] = []
    for alias in databases or ():
        with connections[alias].cursor() as cursor:
            cursor.execute(_ROLE)
            found = cursor.fetchone()
            if found is None:
                continue  # not migrated yet
            role, superuser, owner = found
            if settings.PORTAL_PROCESS in APPLICATION_PROCESSES and (superuser or owner):
                problems.append(
                    Error(
                        f"The {settings.PORTAL_PROCESS} process logs in as {role}, "
                        "who could switch the audit trail's guards off.",
                        hint="Use the login role of this process, which stack/bootstrap.sql makes.",
                        id="ledger.E004",
                    )
                )
            cursor.execute(_STANDING, [list(GUARDED_TABLES)])
            missing = sorted(GUARDS - {name for (name,) in cursor.fetchall()})
            if missing:
                problems.append(
                    Error(
                        f"Guards of the audit trail are missing or switched off: {', '.join(missing)}.",
                        hint="Find out who did it, run `manage.py audit_verify`, and switch them on again.",
                        id="ledger.E005",
                    )
                )
    return problems


def register_all() -> None:
    """Called once, when the application starts."""
    register(check_sealing_key, Tags.security)
    register(check_database, Tags.database)
