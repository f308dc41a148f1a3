"""The processes of the portal: how each is started and what it may be told.

The one source for `make demo` and, through a test, for docker-compose.yml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WEB, WORKER, BEAT, SEALER, MIGRATE = "web", "worker", "beat", "sealer", "migrate"
REMOVER, SEVERER = "remover", "severer"

DATABASE_ROLES = {
    WEB: "portal_web",
    WORKER: "portal_worker",
    BEAT: "portal_worker",
    SEALER: "portal_sealer",
    REMOVER: "portal_remover",
    SEVERER: "portal_severer",
    MIGRATE: "portal_owner",
}
# Variables that tell a secret or lead to one, and the processes that may have them. DATABASE_PASSWORD isn't
# here: each process has one, its own.
SECRETS: Mapping[str, frozenset[str]] = {
    "SECRET_KEY": frozenset({WEB}),
    "SECRET_KEY_FALLBACKS": frozenset({WEB}),
    "ENTRA_SIGNIN_CLIENT_SECRET": frozenset({WEB}),
    "METRICS_TOKEN": frozenset({WEB}),
    "ALERT_CHATS": frozenset({WORKER}),
    "ALERT_WEBHOOK_URL": frozenset({WORKER}),
    "APPROVAL_CHATS": frozenset({WORKER}),
    "AUDIT_STREAM_SYSLOG_CERTIFICATE": frozenset({WORKER}),
    "AUDIT_STREAM_WEBHOOK_SECRET": frozenset({WORKER}),
    "MAIL_PASSWORD": frozenset({WORKER}),
    "ENTRA_SIGNIN_WORKER_SECRET": frozenset({WORKER}),
    "PERSONAL_TOKEN_KEYS_PATH": frozenset({WORKER}),
    "ENTRA_WORKER_CERTIFICATE_PATH": frozenset({WORKER}),
    "ENTRA_WORKER_FEDERATED_TOKEN_FILE": frozenset({WORKER}),
    "ENTRA_WORKER_CLIENT_SECRET": frozenset({WORKER}),
    "AWS_ACCESS_KEY_ID": frozenset({WORKER}),
    "AWS_SECRET_ACCESS_KEY": frozenset({WORKER}),
    "AWS_SESSION_TOKEN": frozenset({WORKER}),
    "REMOVER_AWS_ACCESS_KEY_ID": frozenset({REMOVER}),
    "REMOVER_AWS_SECRET_ACCESS_KEY": frozenset({REMOVER}),
    "REMOVER_AWS_SESSION_TOKEN": frozenset({REMOVER}),
    "SEVERER_AWS_ACCESS_KEY_ID": frozenset({SEVERER}),
    "SEVERER_AWS_SECRET_ACCESS_KEY": frozenset({SEVERER}),
    "SEVERER_AWS_SESSION_TOKEN": frozenset({SEVERER}),
    "SEALER_AWS_ACCESS_KEY_ID": frozenset({SEALER}),
    "SEALER_AWS_SECRET_ACCESS_KEY": frozenset({SEALER}),
    "SEALER_AWS_SESSION_TOKEN": frozenset({SEALER}),
    "SEALING_KEY_PATH": frozenset({SEALER}),
    "AUDIT_ANCHOR_WEBHOOK_SECRET": frozenset({SEALER}),
    "REDIS_URL": frozenset({WEB, WORKER, BEAT}),
}
# Variables that aren't secret but mean something to these processes only.
CONCERNS: Mapping[str, frozenset[str]] = {
    "ENTRA_WORKER_CLIENT_ID": frozenset({WORKER}),
    "GRAPH_BASE_URL": frozenset({WORKER}),
    "AWS_ENDPOINT_URL": frozenset({WORKER, REMOVER, SEVERER, SEALER}),
    "PORTAL_MANAGED_GROUPS_FILE": frozenset({WORKER, REMOVER}),
    "ENTRA_AWS_CERTIFICATE_ENDS": frozenset({WORKER}),
    "AWS_SCIM_TOKEN_ENDS": frozenset({WORKER}),
    "CLIENT_RATE_ORGANIZATIONS": frozenset({WORKER}),
    "CLIENT_RATE_IAM": frozenset({WORKER}),
    "CLIENT_RATE_SSO_ADMIN": frozenset({WORKER}),
    "CLIENT_RATE_IDENTITYSTORE": frozenset({WORKER}),
    "CLIENT_RATE_CLOUDTRAIL": frozenset({WORKER}),
    "ACTIVITY_ROLE_NAME": frozenset({WORKER}),
    "ACTIVITY_LAKE_STORE": frozenset({WORKER}),
    "ACTIVITY_ATHENA_WORKGROUP": frozenset({WORKER}),
    "ACTIVITY_ATHENA_TABLE": frozenset({WORKER}),
    "ALERT_MAIL_TO": frozenset({WORKER}),
    "MAIL_BACKEND": frozenset({WORKER}),
    "ON_CALL_DOCUMENT": frozenset({WORKER}),
    "ON_CALL_SOURCE": frozenset({WORKER}),
    "MAIL_FROM": frozenset({WORKER}),
    "MAIL_HOST": frozenset({WORKER}),
    "MAIL_PORT": frozenset({WORKER}),
    "MAIL_TLS": frozenset({WORKER}),
    "MAIL_USER": frozenset({WORKER}),
    "ENTRA_SIGNIN_CLIENT_ID": frozenset({WEB, WORKER}),
    "PERSONAL_TOKEN_PUBLIC_KEY": frozenset({WEB}),
    "AUDIT_ANCHOR_BUCKET": frozenset({SEALER}),
    "AUDIT_ANCHOR_BUCKET_PREFIX": frozenset({SEALER}),
    "AUDIT_ANCHOR_BUCKET_REGION": frozenset({SEALER}),
    "AUDIT_ANCHOR_KEPT_DAYS": frozenset({SEALER}),
    "AUDIT_ANCHOR_TSA_ROOTS": frozenset({SEALER}),
    "AUDIT_ANCHOR_TSA_URL": frozenset({SEALER}),
    "AUDIT_ANCHOR_FILE": frozenset({SEALER}),
    "AUDIT_ANCHOR_WEBHOOK_URL": frozenset({SEALER}),
    "AUDIT_STREAM_BUCKET": frozenset({WORKER}),
    "AUDIT_STREAM_BUCKET_PREFIX": frozenset({WORKER}),
    "AUDIT_STREAM_BUCKET_REGION": frozenset({WORKER}),
    "AUDIT_STREAM_SYSLOG": frozenset({WORKER}),
    "AUDIT_STREAM_SYSLOG_CA": frozenset({WORKER}),
    "AUDIT_STREAM_SYSLOG_CONFIRMS": frozenset({WORKER}),
    "AUDIT_STREAM_SYSLOG_PAYLOAD": frozenset({WORKER}),
    "AUDIT_STREAM_WEBHOOK_URL": frozenset({WORKER}),
    "AUDIT_VERIFY_KEYS": frozenset({WORKER}),
    "AUDIT_ANCHOR_SYSLOG": frozenset({SEALER}),
    "AUDIT_ANCHOR_SYSLOG_CA_BUNDLE": frozenset({SEALER}),
    "WEB_BIND": frozenset({WEB}),
    "WEB_CONCURRENCY": frozenset({WEB}),
    "CELERY_BEAT_SCHEDULE": frozenset({BEAT}),
}


@dataclass(frozen=True, slots=True)
class Process:
    """One kind of process: `kind` is its PORTAL_PROCESS; `command` runs in the project's folder.

    `copies` is how many run on one machine. `ready` is a text in its log that shows that it works; None when
    something else shows it. `only_when`, a variable with its value, is the setting that it carries out: without it
    there is nothing for it to do, and it isn't started.
    """

    kind: str
    command: tuple[str, ...]
    copies: int = 1
    ready: str | None = None
    only_when: tuple[str, str] | None = None


CELERY = ("celery", "--app", "accessportal.celery")
MIGRATION = Process(MIGRATE, ("python", "manage.py", "migrate", "--noinput"))
LONG_RUNNING = (
    Process(WEB, ("gunicorn", "accessportal.wsgi:application")),
    Process(
        WORKER,
        (
            *CELERY,
            "worker",
            "--loglevel",
            "INFO",
            "--concurrency",
            "2",
            "--without-gossip",
            "--without-mingle",
        ),
        copies=2,
        ready=" ready.",
    ),
    Process(BEAT, (*CELERY, "beat", "--loglevel", "INFO"), ready="beat: Starting"),
    Process(SEALER, ("python", "manage.py", "seal", "--loop")),
    Process(REMOVER, ("python", "manage.py", "remove_fast", "--loop"), only_when=("FAST_REMOVAL", "direct")),
    Process(
        SEVERER, ("python", "manage.py", "sever_sessions", "--loop"), only_when=("SESSION_SEVERING", "on")
    ),
)


def environment_for(kind: str, everything: Mapping[str, str]) -> dict[str, str]:
    """The part of `everything` that a process of `kind` may be given, and which process it is."""
    allowed = {
        name: value
        for name, value in everything.items()
        if kind in SECRETS.get(name, {kind}) and kind in CONCERNS.get(name, {kind})
    }
    return {**allowed, "PORTAL_PROCESS": kind}
