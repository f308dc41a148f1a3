"""System checks: the sealer has its key and can reach its anchors, and the guards of the trail stand."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError, connections
from django.db.backends.utils import CursorWrapper

from audit.ledger import retention, retirement
from audit.ledger.anchors import KINDS
from audit.ledger.keys import KeyFileError, load_key, load_public_keys
from audit.ledger.registry import registered
from audit.ledger.retention import RetentionError
from audit.ledger.rights import check_rights
from audit.ledger.sql import (
    ACTOR_GUARD,
    COLUMNS_GUARDS,
    GUARDED_TABLES,
    GUARDS,
    RECEIPTS,
    ROWS_GUARD,
    SEALER_SETTINGS,
    WORDS_GUARD,
)
from audit.ledger.syslog_anchor import SyslogAnchor
from audit.ledger.tsa_anchor import RootsError, load_roots
from audit.ledger.watch_check import check_watched, migrations


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


def check_anchors(**_: Any) -> list[CheckMessage]:
    """AUDIT_ANCHORS names kinds of places, and the sealer knows where they are and may write there."""
    named: Sequence[str] = settings.AUDIT_ANCHORS
    found: list[CheckMessage] = [
        Error(
            f"AUDIT_ANCHORS names {kind!r}, which is no kind of place.",
            hint=f"It is any of {' and '.join(KINDS)}, with blanks between them, or nothing.",
            id="ledger.E004",
        )
        for kind in named
        if kind not in KINDS
    ]
    if settings.PORTAL_PROCESS != "sealer":
        return found
    file = settings.AUDIT_ANCHOR_FILE
    if "file" in named and not _may_append(Path(file) if file else None):
        found.append(
            Error(
                f"The anchor file {file!r} can't be added to.",
                hint="AUDIT_ANCHOR_FILE names a file, in a folder that exists and that this account may write to.",
                id="ledger.E005",
            )
        )
    if "webhook" in named and not (
        settings.AUDIT_ANCHOR_WEBHOOK_URL and settings.AUDIT_ANCHOR_WEBHOOK_SECRET
    ):
        found.append(
            Error(
                "The anchoring webhook has no address or no secret.",
                hint="Set AUDIT_ANCHOR_WEBHOOK_URL and AUDIT_ANCHOR_WEBHOOK_SECRET for the sealer.",
                id="ledger.E006",
            )
        )
    if "syslog" in named:
        found += _syslog()
    if "s3" in named:
        found += _bucket()
    if "tsa" in named:
        found += _authority()
    return found


def _bucket() -> list[CheckMessage]:
    if (
        settings.AUDIT_ANCHOR_BUCKET
        and settings.AUDIT_ANCHOR_BUCKET_REGION
        and settings.AUDIT_ANCHOR_KEPT_DAYS > 0
    ):
        return []
    return [
        Error(
            "The anchoring bucket has no name, no Region, or keeps seals for no time.",
            hint="Set AUDIT_ANCHOR_BUCKET, AUDIT_ANCHOR_BUCKET_REGION and AUDIT_ANCHOR_KEPT_DAYS for the sealer; the bucket "
            "needs Object Lock.",
            id="ledger.E010",
        )
    ]


_NO_ADDRESS = "AUDIT_ANCHOR_TSA_URL names no authority."


def _authority() -> list[CheckMessage]:
    # Plain http will do: nothing secret goes there, and an answer proves itself.
    said = "" if urlsplit(settings.AUDIT_ANCHOR_TSA_URL).scheme in ("http", "https") else _NO_ADDRESS
    if settings.AUDIT_ANCHOR_TSA_MINUTES < 1:
        said = f"AUDIT_ANCHOR_TSA_MINUTES is {settings.AUDIT_ANCHOR_TSA_MINUTES}."
    try:
        load_roots(Path(settings.AUDIT_ANCHOR_TSA_ROOTS))
    except RootsError as error:
        said = str(error)
    if not said:
        return []
    return [
        Error(
            f"The time-stamping authority can't be used: {said}",
            hint="AUDIT_ANCHOR_TSA_URL is an http or https address, AUDIT_ANCHOR_TSA_ROOTS a PEM file with the roots "
            "to which its certificate leads, AUDIT_ANCHOR_TSA_MINUTES at least 1.",
            id="ledger.E011",
        )
    ]


def _syslog() -> list[CheckMessage]:
    bundle = settings.AUDIT_ANCHOR_SYSLOG_CA_BUNDLE
    try:
        SyslogAnchor.at(settings.AUDIT_ANCHOR_SYSLOG)
        if bundle:
            ssl.create_default_context(cafile=bundle)
    except (ValueError, OSError) as error:
        return [
            Error(
                f"The anchoring syslog server can't be used: {error}",
                hint="AUDIT_ANCHOR_SYSLOG is HOST or HOST:PORT; AUDIT_ANCHOR_SYSLOG_CA_BUNDLE is a PEM file or empty.",
                id="ledger.E009",
            )
        ]
    return []


def _may_append(path: Path | None) -> bool:
    if path is None or path.is_dir():
        return False
    return os.access(path, os.R_OK | os.W_OK) if path.exists() else os.access(path.parent, os.W_OK | os.X_OK)


_STANDING = """
SELECT tgrelid::regclass::text || '.' || tgname FROM pg_trigger
WHERE tgrelid::regclass::text = ANY (%(tables)s) AND NOT tgisinternal AND tgenabled = 'A'
UNION ALL
SELECT conrelid::regclass::text || '.' || conname FROM pg_constraint
WHERE conrelid::regclass::text = ANY (%(tables)s) AND contype = 'c' AND conenforced
"""
# Guards that a later migration makes than the first, and what it makes with them: before, they can't stand.
_LATER = {
    f"{RECEIPTS}.": f"public.{RECEIPTS}",
    f"{SEALER_SETTINGS}.": f"public.{SEALER_SETTINGS}",
    ACTOR_GUARD: "public.audit_refuse_actor",
    ROWS_GUARD: "public.audit_require_rows",
    WORDS_GUARD: "public.audit_refuse_words",
    **dict.fromkeys(COLUMNS_GUARDS, "public.audit_derive"),
}
# Any other trigger of the application's, on whatever table, that is off in the sessions of everybody or of most, or that is
# on a month otherwise than on all. Of rows and versions, another check and `_HALVES` say more.
_OFF = """
SELECT tg.tgrelid::regclass::text || '.' || tg.tgname
FROM pg_trigger tg JOIN pg_class ON pg_class.oid = tg.tgrelid JOIN pg_proc ON pg_proc.oid = tg.tgfoid
LEFT JOIN pg_trigger parent ON parent.oid = tg.tgparentid
WHERE relnamespace = 'public'::regnamespace AND NOT tg.tgisinternal
  AND CASE WHEN parent.oid IS NULL THEN tg.tgenabled NOT IN ('A', 'O') ELSE tg.tgenabled <> parent.tgenabled END
  AND proname NOT IN ('audit_require_row', 'audit_require_event', 'audit_require_subject')
