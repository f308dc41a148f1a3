"""System checks: what must be right before a process of the portal starts. Ids are `portal.E…` and `portal.W…`.

`manage.py check --database default` runs them all; `refuse_misconfiguration` stops a web or worker process
that fails one. In test mode, where processes are put together piece by piece, missing variables are no error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connection, connections

from catalog.allow_list import AllowListError, managed_groups
from clients.activity_stores import EVENT_HISTORY, SOURCES, activity_store
from clients.errors import NotPermitted
from identity.personal.sealing import Keyring, SealError, SealingKey
from notifications import demo_mail
from notifications.languages import LANGUAGES
from policy.assurance import CONTEXT
from requests_app.cutting.places import PlacesError, parse_places

WEB, WORKER, BEAT, SEALER, MIGRATE = "web", "worker", "beat", "sealer", "migrate"
REMOVER, SEVERER = "remover", "severer"
PROCESSES = (WEB, WORKER, BEAT, SEALER, REMOVER, SEVERER, MIGRATE)
MODES = ("production", "demo", "test")
FAST_REMOVALS = ("off", "direct", "on_demand")

# Variables that are a secret or lead to one, and the processes that may have them.
SECRETS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        ("SECRET_KEY", "SECRET_KEY_FALLBACKS", "ENTRA_SIGNIN_CLIENT_SECRET", "METRICS_TOKEN"),
        frozenset({WEB}),
    ),
    **dict.fromkeys(
        (
            "ENTRA_WORKER_CERTIFICATE_PATH",
            "ENTRA_WORKER_FEDERATED_TOKEN_FILE",
            "ENTRA_WORKER_CLIENT_SECRET",
            "AZURE_CLIENT_CERTIFICATE_PATH",
            "AZURE_CLIENT_SECRET",
            "AZURE_FEDERATED_TOKEN_FILE",
            "ALERT_CHATS",
            "ALERT_WEBHOOK_URL",
            "APPROVAL_CHATS",
            "AUDIT_STREAM_SYSLOG_CERTIFICATE",
            "AUDIT_STREAM_WEBHOOK_SECRET",
            "MAIL_PASSWORD",
            "ENTRA_SIGNIN_WORKER_SECRET",
            "PERSONAL_TOKEN_KEYS_PATH",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_SECURITY_TOKEN",
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_CONFIG_FILE",
        ),
        frozenset({WORKER}),
    ),
    # What a platform hands to a container names that container's own role: each of the four has another.
    **dict.fromkeys(
        (
            "AWS_ROLE_ARN",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        ),
        frozenset({WORKER, REMOVER, SEVERER, SEALER}),
    ),
    **dict.fromkeys(
        ("REMOVER_AWS_ACCESS_KEY_ID", "REMOVER_AWS_SECRET_ACCESS_KEY", "REMOVER_AWS_SESSION_TOKEN"),
        frozenset({REMOVER}),
    ),
    **dict.fromkeys(
        ("SEVERER_AWS_ACCESS_KEY_ID", "SEVERER_AWS_SECRET_ACCESS_KEY", "SEVERER_AWS_SESSION_TOKEN"),
        frozenset({SEVERER}),
    ),
    **dict.fromkeys(
        ("SEALER_AWS_ACCESS_KEY_ID", "SEALER_AWS_SECRET_ACCESS_KEY", "SEALER_AWS_SESSION_TOKEN"),
        frozenset({SEALER}),
    ),
    "SEALING_KEY_PATH": frozenset({SEALER}),
    "AUDIT_ANCHOR_WEBHOOK_SECRET": frozenset({SEALER}),
    "REDIS_URL": frozenset({WEB, WORKER, BEAT}),
}

# What a process can't do without, with where to find it. "A or B" is given by either.
REQUIRED: Mapping[str, tuple[frozenset[str], str]] = {
    "DATABASE_PASSWORD": (
        frozenset({WEB, WORKER, SEALER, REMOVER, SEVERER, MIGRATE}),
        "It is the password of this process's own login role; stack/bootstrap.sql makes the roles.",
    ),
    "SECRET_KEY": (frozenset({WEB}), "Make one of 50 random characters or more, and keep it."),
    "PORTAL_ORIGIN": (
        frozenset({WEB}),
        "It is the address in people's browsers, like https://access.example.com.",
    ),
    "ENTRA_TENANT_ID": (frozenset({WEB, WORKER}), "It stands on the overview page of your tenant in Entra."),
    "ENTRA_SIGNIN_CLIENT_ID": (frozenset({WEB}), "It is the client id of the sign-in app registration."),
    "ENTRA_SIGNIN_CLIENT_SECRET": (
        frozenset({WEB}),
        "It is a client secret of the sign-in app registration.",
    ),
    "ENTRA_WORKER_CLIENT_ID": (frozenset({WORKER}), "It is the client id of the worker's app registration."),
    "ENTRA_AWS_SERVICE_PRINCIPAL_ID": (
        frozenset({WORKER}),
        "It is the object id of the enterprise application that provisions IAM Identity Center.",
    ),
    "AWS_REGION or AWS_DEFAULT_REGION": (
        frozenset({WORKER, REMOVER, SEVERER}),
        "It is the region of IAM Identity Center.",
    ),
    "PORTAL_MANAGED_GROUPS_FILE": (
        frozenset({WORKER, REMOVER}),
        "It lists the Entra groups that the portal may touch, one object id a line.",
    ),
    "SEALING_KEY_PATH": (frozenset({SEALER}), "It is an Ed25519 private key in PEM; keep a copy elsewhere."),
}
WORKER_CREDENTIALS = (
    "ENTRA_WORKER_CERTIFICATE_PATH",
    "ENTRA_WORKER_FEDERATED_TOKEN_FILE",
    "ENTRA_WORKER_CLIENT_SECRET",
)
FILES = (
    "ENTRA_WORKER_CERTIFICATE_PATH",
    "ENTRA_WORKER_FEDERATED_TOKEN_FILE",
    "ENTRA_CA_BUNDLE",
    "SEALING_KEY_PATH",
    "PERSONAL_TOKEN_KEYS_PATH",
)
# What a worker needs, all together, to act with people's own tokens.
PERSONAL = ("PERSONAL_TOKEN_KEYS_PATH", "ENTRA_SIGNIN_CLIENT_ID", "ENTRA_SIGNIN_WORKER_SECRET")
# Where tokens and credentials are sent, and whether a stand-in on this machine may do without TLS.
ADDRESSES: Mapping[str, bool] = {
    "ENTRA_AUTHORITY": False,
    "ENTRA_BROWSER_ORIGIN": True,
    "GRAPH_BASE_URL": True,
    "AWS_ENDPOINT_URL": True,
    "AUDIT_ANCHOR_WEBHOOK_URL": True,
    "AUDIT_STREAM_WEBHOOK_URL": True,
    "EMERGENCY_PROCEDURE_URL": True,
    "PORTAL_ORIGIN": True,
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SHORTEST_SECRET_KEY = 32
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ORIGIN = re.compile(r"https?://[^/?#@\s]+")


def register_all() -> None:
    """Declare the checks; called once when Django starts."""
    checks.register(check_environment, "portal")
    checks.register(check_allow_list, "portal")
    checks.register(check_database_role, checks.Tags.database)


def refuse_misconfiguration() -> None:
    """Raises SystemExit, naming every error, before a process starts with a wrong configuration."""
    try:
        # Not Django's own checks of the database, which raise when it can't be reached.
        found = [*checks.run_checks(), *check_database_role(databases=["default"])]
    finally:
        connections.close_all()  # a worker forks after this
    errors = [message for message in found if message.is_serious() and not message.is_silenced()]
    if errors:
        raise SystemExit("\n".join(["The portal doesn't start:", *map(str, errors)]))


def check_environment(**_: Any) -> list[checks.CheckMessage]:
    """This process's variables."""
    process, mode = settings.PORTAL_PROCESS, settings.PORTAL_MODE
    return list(environment_problems(os.environ, process=process, mode=mode))


