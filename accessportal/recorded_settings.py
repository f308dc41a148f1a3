"""Settings in the trail: whoever starts the portal with others leaves one event that says which, before and after.

A process compares at its start what it goes by with what the newest such event says. The event is all there is to compare
with, so that nobody can bring another past without the trail's own guards. Web and worker compare everybody's settings, told
by whichever starts first; what beat, the remover and the severer go by stands apart, under their names, since it may be
another environment. One process of each kind that starts a second time finds nothing new. The sealer may add no events: it
writes what it goes by into a table of its own that only grows, and a worker tells of it.

Only what is named here is written down, and of a secret nothing but whether there is one: no digest either, since whoever
reads the trail could try guesses against it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from urllib.parse import SplitResult, urlsplit

import structlog
from django.conf import settings
from django.db import Error, connection, connections
from django.db.backends.utils import CursorWrapper
from django_subatomic.db import transaction

from accessportal.environment import env
from accessportal.events import SETTINGS_CHANGED, SETTINGS_RECORDED
from audit.ledger.canonical import JSON, Value
from audit.ledger.findings import Finding
from audit.ledger.recorder import Actor, record
from audit.ledger.registry import LedgerError
from audit.ledger.unexplained import may_read
from catalog.allow_list import AllowListError, managed_groups

log = structlog.get_logger(__name__)

type Told = Mapping[str, str]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# As they are. What both kinds of process go by has to be the same for both.
EVERYBODYS = _names(
    """
    PORTAL_MODE PORTAL_ORIGIN ALLOWED_HOSTS LOG_LEVEL DATABASE_HOST DATABASE_PORT DATABASE_NAME STATIC_ROOT
    BUSINESS_CLOCK_FACTOR BUSINESS_CLOCK_ANCHOR_REAL BUSINESS_CLOCK_ANCHOR_BUSINESS
    ENTRA_TENANT_ID ENTRA_AUTHORITY ENTRA_BROWSER_ORIGIN ENTRA_CA_BUNDLE ENTRA_SIGNIN_CLIENT_ID
    ENTRA_AWS_SERVICE_PRINCIPAL_ID ENTRA_PERSON_ATTRIBUTE ENTRA_MFA_CONTEXT
    AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_PORTAL_URL
    LATEST_START_DAYS DECISION_TARGET_MINUTES NARROW_PATH_SHARED_WITH_PIM CATALOG_SYNC_CONCURRENCY
    EMERGENCY_PROCEDURE EMERGENCY_PROCEDURE_URL OVERDUE_ENTRA_MINUTES OVERDUE_AWS_MINUTES SWEEP_SECONDS
    FAST_REMOVAL CUTTING_SECONDS SESSION_SEVERING SESSION_SEVERING_PLACES SEVERING_TAKES_EFFECT_MINUTES
    SEVERING_POLICY_SIZE
    ACTIVITY ACTIVITY_REGIONS ACTIVITY_SOURCE ACTIVITY_CHECK_SECONDS ACTIVITY_LOOKUP ACTIVITY_DELIVERY_LAG_MINUTES
    ACTIVITY_MOST_PAGES ACTIVITY_KEEP_DAYS
    AUDIT_ANCHORS AUDIT_ANCHOR_TSA_MINUTES AUDIT_STREAMS AUDIT_EVENTS_KEPT_DAYS AUDIT_WORDS_KEPT_DAYS
    AUDIT_VERIFY_HOUR API_SIGN_IN_DAYS
    NOTIFY_LANGUAGE NOTIFY_TIME_ZONE
"""
)
WEBS = _names("TRUSTED_PROXY_COUNT WEB_BIND WEB_CONCURRENCY PERSONAL_TOKEN_PUBLIC_KEY")
WORKERS = _names(
    """
    MAIL_HOST MAIL_PORT MAIL_TLS MAIL_BACKEND
    ON_CALL_SOURCE ENTRA_WORKER_CLIENT_ID ENTRA_AWS_CERTIFICATE_ENDS AWS_SCIM_TOKEN_ENDS GRAPH_BASE_URL
    PORTAL_MANAGED_GROUPS_FILE AWS_IDENTITY_CENTER_INSTANCE_ARN AWS_ENDPOINT_URL
    CLIENT_RATE_SSO_ADMIN CLIENT_RATE_IDENTITYSTORE CLIENT_RATE_ORGANIZATIONS CLIENT_RATE_IAM CLIENT_RATE_GRAPH
    CLIENT_RATE_GRAPH_ON_DEMAND CLIENT_RATE_STS CLIENT_RATE_CLOUDTRAIL CLIENT_RATE_ATHENA CLIENT_RATE_OBJECT_STORE
    CLIENT_RATE_ENTRA_TOKEN
    ACTIVITY_LAKE_STORE ACTIVITY_ATHENA_WORKGROUP ACTIVITY_ATHENA_TABLE ACTIVITY_ROLE_NAME
    AUDIT_STREAM_BUCKET AUDIT_STREAM_BUCKET_REGION AUDIT_STREAM_BUCKET_PREFIX AUDIT_STREAM_SYSLOG
    AUDIT_STREAM_SYSLOG_PAYLOAD AUDIT_STREAM_SYSLOG_CA AUDIT_STREAM_SYSLOG_CONFIRMS AUDIT_VERIFY_KEYS
