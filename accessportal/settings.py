"""Settings of every process, from the environment. `PORTAL_PROCESS` says which process this is.

.env.example explains each variable; `accessportal.checks` refuses a configuration that is
incomplete, or that hands a process a secret it must not hold.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.utils.csp import CSP
from kombu import Queue

from accessportal.environment import env
from base.clock import BusinessClock, configure

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Which process, in which mode

PROCESSES = ("web", "worker", "beat", "sealer", "remover", "severer", "migrate")
PORTAL_PROCESS = env.str("PORTAL_PROCESS", "web")
PORTAL_MODE = env.str("PORTAL_MODE", "production")  # production, demo, test
PORTAL_ORIGIN = env.str("PORTAL_ORIGIN", "http://127.0.0.1:8000").rstrip("/")
HTTPS = PORTAL_ORIGIN.startswith("https://")

DEBUG = False
# Only the web process signs anything; the others get a value that is useless elsewhere.
SECRET_KEY = env.str("SECRET_KEY", "" if PORTAL_PROCESS == "web" else "not-used-outside-the-web-process")
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", [])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", [urlsplit(PORTAL_ORIGIN).hostname or "127.0.0.1"])
CSRF_TRUSTED_ORIGINS = [PORTAL_ORIGIN]
# How many reverse proxies stand in front; 0 means the peer's address is the client's.
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", 0)
if TRUSTED_PROXY_COUNT and HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Clocks

BUSINESS_CLOCK_FACTOR = env.float("BUSINESS_CLOCK_FACTOR", 1.0)
_EPOCH = "1970-01-01T00:00:00+00:00"
configure(
    BusinessClock(
        factor=BUSINESS_CLOCK_FACTOR,
        anchor_real=datetime.fromisoformat(env.str("BUSINESS_CLOCK_ANCHOR_REAL", _EPOCH)).astimezone(UTC),
        anchor_business=datetime.fromisoformat(env.str("BUSINESS_CLOCK_ANCHOR_BUSINESS", _EPOCH)).astimezone(
            UTC
        ),
    )
)
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
USE_I18N = False

# --- Applications

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_htmx",
    "heroicons",
    "audit.ledger.apps.LedgerConfig",
    "audit.forwarding.apps.ForwardingConfig",
    "identity.apps.IdentityConfig",
    "catalog.apps.CatalogConfig",
    "policy.apps.PolicyConfig",
    "requests_app.apps.RequestsAppConfig",
    "audit.history.apps.HistoryConfig",
    "audit.exporting.apps.ExportingConfig",
    "audit.api.apps.AuditApiConfig",
    "notifications.apps.NotificationsConfig",
    "oversight.apps.OversightConfig",
    "reviews.apps.ReviewsConfig",
    "accessportal.apps.AccessPortalConfig",
]

MIDDLEWARE = [
    "accessportal.middleware.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "accessportal.middleware.VisibleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "accessportal.middleware.PlainTextMiddleware",
    "accessportal.middleware.PrivateMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "identity.middleware.SessionGuardMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accessportal.middleware.RequestLogMiddleware",
    "accessportal.refusals.RefusalMiddleware",
    "accessportal.middleware.DomainErrorMiddleware",
]

ROOT_URLCONF = "accessportal.urls"
WSGI_APPLICATION = "accessportal.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accessportal.context.portal",
            ],
            "builtins": ["accessportal.templatetags.portal", "heroicons.templatetags.heroicons"],
        },
    }
]

# --- Database: one login role per process

DATABASE_ROLES = {
    "web": "portal_web",
    "worker": "portal_worker",
    "beat": "portal_worker",
    "sealer": "portal_sealer",
    "remover": "portal_remover",
    "severer": "portal_severer",
    "migrate": "portal_owner",
}
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": env.str("DATABASE_HOST", "127.0.0.1"),
        "PORT": env.str("DATABASE_PORT", "5432"),
        "NAME": env.str("DATABASE_NAME", "portal"),
        "USER": env.str("DATABASE_USER", DATABASE_ROLES.get(PORTAL_PROCESS, "portal_web")),
        "PASSWORD": env.str("DATABASE_PASSWORD", ""),
        "OPTIONS": {
            "connect_timeout": 5,
            "application_name": f"access-portal {PORTAL_PROCESS}",
            "options": "-c statement_timeout=10000 -c lock_timeout=5000"
            if PORTAL_PROCESS == "web"
            else "-c lock_timeout=10000",
        },
    }
}
if PORTAL_PROCESS == "web":
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 8, "timeout": 5}  # type: ignore[index]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Sign-in

AUTH_USER_MODEL = "identity.User"
AUTHENTICATION_BACKENDS = ["identity.backends.SignedInBackend"]
LOGIN_URL = "/signin/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/signed-out/"

ENTRA_TENANT_ID = env.str("ENTRA_TENANT_ID", "")
ENTRA_AUTHORITY = env.str("ENTRA_AUTHORITY", "https://login.microsoftonline.com").rstrip("/")
ENTRA_BROWSER_ORIGIN = env.str("ENTRA_BROWSER_ORIGIN", ENTRA_AUTHORITY).rstrip("/")
# Extra certification authorities for Entra, as a PEM file; "" trusts the system's alone.
ENTRA_CA_BUNDLE = env.str("ENTRA_CA_BUNDLE", "")
ENTRA_SIGNIN_CLIENT_ID = env.str("ENTRA_SIGNIN_CLIENT_ID", "")
ENTRA_SIGNIN_CLIENT_SECRET = env.str("ENTRA_SIGNIN_CLIENT_SECRET", "")
# The authentication context whose Conditional Access policy demands MFA: what PIM's own MFA means in application mode.
ENTRA_MFA_CONTEXT = env.str("ENTRA_MFA_CONTEXT", "").strip()
# Who is on call (policy.on_call): the dotted path of a callable, and what the one that comes with the portal reads.
ON_CALL_SOURCE = env.str("ON_CALL_SOURCE", "").strip()
ON_CALL_DOCUMENT = env.str("ON_CALL_DOCUMENT", "").strip()
# People's own tokens (identity.personal): the web process seals with the public key, workers open with their keys.
PERSONAL_TOKEN_PUBLIC_KEY = env.str("PERSONAL_TOKEN_PUBLIC_KEY", "").strip()
PERSONAL_TOKEN_KEYS_PATH = env.str("PERSONAL_TOKEN_KEYS_PATH", "")
# How long one is kept at most after its sign-in (real time). Entra's own limit is 90 days without use.
PERSONAL_TOKEN_LIFETIME = timedelta(hours=24)

ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_USER_MODEL_EMAIL_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "identity.adapters.AccountAdapter"
# Nobody signs in or up by anything that is typed here; allauth refuses an empty list of fields.
ACCOUNT_LOGIN_METHODS: set[str] = set()
ACCOUNT_SIGNUP_FIELDS = ["email"]
ACCOUNT_SESSION_REMEMBER = False
SOCIALACCOUNT_ADAPTER = "identity.adapters.SocialAccountAdapter"
SOCIALACCOUNT_ONLY = True
SOCIALACCOUNT_AUTO_SIGNUP = True
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5
SOCIALACCOUNT_PROVIDERS = {
    # identity.adapters describes the one application, from the ENTRA_… settings above.
    "openid_connect": {
        "provider_class": "identity.signin.provider.EntraProvider",
        "OAUTH_PKCE_ENABLED": True,
    }
}

SESSION_COOKIE_AGE = int(timedelta(hours=8).total_seconds())
SESSION_IDLE_LIMIT = timedelta(hours=2)
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
SESSION_COOKIE_SAMESITE = "Lax"  # Strict would drop the session on the way back from Entra
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "accessportal.views.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# --- Headers

SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "manifest-src": [CSP.SELF],
    # Signing in and out posts a form that redirects to Entra.
    "form-action": [CSP.SELF, ENTRA_BROWSER_ORIGIN],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
PERMISSIONS_POLICY: dict[str, list[str]] = {
    feature: []
    for feature in (
        "camera",
        "display-capture",
        "geolocation",
        "microphone",
        "payment",
        "usb",
        "browsing-topics",
    )
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 512 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 100

# --- Static files

STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", str(BASE_DIR / "staticfiles")))
STATICFILES_DIRS = [BASE_DIR / "static"]
# Tests read static files where they stand; elsewhere `collectstatic` has gathered and hashed them.
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = PORTAL_MODE == "test"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if PORTAL_MODE == "test"
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Celery: a doorbell. The row in Postgres is the job (docs/adr/).

REDIS_URL = env.str("REDIS_URL", "redis://127.0.0.1:6379/0")

# How often the sweeper looks for owed work, and how long a claim on a row holds (both real time).
SWEEP_EVERY = timedelta(seconds=env.int("SWEEP_SECONDS", 5))
LEASE = timedelta(seconds=60)
# How often owed readings of what was done are looked for (real time).
ACTIVITY_CHECK_EVERY = timedelta(seconds=env.int("ACTIVITY_CHECK_SECONDS", 60))

CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A task that a killed worker held comes back within about two minutes; no task may live that long.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 120,
    # Queues are asked in the order in which they stand in CELERY_TASK_QUEUES.
    "queue_order_strategy": "priority",
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "socket_connect_timeout": 1,
    "socket_timeout": 10,
}
CELERY_TASK_TIME_LIMIT = 60
CELERY_TASK_SOFT_TIME_LIMIT = 50
# Acknowledged after the work, and requeued when a pool child is killed; actions are idempotent.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
# A lost ring costs one sweep; a page must not wait for a broker that is down.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
# Reading the catalogue may take minutes; somebody's approval must not wait behind it.
CELERY_TASK_DEFAULT_QUEUE = "access"
CELERY_TASK_QUEUES = [Queue("access"), Queue("catalogue")]
CELERY_TASK_ROUTES = {
    task: {"queue": "catalogue"}
    for task in (
        "audit.exporting.tasks.*",
        "audit.forwarding.tasks.*",
        "audit.ledger.tasks.*",
        "catalog.tasks.*",
        "notifications.tasks.*",
        "oversight.tasks.*",
        "requests_app.tasks.read_activity",
    )
}

# The trail's receivers outside, by blanks: webhook, syslog, s3. Everybody knows which, so that pages can say how they
# stand; only the worker knows where.
AUDIT_STREAMS = env.str("AUDIT_STREAMS", "").split()
AUDIT_STREAM_WEBHOOK_URL = env.str("AUDIT_STREAM_WEBHOOK_URL", "")
AUDIT_STREAM_WEBHOOK_SECRET = env.str("AUDIT_STREAM_WEBHOOK_SECRET", "")
AUDIT_STREAM_SYSLOG = env.str("AUDIT_STREAM_SYSLOG", "")
AUDIT_STREAM_SYSLOG_PAYLOAD = env.str("AUDIT_STREAM_SYSLOG_PAYLOAD", "ocsf")
AUDIT_STREAM_SYSLOG_CA = env.str("AUDIT_STREAM_SYSLOG_CA", "")
AUDIT_STREAM_SYSLOG_CERTIFICATE = env.str("AUDIT_STREAM_SYSLOG_CERTIFICATE", "")
# Whether the server answers the end of a TLS session as RFC 5425 asks it to: the only acknowledgement there is.
AUDIT_STREAM_SYSLOG_CONFIRMS = env.bool("AUDIT_STREAM_SYSLOG_CONFIRMS", True)
AUDIT_STREAM_BUCKET = env.str("AUDIT_STREAM_BUCKET", "")
AUDIT_STREAM_BUCKET_REGION = env.str("AUDIT_STREAM_BUCKET_REGION", "")
AUDIT_STREAM_BUCKET_PREFIX = env.str("AUDIT_STREAM_BUCKET_PREFIX", "events/")
FORWARD_EVERY = timedelta(seconds=5)


def _every(task: str, period: timedelta) -> dict[str, Any]:
    # What waited longer than two periods is dropped unrun: the next one does the same (docs/adr/0032).
    return {"task": task, "schedule": period, "options": {"expires": 2 * period.total_seconds()}}


CELERY_BEAT_SCHEDULE = {
    "sweep": _every("requests_app.tasks.sweep", SWEEP_EVERY),
    "queue": _every("requests_app.tasks.call_up", timedelta(seconds=1)),
    "sync": _every("catalog.tasks.sync_due", timedelta(seconds=15)),
    "on_call": _every("policy.tasks.read_on_call", timedelta(seconds=60)),
    "watch": _every("oversight.tasks.watch", timedelta(seconds=15)),
    "activity": _every("requests_app.tasks.read_activity", ACTIVITY_CHECK_EVERY),
    "rules": _every("oversight.tasks.rules", timedelta(seconds=5)),
    "tell": _every("notifications.tasks.tell", timedelta(seconds=5)),
    "forward": _every("audit.forwarding.tasks.forward", FORWARD_EVERY),
    "sessions": _every("identity.tasks.clear_expired_sessions", timedelta(hours=1)),
    "exports": _every("audit.exporting.tasks.forget_exports", timedelta(hours=1)),
    "erasure": _every("audit.ledger.tasks.erase_words", timedelta(hours=1)),
}

# --- Clouds (what is secret here may exist in a worker only)

ENTRA_AWS_SERVICE_PRINCIPAL_ID = env.str("ENTRA_AWS_SERVICE_PRINCIPAL_ID", "")
AWS_ACCESS_PORTAL_URL = env.str("AWS_ACCESS_PORTAL_URL", "")
AWS_SSO_REGION = env.str("AWS_REGION", env.str("AWS_DEFAULT_REGION", ""))
PORTAL_MANAGED_GROUPS_FILE = env.str("PORTAL_MANAGED_GROUPS_FILE", "")
# Recorded by an operator for `manage.py doctor`, because no API tells them: dates such as 2027-01-31.
ENTRA_AWS_CERTIFICATE_ENDS = env.str("ENTRA_AWS_CERTIFICATE_ENDS", "")
AWS_SCIM_TOKEN_ENDS = env.str("AWS_SCIM_TOKEN_ENDS", "")
# How many calls the catalogue sync has under way at once; the clients' rate limits hold in any case.
CATALOG_SYNC_CONCURRENCY = env.int("CATALOG_SYNC_CONCURRENCY", 4)

# --- The life cycle's own durations

# PIM refuses shorter assignments and removals of younger ones (entra-graph contract 1.5).
PIM_MINIMUM = timedelta(minutes=5)
# The least time that new access is asked for and approved for. Once less than PIM's minimum is left of a window, PIM takes
# it no more: the rest covers a worker's death (its lease, and a back-off), a turn in the queue, and what activation as the
# person leaves for its way and for PIM's own approval (ADR 0072). Lengthening access that is there needs none of it.
SHORTEST_ACCESS = 2 * PIM_MINIMUM
# Until when AWS may still open sessions after a membership is gone (the pattern: up to one hour).
AWS_SESSION_CACHE = timedelta(hours=1)
# One provisioning cycle, used until the removal has been read back.
PROVISIONING_CYCLE = timedelta(minutes=40)
# How far ahead a request may ask to start (business time).
LATEST_START = timedelta(days=env.int("LATEST_START_DAYS", 14))
# By when a decision is wanted, by which an approver's inbox is ordered (business time); none: half of the time that a
# request waits at most.
DECISION_TARGET = timedelta(minutes=env.int("DECISION_TARGET_MINUTES", 0))
# What leaves the portal at most in any ten seconds towards one enterprise application: Entra takes five, and people
# who activate in Entra itself use the same path. Whether PIM's assignments draw on it too is not established.
NARROW_PATH_PLACES = 4
NARROW_PATH_SPAN = timedelta(seconds=10)
NARROW_PATH_SHARED_WITH_PIM = env.bool("NARROW_PATH_SHARED_WITH_PIM", True)
# Past these (business time) a removal is overdue: after the end, and after it was read out of Entra.
OVERDUE_ENTRA = timedelta(minutes=env.int("OVERDUE_ENTRA_MINUTES", 5))
# The organisation's own way into AWS when this one is too slow or down; shown wherever an emergency is asked for.
EMERGENCY_PROCEDURE = env.str("EMERGENCY_PROCEDURE", "")
EMERGENCY_PROCEDURE_URL = env.str("EMERGENCY_PROCEDURE_URL", "")
OVERDUE_AWS = timedelta(minutes=env.int("OVERDUE_AWS_MINUTES", 60))
# How long a grant that never arrived is watched for a late arrival (business time).
LATE_ARRIVAL_WATCH = timedelta(hours=24)

# --- Taking access away in AWS (both off by default; docs/adr/ says why each has a process of its own)

# off; direct: the remover deletes the membership in IAM Identity Center; on_demand: Entra is asked to carry it now.
FAST_REMOVAL = env.str("FAST_REMOVAL", "off")
# on: the severer denies the sessions of access that is over, in the places that the operator has prepared.
SESSION_SEVERING = env.str("SESSION_SEVERING", "off")
# Where: PERMISSION_SET=PLACE, by blanks; PLACE is `inline` or `scp:POLICY-ID`; the set `*` stands for all others.
SESSION_SEVERING_PLACES = env.str("SESSION_SEVERING_PLACES", "")
# How often remover and severer look for owed work (real time).
CUTTING_EVERY = timedelta(seconds=env.int("CUTTING_SECONDS", 2))
# From the read-back of a denial until it counts as in force everywhere (AWS: "a few minutes"; business time).
SEVERING_TAKES_EFFECT = timedelta(minutes=env.int("SEVERING_TAKES_EFFECT_MINUTES", 5))
# Most characters of a service control policy, and of an inline policy without its blanks.
SEVERING_POLICY_SIZE = env.int("SEVERING_POLICY_SIZE", 5120)
SEVERING_INLINE_SIZE = 10_240

# --- What was done with access (off by default)

# on: workers read CloudTrail (clients/aws/config.py), from event_history, lake or athena (clients/activity_stores.py).
ACTIVITY = env.str("ACTIVITY", "off")
ACTIVITY_SOURCE = env.str("ACTIVITY_SOURCE", "") or "event_history"
# Regions in which people may act, by blanks: only these are read. What is global is in us-east-1.
ACTIVITY_REGIONS = list(dict.fromkeys(env.str("ACTIVITY_REGIONS", "").split()))
# By a session's name, which CloudTrail isn't documented to find; everything: all of the account, sorted out here.
ACTIVITY_LOOKUP = env.str("ACTIVITY_LOOKUP", "session_name")
# How long CloudTrail takes to deliver an event (AWS: about five minutes, on average; business time).
ACTIVITY_DELIVERY_LAG = timedelta(minutes=env.int("ACTIVITY_DELIVERY_LAG_MINUTES", 15))
# Most pages of fifty events of one account and Region; older events are cut off then.
ACTIVITY_MOST_PAGES = env.int("ACTIVITY_MOST_PAGES", 40)
ACTIVITY_KEEP = timedelta(days=env.int("ACTIVITY_KEEP_DAYS", 400))  # of summaries (business time)

SEALING_KEY_PATH = env.str("SEALING_KEY_PATH", "")
# Where seals are kept outside, by blanks: file, webhook, syslog, s3, tsa. All know which, for pages; the sealer knows where.
AUDIT_ANCHORS = env.str("AUDIT_ANCHORS", "").split()
AUDIT_ANCHOR_FILE = env.str("AUDIT_ANCHOR_FILE", "")
AUDIT_ANCHOR_WEBHOOK_URL = env.str("AUDIT_ANCHOR_WEBHOOK_URL", "")
AUDIT_ANCHOR_WEBHOOK_SECRET = env.str("AUDIT_ANCHOR_WEBHOOK_SECRET", "")
AUDIT_ANCHOR_SYSLOG = env.str("AUDIT_ANCHOR_SYSLOG", "")
AUDIT_ANCHOR_SYSLOG_CA_BUNDLE = env.str("AUDIT_ANCHOR_SYSLOG_CA_BUNDLE", "")
AUDIT_ANCHOR_BUCKET = env.str("AUDIT_ANCHOR_BUCKET", "")
AUDIT_ANCHOR_BUCKET_REGION = env.str("AUDIT_ANCHOR_BUCKET_REGION", "")
AUDIT_ANCHOR_BUCKET_PREFIX = env.str("AUDIT_ANCHOR_BUCKET_PREFIX", "seals/")
AUDIT_ANCHOR_KEPT_DAYS = env.int("AUDIT_ANCHOR_KEPT_DAYS", 2_557)  # nobody deletes a seal before
AUDIT_ANCHOR_TSA_URL = env.str("AUDIT_ANCHOR_TSA_URL", "")
AUDIT_ANCHOR_TSA_ROOTS = env.str("AUDIT_ANCHOR_TSA_ROOTS", "")
AUDIT_ANCHOR_TSA_MINUTES = env.int("AUDIT_ANCHOR_TSA_MINUTES", 60)  # for pages, too
# How long words and names beside events are kept: NAME=DAYS by blanks (audit.ledger.retention); "" for ever.
AUDIT_WORDS_KEPT_DAYS = env.str("AUDIT_WORDS_KEPT_DAYS", "")
AUDIT_EVENTS_KEPT_DAYS = env.str("AUDIT_EVENTS_KEPT_DAYS", "")  # the same of the events themselves

# --- Watching

# Whoever presents it reads /metrics; without one there is no such address.
METRICS_TOKEN = env.str("METRICS_TOKEN", "")
# Alerts by mail; clients.notify reads the rest of its variables itself.
MAILERS = {
    "default": {
        "BACKEND": env.str("MAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend"),
        "OPTIONS": {
            "host": env.str("MAIL_HOST", "localhost"),
            "port": env.int("MAIL_PORT", 587),
            "username": env.str("MAIL_USER", ""),
            "password": env.str("MAIL_PASSWORD", ""),
            "use_tls": env.bool("MAIL_TLS", True),
            "timeout": 10,
        }
        if "smtp" in env.str("MAIL_BACKEND", "smtp")
        else {},
    }
}

# --- Messages to people

# For whoever has no preferences of their own: en or de, and a name of the IANA time zone database.
NOTIFY_LANGUAGE = env.str("NOTIFY_LANGUAGE", "en")
NOTIFY_TIME_ZONE = env.str("NOTIFY_TIME_ZONE", "UTC")

# --- Logs

LOG_LEVEL = env.str("LOG_LEVEL", "INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "accessportal.logs.JsonFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # The SDKs log every call with its address; attempt rows keep what matters of it.
    # Apprise's lines name addresses, which are secrets.
    "loggers": {name: {"level": "WARNING"} for name in ("azure", "botocore", "httpx", "msal", "urllib3")}
    | {"apprise": {"level": "CRITICAL"}},
}
# allauth misses a way to sign up with what one signs in with: there is no local sign-up.
SILENCED_SYSTEM_CHECKS = ["account.W001"]