def environment_problems(
    environ: Mapping[str, str], *, process: str, mode: str
) -> Iterator[checks.CheckMessage]:
    """Everything wrong with these variables for that process. An empty value counts as none."""
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    if process not in PROCESSES:
        yield _error(1, f"PORTAL_PROCESS is {process!r}.", f"It is one of {', '.join(PROCESSES)}.")
    if mode not in MODES:
        yield _error(1, f"PORTAL_MODE is {mode!r}.", f"It is one of {', '.join(MODES)}.")
    if mode != "test":
        yield from _missing(given, process)
    yield from _one_too_many(given, process)
    yield from _clock(given, mode)
    yield from _entra(given, process)
    yield from _addresses(given, mode)
    yield from _files(given, process)
    yield from _cutting(given, process)
    yield from _activity(given, process)
    yield from _api(given)
    yield from _personal(given, process)
    yield from _mail(given, mode)
    if process == WEB:
        yield from _web(given, mode)


def _missing(given: Mapping[str, str], process: str) -> Iterator[checks.CheckMessage]:
    for name, (processes, hint) in REQUIRED.items():
        if process in processes and not any(each in given for each in name.split(" or ")):
            yield _error(2, f"{name} is missing, which the {process} process needs.", hint)


def _one_too_many(given: Mapping[str, str], process: str) -> Iterator[checks.CheckMessage]:
    for name, processes in SECRETS.items():
        if name in given and process not in processes:
            yield _error(
                3,
                f"{name} is given to the {process} process, which must not hold it.",
                f"Only {' and '.join(sorted(processes))} may have it: "
                "take it out of this process's environment.",
            )