"""
)
_AWS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# Addresses whose path may be what lets somebody in: scheme and host alone.
PLACES = {
    "worker": frozenset({"AUDIT_STREAM_WEBHOOK_URL", "ON_CALL_DOCUMENT"}),
    "sealer": frozenset({"AUDIT_ANCHOR_WEBHOOK_URL"}),
}
# They may be a person's, and the trail never forgets a fact: what follows the @ alone.
WORKERS_MAILBOXES = frozenset({"ALERT_MAIL_TO", "MAIL_FROM", "MAIL_USER"})
# Whether there is one.
WEBS_SECRETS = _names("SECRET_KEY SECRET_KEY_FALLBACKS ENTRA_SIGNIN_CLIENT_SECRET METRICS_TOKEN")
WORKERS_SECRETS = _names(
    """
    ENTRA_WORKER_CERTIFICATE_PATH ENTRA_WORKER_FEDERATED_TOKEN_FILE ENTRA_WORKER_CLIENT_SECRET ALERT_CHATS
    ALERT_WEBHOOK_URL APPROVAL_CHATS AUDIT_STREAM_SYSLOG_CERTIFICATE AUDIT_STREAM_WEBHOOK_SECRET MAIL_PASSWORD
    ENTRA_SIGNIN_WORKER_SECRET PERSONAL_TOKEN_KEYS_PATH AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
"""
)
EVERYBODYS_SECRETS = frozenset({"REDIS_URL", "DATABASE_PASSWORD"})
_CUTTERS = _names("AWS_ENDPOINT_URL AWS_IDENTITY_CENTER_INSTANCE_ARN")
SEALERS = _names(
    """
    AUDIT_ANCHOR_FILE AUDIT_ANCHOR_SYSLOG AUDIT_ANCHOR_SYSLOG_CA_BUNDLE AUDIT_ANCHOR_BUCKET AUDIT_ANCHOR_BUCKET_REGION
    AUDIT_ANCHOR_BUCKET_PREFIX AUDIT_ANCHOR_KEPT_DAYS AUDIT_ANCHOR_TSA_URL AUDIT_ANCHOR_TSA_ROOTS AWS_ENDPOINT_URL
