"""What the application's database roles may do to the trail beyond adding and reading: nothing, which is looked up here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.db import DatabaseError, connections

from audit.ledger.sql import GUARDED_TABLES
from base.migration_operations import REMOVER, SEALER, SEVERER, WEB, WORKER

# Of each table that is here, and of each month of the events: whoever may change it, owns it, or may say when and as
# which number an event was written. A right that everybody has is each role's too.
_TOO_MUCH = """
WITH tables AS (
    SELECT c.oid, c.relowner, c.oid::regclass::text AS name FROM pg_class c
    WHERE c.oid = ANY (ARRAY(SELECT to_regclass('public.' || name)::oid FROM unnest(%(tables)s::text[]) AS name))
       OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('public.audit_event'))
), roles AS (SELECT oid, rolname FROM pg_roles WHERE rolname = ANY (%(roles)s))
SELECT rolname, 'may ' || lower(kind) || ' ' || name
FROM tables, roles, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS kind
WHERE has_table_privilege(roles.oid, tables.oid, kind)
   OR (kind = 'UPDATE' AND has_any_column_privilege(roles.oid, tables.oid, 'UPDATE'))
UNION ALL
SELECT rolname, 'owns ' || name FROM tables, roles WHERE pg_has_role(roles.oid, relowner, 'MEMBER')
UNION ALL
SELECT rolname, 'may say the ' || attname || ' of a row in ' || name FROM tables, roles, pg_attribute
WHERE attrelid = tables.oid AND attname IN ('id', 'at') AND name LIKE 'audit_event%%'
  AND has_column_privilege(roles.oid, tables.oid, attnum, 'INSERT')
ORDER BY 1, 2
"""


def check_rights(*, databases: Sequence[str] | None, **_: Any) -> list[CheckMessage]:
    """No role of the application may change the trail, forge an event's number or time, or own any of it.

    Runs with `manage.py check --database default` and before a migration.
    """
    problems: list[CheckMessage] = []
    for alias in databases or ():
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute(
                    _TOO_MUCH,
                    {"tables": list(GUARDED_TABLES), "roles": [WEB, WORKER, SEALER, REMOVER, SEVERER]},
                )
                found = [f"{role} {what}" for role, what in cursor.fetchall()]
        except DatabaseError:
            continue  # which the project's own check of the database reports
        if found:
            problems.append(
                Error(
                    f"Roles of the application may do more to the audit trail than add and read: {', '.join(found)}.",
                    hint="Find out who granted it, take it away as the owner (REVOKE …, ALTER TABLE … OWNER TO …), and run "
                    "`manage.py audit_verify`. stack/bootstrap.sql makes the roles, the migrations give their rights.",
                    id="ledger.E013",
                )
            )
    return problems