ORDER BY 1
"""
# Triggers that an application's own guards expect, and the function that each calls: without it they aren't made yet.
_EXPECTED: dict[str, str] = {}
_GONE = """
SELECT name FROM unnest(%s::text[], %s::text[]) AS expected (name, calls)
WHERE to_regproc('public.' || calls) IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_trigger WHERE tgrelid = to_regclass('public.' || split_part(name, '.', 1))
      AND tgname = split_part(name, '.', 2) AND tgenabled IN ('A', 'O')
)
UNION ALL  -- each month has its own: of the trail's it would inherit none against TRUNCATE
SELECT inhrelid::regclass::text || '.audit_event_untruncated' FROM pg_inherits
WHERE inhparent = to_regclass('public.audit_event') AND NOT EXISTS (
    SELECT FROM pg_trigger WHERE tgrelid = inhrelid AND tgname = 'audit_event_untruncated' AND tgenabled = 'A'
)
"""
# A function for triggers that none calls: what it guarded isn't any more. One of an extension is there for others' use.
_UNCALLED = """
SELECT 'whatever called ' || proname FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND prorettype = 'trigger'::regtype
  AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = pg_proc.oid)
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
"""
# Where a change needs its event, the event's version has to be held to the change: both triggers, and both on.
_HALVES = """
SELECT kind FROM (
    SELECT split_part(encode(tgargs, 'escape'), '\\000', 1) AS kind, 'change' AS half FROM pg_trigger
    WHERE tgfoid = to_regproc('public.audit_require_event') AND tgenabled = 'A'
    UNION ALL
    SELECT substr(tgname, length('subject_') + 1), 'version' FROM pg_trigger
    WHERE tgfoid = to_regproc('public.audit_require_subject') AND tgenabled = 'A'
) AS guarded
WHERE EXISTS (SELECT FROM pg_trigger WHERE tgfoid = to_regproc('public.audit_require_subject'))
GROUP BY kind HAVING count(DISTINCT half) < 2 ORDER BY kind
"""
# Told by a guard of its own, which holds it to the grant's window.
_OTHERWISE = frozenset({"extension"})


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
                cursor.execute(
                    "SELECT name FROM unnest(%s::text[]) AS name "
                    "WHERE coalesce(to_regclass(name)::oid, to_regproc(name)::oid) IS NULL",
                    [list(_LATER.values())],
                )
                absent = {name for (name,) in cursor.fetchall()}
                later = tuple(guard for guard, made in _LATER.items() if made in absent)
                cursor.execute(_STANDING, {"tables": list(GUARDED_TABLES)})
                standing = {name for (name,) in cursor.fetchall()}
                halves, uncalled = _apart(alias, cursor)
                cursor.execute(_OFF)
                off = {name for (name,) in cursor.fetchall()} - GUARDS
                cursor.execute(_GONE, [list(_EXPECTED), list(_EXPECTED.values())])
                off |= {name for (name,) in cursor.fetchall()}
                off |= uncalled
        except DatabaseError:
            continue  # which the project's own check of the database reports
        missing = sorted(name for name in GUARDS - standing if not name.startswith(later))
        if migrated and missing:
            problems.append(
                Error(
                    f"Guards of the audit trail are missing or switched off: {', '.join(missing)}.",
                    hint="Find out who did it, run `manage.py audit_verify`, and switch them on again.",
                    id="ledger.E003",
                )
            )
        if off:
            problems.append(
                Error(
                    f"Guards are missing or switched off: {', '.join(sorted(off))}.",
                    hint="Find out who did it, run `manage.py audit_verify`, and switch them on with ENABLE ALWAYS.",
                    id="ledger.E015",
                )
            )
        if halves:
            problems.append(
                Error(
                    f"Changes and the trail aren't held to each other: {', '.join(halves)}.",
                    hint="A trigger is missing or switched off, on the table of that kind or on audit_version. Find "
                    "out who did it, run `manage.py audit_verify`, and switch it on again.",
                    id="ledger.E007",
                )
            )
    return problems


def _apart(alias: str, cursor: CursorWrapper) -> tuple[list[str], set[str]]:
    """Kinds that have one half of their guard, and functions that nothing calls.

    A later migration than the first may bring the other half. So neither is held against migrations that stopped half-way:
    they could never be taken up again.
    """
    cursor.execute(_HALVES)
    halves = sorted({kind for (kind,) in cursor.fetchall()} - _OTHERWISE)
    cursor.execute(_UNCALLED)
    uncalled = {name for (name,) in cursor.fetchall()}
    if (halves or uncalled) and (known := migrations(alias, cursor)):
        under_way = known.disk_migrations.keys() - known.applied_migrations.keys()
        return ([], set()) if under_way else (halves, uncalled)
    return halves, uncalled


_BEYOND = """
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM') AS month, count(*) FROM audit_event_beyond GROUP BY 1 ORDER BY 1 LIMIT %s
"""
_MOST_MONTHS = 12


def check_beyond(*, databases: Sequence[str] | None, **_: Any) -> list[CheckMessage]:
    """No event stands in the default partition, which is for those whose month isn't there.

    Runs with `manage.py check --database default`. A warning: they can't be moved, and keep nothing from going on.
    """
    found: list[CheckMessage] = []
    for alias in databases or ():
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute(
                    "SELECT has_table_privilege(to_regclass('public.audit_event_beyond'), 'SELECT')"
                )
                ((readable,),) = cursor.fetchall()
                if not readable:
                    continue
                cursor.execute(_BEYOND, [_MOST_MONTHS])
                months = [f"{number} of {month}" for month, number in cursor.fetchall()]
        except DatabaseError:
            continue  # which the project's own check of the database reports
        if months:
            found.append(
                checks.Warning(
                    f"Events of the audit trail stand beyond its months, in audit_event_beyond: {', '.join(months)}.",
                    hint="Either the database's clock was wrong when they were written: put it right. Or nobody made "
                    "months: have the sealer run. They are read, sealed and verified like any other and stay where they "
                    "are; their months get no partition of their own, and no other month waits for them.",
                    id="ledger.W001",
                )
            )
    return found


def check_retention(**_: Any) -> list[CheckMessage]:
    """AUDIT_WORDS_KEPT_DAYS and AUDIT_EVENTS_KEPT_DAYS can be carried out, and name events that exist."""
    found: list[CheckMessage] = []
    for name, least, number in (
        ("AUDIT_WORDS_KEPT_DAYS", retention.LEAST_DAYS, 8),
        ("AUDIT_EVENTS_KEPT_DAYS", retirement.LEAST_DAYS, 12),
    ):
        try:
            strangers = retention.unknown(retention.parse(getattr(settings, name), least=least), registered())
            said = f"No event is called {' or '.join(strangers)}." if strangers else ""
        except RetentionError as error:
            said = str(error)
        if said:
            hint = "It is NAME=DAYS by blanks; docs/audit-trail.md says more. Until it is mended, nothing is erased."
            found.append(Error(f"{name}: {said}", hint=hint, id=f"ledger.E{number:03}"))
    return found


def check_verification(**_: Any) -> list[CheckMessage]:
    """AUDIT_VERIFY_HOUR is an hour, and the worker can read the keys that AUDIT_VERIFY_KEYS names."""
    found: list[CheckMessage] = []
    if not 0 <= settings.AUDIT_VERIFY_HOUR <= 23:
        hint = "It is the hour of the day, in UTC, at which the trail is verified: 0 to 23."
        found.append(
            Error(f"AUDIT_VERIFY_HOUR is {settings.AUDIT_VERIFY_HOUR}.", hint=hint, id="ledger.E016")
        )
    if settings.PORTAL_PROCESS == "worker":
        try:
            load_public_keys(settings.AUDIT_VERIFY_KEYS)
        except KeyFileError as error:
            hint = "It is PATH or PATH@SINCE..UNTIL of the sealer's public keys, with commas between them, or nothing."
            found.append(Error(f"AUDIT_VERIFY_KEYS: {error}", hint=hint, id="ledger.E017"))
    return found


def expect_guards(triggers: Mapping[str, str]) -> None:
    """Have the check name these when they are gone or off: each as table.trigger, with the function that it calls."""
    _EXPECTED.update(triggers)


def register_all() -> None:
    """Called once, when the application starts."""
    register(check_sealing_key, Tags.security)
    register(check_anchors, Tags.security)
    register(check_retention, Tags.security)
    register(check_verification, Tags.security)
    register(check_guards, Tags.database)
    register(check_beyond, Tags.database)
    register(check_rights, Tags.database)
    register(check_watched, Tags.database)