"""
)


def _keys_of(process: str) -> frozenset[str]:
    return frozenset({"DATABASE_PASSWORD", *(f"{process.upper()}_{name}" for name in _AWS_KEYS)})


PLAIN: Mapping[str, frozenset[str]] = {
    "web": EVERYBODYS | WEBS,
    "worker": EVERYBODYS | WORKERS,
    "beat": EVERYBODYS | {"CELERY_BEAT_SCHEDULE"},
    "remover": EVERYBODYS | _CUTTERS | {"PORTAL_MANAGED_GROUPS_FILE"},
    "severer": EVERYBODYS | _CUTTERS,
    "sealer": EVERYBODYS | SEALERS,
}
SECRET: Mapping[str, frozenset[str]] = {
    "web": EVERYBODYS_SECRETS | WEBS_SECRETS,
    "worker": EVERYBODYS_SECRETS | WORKERS_SECRETS,
    "beat": EVERYBODYS_SECRETS,
    "remover": _keys_of("remover"),
    "severer": _keys_of("severer"),
    "sealer": _keys_of("sealer") | {"SEALING_KEY_PATH", "AUDIT_ANCHOR_WEBHOOK_SECRET"},
}

# Their settings stand under their own names, cut shorter: there are as many again of each.
APART = frozenset({"beat", "remover", "severer", "sealer"})
MANAGED_GROUPS = "managed groups"  # what the file says that PORTAL_MANAGED_GROUPS_FILE names
LONGEST, LONGEST_APART = 500, 200
TRY_AGAIN_AFTER = 60.0  # seconds
SEALER = "sealer"
_LOCK = 0x73657474696E67  # "setting": one comparison at a time, whoever makes it

# What the newest event says of all that were recorded.
_NEWEST = """
SELECT data #>> '{fields,settings}' FROM (
    (SELECT at, id, data FROM audit_event WHERE type = 'settings.recorded' ORDER BY at DESC, id DESC LIMIT 1)
    UNION ALL
    (SELECT at, id, data FROM audit_event WHERE type = 'settings.changed' ORDER BY at DESC, id DESC LIMIT 1)
) AS newest ORDER BY at DESC, id DESC LIMIT 1
"""

# What the sealer wrote of its own settings: its newest word.
_NOTED = """
SELECT told::text, at < clock_timestamp() - make_interval(secs => %s) AND at >= coalesce(%s, '-infinity'::timestamptz)
FROM audit_sealer_settings ORDER BY id DESC LIMIT 1
"""
# What it wrote since the row that an event told of last, oldest first, and its newest word in any case: the web process can
# write an event that says another, though none in the portal's own name.
_UNTOLD = """
WITH told AS (
    SELECT (data #>> '{fields,noted}')::bigint AS row FROM audit_event
    WHERE type IN ('settings.recorded', 'settings.changed') AND actor_kind = 'system'
      AND data #>> '{fields,noted}' IS NOT NULL
    ORDER BY at DESC, id DESC LIMIT 1
)
SELECT id, told::text FROM (
    SELECT id, told FROM audit_sealer_settings
    WHERE id > (SELECT row FROM told) OR id = (SELECT max(id) FROM audit_sealer_settings) ORDER BY id DESC LIMIT %s
) newest ORDER BY id
"""
TELL_WITHIN = timedelta(minutes=10)
MOST_TOLD = 20  # of the sealer's rows at once, the newest: it starts no more often

_begun = False
_look_from = 0.0  # when a worker looks next at what the sealer said, by the monotonic clock
_owed_from: float | None = None  # when the next attempt is due, by the monotonic clock; None: nothing is owed


def settings_told(process: str, environ: Mapping[str, str], values: Mapping[str, object]) -> Told:
    """What a process of that kind writes down of its settings: nothing for a kind that writes none.

    `values` are those that the settings made of the environment, defaults included; the rest stands in `environ` alone.
    """
    given = {name: text.strip() for name, text in environ.items() if text.strip()}
    longest = LONGEST_APART if process in APART else LONGEST
    told = {name: _plain(values.get(name, given.get(name, "")), longest) for name in PLAIN.get(process, ())}
    told |= {name: _host(given.get(name, "")) for name in PLACES.get(process, ())}
    if process == "worker":
        told |= {name: _domains(given.get(name, "")) for name in WORKERS_MAILBOXES}
    if "PORTAL_MANAGED_GROUPS_FILE" in told:
        told[MANAGED_GROUPS] = _managed_groups()
    told |= {name: "(given)" if name in given else "" for name in SECRET.get(process, ())}
    return {f"{process}: {name}": text for name, text in told.items()} if process in APART else told


def record_settings(process: str, told: Told) -> None:
    """Write the one event that is owed, if any is. Raises the database's errors."""
    with _alone() as cursor:
        _record(cursor, process, told)


@contextmanager
def _alone() -> Iterator[CursorWrapper]:
    """A transaction in which nobody else compares."""
    with transaction(), connection.cursor() as cursor:
        # In its own statement: the next one's view of the trail begins after the lock is ours.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        yield cursor


def _record(cursor: CursorWrapper, process: str, told: Told, *, noted_as: int | None = None) -> None:
    cursor.execute(_NEWEST)
    row = cursor.fetchone()
    before: dict[str, str] = json.loads(row[0]) if row and row[0] else {}
    other = sorted(name for name in told if before.get(name) != told[name])
    changed = [name for name in other if name in before]
    seen: dict[str, Value] = {
        "process": process,
        "names": ", ".join(changed or other),
        "settings": {**before, **told},
        **({} if noted_as is None else {"noted": noted_as}),
    }
    # The web process can write no event in the portal's own name.
    actor = Actor.anonymous() if process == "web" else Actor.system()
    if changed:
        changes: list[JSON] = [
            {"name": name, "before": before.get(name), "after": told[name]} for name in other
        ]
        record(SETTINGS_CHANGED.name, actor=actor, fields={**seen, "changes": changes})
    elif other:
        record(SETTINGS_RECORDED.name, actor=actor, fields={**seen, "number": len(other)})


def note_settings(_process: str, told: Told) -> None:
    """Have the sealer write down what it goes by, where that isn't its newest word. Raises the database's errors."""
    with transaction():
        if noted() != told:
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO audit_sealer_settings (told) VALUES (%s)", [json.dumps(told)])


def noted(*, since: timedelta = timedelta(0), after: datetime | None = None) -> Mapping[str, object]:
    """The sealer's newest word, if it is older than that and not from before; nothing where it has said nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTED, [since.total_seconds(), after])
        row = cursor.fetchone()
    return _read(row[0]) if row and row[1] else {}


def tell_for_sealer() -> None:
    """Have a worker write the events that the sealer may not write; at most once a minute it looks whether some are owed."""
    global _look_from
    if time.monotonic() < _look_from:
        return
    _look_from = time.monotonic() + TRY_AGAIN_AFTER
    try:
        _tell_all_for_sealer()
    except (Error, LedgerError) as error:
        log.warning("settings.not_recorded", error=type(error).__name__)


def _tell_all_for_sealer() -> None:
    """Of each row in their order, so that what it went by for a moment is told as well."""
    # All in one: whoever looked meanwhile would tell of the same rows once more, between these events.
    with _alone() as cursor:
        cursor.execute(_UNTOLD, [MOST_TOLD])
        for row, said in cursor.fetchall():
            if told := _of_sealer(_read(said)):
                _record(cursor, SEALER, told, noted_as=row)


def _read(said: str) -> Mapping[str, object]:
    """The sealer's word as settings; none where it is something else, or nothing that can be read."""
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _of_sealer(said: Mapping[str, object]) -> Told:
    """What a worker takes from the sealer's word: settings of its own and no others, as text that has an end.

    Whoever has the sealer's rights writes there what they like, and the event is in the portal's name.
    """
    own = settings_told(SEALER, {}, {})
    longest = LONGEST_APART + 40  # with what `_plain` adds where it cuts
    return {name: str(said[name])[:longest] for name in own if name in said}


def unexplained_settings(gone_until: datetime | None) -> Iterator[Finding]:
    """A finding where the newest event doesn't say what the sealer has said of its settings for some minutes.

    Where none is left, what it said before `gone_until` (real time) may have been in one that was removed.
    """
    if not may_read("audit_sealer_settings"):
        return
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST)
        row = cursor.fetchone()
    told = _of_sealer(noted(since=TELL_WITHIN, after=None if row else gone_until))
    said: dict[str, str] = json.loads(row[0]) if row and row[0] else {}
    other = sorted(name for name in told if told[name] != said.get(name))
    if other:
        sentence = f"The sealer goes by other settings than the newest event says: {', '.join(other)}."
        yield Finding("change_unexplained", sentence)