def _clock(given: Mapping[str, str], mode: str) -> Iterator[checks.CheckMessage]:
    factor = given.get("BUSINESS_CLOCK_FACTOR", "1")
    try:
        usable = float(factor) > 0
    except ValueError:
        usable = False
    if not usable:
        yield _error(
            4, f"BUSINESS_CLOCK_FACTOR is {factor!r}.", "It is a number above 0; leave it out for 1."
        )
    elif mode == "production" and (float(factor) != 1 or "BUSINESS_CLOCK_ANCHOR_BUSINESS" in given):
        yield _error(
            4,
            "The business clock doesn't show real time.",
            "Take BUSINESS_CLOCK_FACTOR and BUSINESS_CLOCK_ANCHOR_… away; only demo and tests may set them.",
        )


def _entra(given: Mapping[str, str], process: str) -> Iterator[checks.CheckMessage]:
    tenant = given.get("ENTRA_TENANT_ID", "")
    if tenant and not _GUID.fullmatch(tenant):
        yield _error(
            5,
            f"ENTRA_TENANT_ID is {tenant!r}, which is no tenant id.",
            "Use the GUID of the one tenant: a domain, common and organizations have no exact issuer.",
        )
    context = given.get("ENTRA_MFA_CONTEXT", "")
    if context and not CONTEXT.fullmatch(context):
        yield _error(
            24,
            f"ENTRA_MFA_CONTEXT is {context!r}, which is no authentication context.",
            "Use the name that Entra gives it, from c1 to c99, or leave it empty.",
        )
    credentials = [name for name in WORKER_CREDENTIALS if name in given]
    if process == WORKER and "ENTRA_WORKER_CLIENT_ID" in given and len(credentials) != 1:
        yield _error(
            7,
            f"The worker has {len(credentials)} credentials for Entra instead of one.",
            f"Set exactly one of {', '.join(WORKER_CREDENTIALS)}; a secret is the weakest.",
        )


def _addresses(given: Mapping[str, str], mode: str) -> Iterator[checks.CheckMessage]:
    for name, plain_allowed in ADDRESSES.items():
        value = given.get(name)
        if value is None:
            continue
        parts = urlsplit(value)
        local = parts.hostname in LOOPBACK and mode != "production"
        if parts.hostname and (
            parts.scheme == "https" or (parts.scheme == "http" and plain_allowed and local)
        ):
            continue
        yield _error(
            6, f"{name} is {value!r}, which is no https address.", "Tokens and credentials go there."
        )


def _files(given: Mapping[str, str], process: str) -> Iterator[checks.CheckMessage]:
    for name in FILES:
        path = given.get(name)
        if path is None or process not in SECRETS.get(name, {process}):
            continue
        if not (Path(path).is_file() and os.access(path, os.R_OK)):
            yield _error(
                10,
                f"{name} names {path!r}, which this process can't read.",
                "Check the path, that it is mounted, and its permissions.",
            )


