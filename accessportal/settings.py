"""Settings of every process, from the environment. `PORTAL_PROCESS` says which process this is.

.env.example explains each variable; `accessportal.checks` refuses a configuration that is
incomplete, or that hands a process a secret it must not hold.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from django.utils.csp import CSP

from accessportal.celery_settings import *  # noqa: F403 - as Django reads settings: one name space
from accessportal.environment import env
from accessportal.product_settings import *  # noqa: F403 - as above
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
    "accessportal.middleware.OncePerPageMiddleware",
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