def note_once() -> None:
    """For the sealer's loop, before each pass: the first time it is the start."""
    global _begun, _owed_from
    if settings.PORTAL_PROCESS == SEALER:
        if not _begun:
            _begun, _owed_from = True, 0.0
        record_if_owed()


def record_at_start() -> None:
    """What a process does once, before it serves anybody; it leaves no connection, since a worker forks after this."""
    global _owed_from
    _owed_from = 0.0
    try:
        record_if_owed()
    finally:
        connections.close_all()


def record_once() -> None:
    """For a loop, before each pass: the first time it is the start."""
    global _begun
    if _begun:
        record_if_owed()
    else:
        _begun = True
        record_at_start()


def record_if_owed() -> None:
    """Compare this process's settings and record what is new, unless its start did.

    A database that is away holds nothing up: it is said in the log, and the first call a minute later tries again.
    """
    global _owed_from
    if _owed_from is None or time.monotonic() < _owed_from:
        return
    process = settings.PORTAL_PROCESS
    told = settings_told(process, os.environ, env.dump())
    try:
        if told:
            (note_settings if process == SEALER else record_settings)(process, told)
    except (Error, LedgerError) as error:
        _owed_from = time.monotonic() + TRY_AGAIN_AFTER
        log.warning("settings.not_recorded", error=type(error).__name__)
    else:
        _owed_from = None


def _managed_groups() -> str:
    """Which groups this process may touch: how many, and a digest, since they can be thousands."""
    try:
        groups = managed_groups()
    except AllowListError:
        return "(unreadable)"
    return f"{len(groups)}, sha256 {hashlib.sha256(' '.join(sorted(groups)).encode()).hexdigest()}"


def _plain(value: object, longest: int) -> str:
    """A value as text; of an address neither who signs in there nor what is asked of it."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, (list, tuple)):
        text = ",".join(map(str, value))
    else:
        text = str(value).encode(errors="replace").decode()
    if (parts := _address(text)) and (parts.username is not None or parts.query or parts.fragment):
        text = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"


def _host(text: str) -> str:
    parts = _address(text)
    if parts is None:
        return "(given)" if text else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


def _domains(text: str) -> str:
    found = re.findall(r"@([\w.-]+)", text)
    return ",".join(f"…@{domain}" for domain in found) or ("(given)" if text else "")


def _address(text: str) -> SplitResult | None:
    """The parts of what may be an address; None of anything else."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return parts if "://" in text and parts.netloc else None