def _cutting(given: Mapping[str, str], process: str) -> Iterator[checks.CheckMessage]:
    """Fast removal and severing: settings that are none, places that are none, a setting without its credential."""
    removal = given.get("FAST_REMOVAL", "off")
    if removal not in FAST_REMOVALS:
        yield _error(15, f"FAST_REMOVAL is {removal!r}.", f"It is one of {', '.join(FAST_REMOVALS)}.")
    severing = given.get("SESSION_SEVERING", "off")
    if severing not in ("off", "on"):
        yield _error(15, f"SESSION_SEVERING is {severing!r}.", "It is off or on.")
    try:
        places = parse_places(given.get("SESSION_SEVERING_PLACES", ""))
    except PlacesError as error:
        yield _error(16, str(error), "Write PERMISSION_SET=inline or PERMISSION_SET=scp:p-…, by blanks.")
        places = {"?": ""}
    if severing == "on" and not places:
        yield _error(
            16,
            "SESSION_SEVERING is on, and SESSION_SEVERING_PLACES names no place.",
            "Prepare a service control policy or an inline policy first; docs/permissions.md says how.",
        )
    for owner, wanted in ((REMOVER, removal == "direct"), (SEVERER, severing == "on")):
        if process == owner and wanted and not _has_own_credential(given, owner.upper()):
            yield _error(
                17,
                f"The {owner} has no AWS credential of its own, and its setting is on.",
                f"Give it {owner.upper()}_AWS_ACCESS_KEY_ID and {owner.upper()}_AWS_SECRET_ACCESS_KEY, or a role of "
                "its own from the platform (web identity or container credentials).",
            )


def _activity(given: Mapping[str, str], process: str) -> Iterator[checks.CheckMessage]:
    """Reading activity: settings that are none, no Region to read, and a source that is named by halves."""
    if (source := given.get("ACTIVITY_SOURCE") or EVENT_HISTORY) not in SOURCES:
        yield _error(22, f"ACTIVITY_SOURCE is {source!r}.", "It is event_history, lake or athena.")
    elif process == WORKER:  # the others need not know where
        try:
            activity_store(given)
        except NotPermitted as error:
            yield _error(23, error.sentence, "docs/permissions.md says what each source needs.")
    if (chosen := given.get("ACTIVITY", "off")) not in ("off", "on"):
        yield _error(22, f"ACTIVITY is {chosen!r}.", "It is off or on.")
    if chosen == "on" and not given.get("ACTIVITY_REGIONS", "").split():
        yield _error(
            23,
            "ACTIVITY is on, and ACTIVITY_REGIONS names no Region.",
            "Name the Regions in which people may act, by blanks; what is global is in us-east-1.",
        )
    if (by := given.get("ACTIVITY_LOOKUP", "session_name")) not in ("session_name", "everything"):
        yield _error(22, f"ACTIVITY_LOOKUP is {by!r}.", "It is session_name or everything.")
    days = given.get("ACTIVITY_KEEP_DAYS", "400")
    if not days.isdecimal() or int(days) < 90:
        yield _error(
            22,
            f"ACTIVITY_KEEP_DAYS is {days!r}.",
            "It is a number of days, 90 at least: CloudTrail's event history itself reaches back so far.",
        )


def _api(given: Mapping[str, str]) -> Iterator[checks.CheckMessage]:
    """A token can't outlive the role of its owner by more than a token lasts."""
    days = given.get("API_SIGN_IN_DAYS") or "30"
    if not days.isdecimal() or not 1 <= int(days) <= 90:
        yield _error(25, f"API_SIGN_IN_DAYS is {days!r}.", "It is a number of days, from 1 to 90.")


def _personal(given: Mapping[str, str], process: str) -> Iterator[checks.CheckMessage]:
    """Activation as the person: a public key that is none for the web process; half a credential for the worker."""
    if process == WEB and (text := given.get("PERSONAL_TOKEN_PUBLIC_KEY")):
        try:
            SealingKey.parse(text)
        except SealError as error:
            yield _error(18, f"PERSONAL_TOKEN_PUBLIC_KEY: {error}", "`manage.py make_token_key` prints it.")
    if process == WORKER and (path := given.get("PERSONAL_TOKEN_KEYS_PATH")) and Path(path).is_file():
        try:
            Keyring.load(Path(path))
        except SealError as error:
            yield _error(18, f"PERSONAL_TOKEN_KEYS_PATH: {error}", "`manage.py make_token_key` makes one.")
    # The client id alone is no sign of wanting it: everybody of one deployment may be told that.
    if process == WORKER and any(name in given for name in (PERSONAL[0], PERSONAL[2])):
        for name in PERSONAL:
            if name not in given:
                yield _error(
                    19,
                    f"{name} is missing, which activation as the person needs besides.",
                    f"Give the worker all of {', '.join(PERSONAL)}, or only the client id.",
                )


def _mail(given: Mapping[str, str], mode: str) -> Iterator[checks.CheckMessage]:
    """The demo's mail is open to anybody, so that nothing else may keep its mail there."""
    if mode == "production" and given.get("MAIL_BACKEND") == demo_mail.BACKEND:
        yield _error(
            20,
            "MAIL_BACKEND is the demo's, which sends no mail but keeps it on a page.",
            "Leave it out for SMTP, and set MAIL_HOST; or name another backend of Django.",
        )
    if (language := given.get("NOTIFY_LANGUAGE", "en")) not in LANGUAGES:
        yield _error(21, f"NOTIFY_LANGUAGE is {language!r}.", f"It is one of {', '.join(LANGUAGES)}.")
    if (zone := given.get("NOTIFY_TIME_ZONE", "UTC")) not in available_timezones():
        yield _error(21, f"NOTIFY_TIME_ZONE is {zone!r}.", "It is a name such as Europe/Berlin, or UTC.")


def _has_own_credential(given: Mapping[str, str], prefix: str) -> bool:
    key = f"{prefix}_AWS_ACCESS_KEY_ID" in given and f"{prefix}_AWS_SECRET_ACCESS_KEY" in given
    return key or any(
        name in given
        for name in (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        )
    )


def _web(given: Mapping[str, str], mode: str) -> Iterator[checks.CheckMessage]:
    secret_key = given.get("SECRET_KEY")
    if secret_key is not None and mode == "production" and len(secret_key) < SHORTEST_SECRET_KEY:
        yield _error(
            11,
            f"SECRET_KEY has {len(secret_key)} characters.",
            f"It signs sessions: make it {SHORTEST_SECRET_KEY} random characters or more.",
        )
    origin = given.get("PORTAL_ORIGIN", "").rstrip("/")
    if origin and not _ORIGIN.fullmatch(origin):
        yield _error(
            12,
            f"PORTAL_ORIGIN is {origin!r}, which is no origin.",
            "Give scheme, host and port, and no path.",
        )
    if "*" in given.get("ALLOWED_HOSTS", ""):
        yield _error(
            13, "ALLOWED_HOSTS lets any host through.", "Name the hosts, or leave it to PORTAL_ORIGIN."
        )
    proxies = given.get("TRUSTED_PROXY_COUNT", "0")
    if not proxies.isdecimal():
        yield _error(
            14,
            f"TRUSTED_PROXY_COUNT is {proxies!r}.",
            "It is how many reverse proxies of yours stand in front.",
        )


def check_allow_list(**_: Any) -> list[checks.CheckMessage]:
    """The worker's list of managed groups."""
    if settings.PORTAL_PROCESS not in (WORKER, REMOVER) or not settings.PORTAL_MANAGED_GROUPS_FILE:
        return []  # a missing variable is E002's
    try:
        groups = managed_groups()
    except AllowListError as error:
        return [_error(9, str(error), "One Entra object id a line; # begins a comment.")]
    if groups:
        return []
    return [
        checks.Warning(
            "The list of managed groups is empty, so nothing can be requested.",
            hint=f"Add object ids to {settings.PORTAL_MANAGED_GROUPS_FILE}, one a line.",
            id="portal.W002",
        )
    ]


_ROLE = """
SELECT current_user, r.rolsuper OR r.rolcreaterole OR r.rolbypassrls OR r.rolreplication,
       pg_has_role(current_user, d.datdba, 'MEMBER')
FROM pg_roles r, pg_database d
WHERE r.rolname = current_user AND d.datname = current_database()
"""


def check_database_role(databases: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """Each process logs in as a role of its own: only `migrate` as the owner, none as a superuser."""
    if "default" not in (databases or ()):
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute(_ROLE)
            name, mighty, owner = cursor.fetchone()
    except DatabaseError as error:
        return [
            checks.Warning(
                f"The database can't be asked who this process is ({type(error).__name__}).",
                hint="Check DATABASE_HOST, DATABASE_PORT, DATABASE_NAME and DATABASE_PASSWORD.",
                id="portal.W001",
            )
        ]
    process = settings.PORTAL_PROCESS
    hint = "stack/bootstrap.sql makes a login role for each process; leave DATABASE_USER out to use them."
    if mighty:
        return [_error(8, f"The {process} process is connected as {name}, which may do anything.", hint)]
    if owner != (process == MIGRATE):
        part = "isn't" if process == MIGRATE else "is"
        return [_error(8, f"The {process} process is connected as {name}, which {part} the owner.", hint)]
    return []


def _error(number: int, message: str, hint: str) -> checks.Error:
    return checks.Error(message, hint=hint, id=f"portal.E{number:03}")
