"""Django's settings, derived from `config`; the environment is not read here."""

from __future__ import annotations

from typing import Any

from . import config as _config
from . import login_providers as _login_providers
from .logging import logging_config

CONFIG = _config.load()
BASE_DIR = _config.BASE_DIR

DEBUG = CONFIG.debug
SECRET_KEY = CONFIG.secret_key
SECRET_KEY_FALLBACKS = CONFIG.secret_key_fallbacks
ALLOWED_HOSTS = CONFIG.allowed_hosts
CSRF_TRUSTED_ORIGINS = CONFIG.csrf_trusted_origins

# What the apps read. One prefix, so that a reader sees whose knob it is.
NEXUS_DATA_DIR = CONFIG.data_dir
NEXUS_ENCRYPTION_KEYS = CONFIG.encryption_keys
NEXUS_REDIS_URL = CONFIG.redis_url
NEXUS_COALESCE_MS = CONFIG.coalesce_ms
NEXUS_LEASE_SECONDS = CONFIG.lease_seconds
NEXUS_OUTBOX_BYTES = CONFIG.outbox_bytes
NEXUS_FRAME_BYTES = CONFIG.frame_bytes
NEXUS_LIMITS_FACTOR = CONFIG.limits_factor
NEXUS_UPLOAD_BYTES = CONFIG.upload_bytes
NEXUS_WORKER_CONCURRENCY = CONFIG.worker_concurrency
NEXUS_TITLE_AGENT = CONFIG.title_agent
NEXUS_SIGNUP_OPEN = CONFIG.signup_open
NEXUS_OIDC_SIGNUP = CONFIG.oidc_signup
NEXUS_WORKSPACE_CREATION = CONFIG.workspace_creation
NEXUS_FETCH_PRIVATE = CONFIG.fetch_private
NEXUS_TRUST_PROXY = CONFIG.trust_proxy
NEXUS_AUDIT_ADDRESSES = CONFIG.audit_addresses
NEXUS_PROVIDER_NETWORKS = CONFIG.provider_networks
NEXUS_METRICS_TOKEN = CONFIG.metrics_token
NEXUS_WORKER_HOST = CONFIG.worker_host
NEXUS_WORKER_PORT = CONFIG.worker_port
NEXUS_TRACING = CONFIG.tracing
NEXUS_TRACE_CONTENT = CONFIG.trace_content
NEXUS_FAILPOINTS = CONFIG.failpoints

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "ninja",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    *(one.app for one in CONFIG.login_providers),
    "django_htmx",
    "csp",
    "nexus_site",
    "workspaces",
    "realtime",
    "agents",
    "billing",
    "conversations",
]

MIDDLEWARE = [
    "nexus_site.health.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "nexus_site.middleware.RequestMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

if CONFIG.tracing:
    MIDDLEWARE.insert(
        MIDDLEWARE.index("nexus_site.middleware.RequestMiddleware") + 1,
        "nexus_site.tracing.TracingMiddleware",
    )

ROOT_URLCONF = "nexus_site.urls"
ASGI_APPLICATION = "nexus_site.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    },
]

# --- data -------------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {"default": dict(CONFIG.database)}
_db = DATABASES["default"]
if _db["ENGINE"].endswith("sqlite3"):
    _db["ENGINE"] = "nexus_site.sqlite"
    _db["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # A run writes some eighty pages, many of them again and again: with SQLite's own 1,000 pages every twelfth
        # one stopped all writers for copying and fsync. 4,000 are 16 MB of log.
        "init_command": (
            f"PRAGMA journal_mode=WAL;PRAGMA synchronous={CONFIG.sqlite_synchronous};PRAGMA foreign_keys=ON;"
            "PRAGMA wal_autocheckpoint=4000;"
        ),
    }
    # A file, because the shared in-memory database has no WAL and locks the writer's thread out.
    _db["TEST"] = {"NAME": str(CONFIG.data_dir / "test.sqlite3")}
else:
    _db["CONN_MAX_AGE"] = 0
    # A process that stands still in the middle of a transaction holds its row locks: its run could not be taken
    # over. No transaction of ours waits for anything outside of the database.
    _idle_ms = int(min(10.0, max(5.0, NEXUS_LEASE_SECONDS)) * 1000)
    _db["OPTIONS"] = {
        "options": f"-c idle_in_transaction_session_timeout={_idle_ms}",
        **_db.get("OPTIONS", {}),
        "pool": {"min_size": 1, "max_size": 16, "timeout": 10},
    }

if CONFIG.redis_url:
    CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [CONFIG.redis_url], "prefix": "nexus"},
        }
    }
    CACHES: dict[str, dict[str, Any]] = {
        "default": {
            "BACKEND": "nexus_site.cache.RedisOrMemoryCache",
            "LOCATION": CONFIG.redis_url,
        }
    }
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

SESSION_ENGINE = "django.contrib.sessions.backends.db"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = CONFIG.upload_bytes
MEDIA_ROOT = CONFIG.data_dir / "files"

# --- people -----------------------------------------------------------------
AUTH_USER_MODEL = "workspaces.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "nexus_site.accounts.AccountAdapter"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_GET = False
# Whoever finds an open screen may read, but not take the account over.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_MAX_EMAIL_ADDRESSES = 5
# How often one may try: the defaults of allauth, per address and per account. Behind the proxy of TRUST_PROXY the
# last address it wrote is the client's; without it nobody's header is believed.
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if CONFIG.trust_proxy else 0
MFA_ADAPTER = "nexus_site.accounts_mfa.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
# Most people here get their account, with an address nobody confirmed, from the operator, who can undo it.
MFA_ALLOW_UNVERIFIED_EMAIL = True
# A code of the half minute before is taken too: clocks differ, and people type.
MFA_TOTP_TOLERANCE = 1
# http://localhost in development; elsewhere browsers themselves want https.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = False
SOCIALACCOUNT_ADAPTER = "nexus_site.accounts_social.SocialAccountAdapter"
SOCIALACCOUNT_PROVIDERS = _login_providers.allauth_settings(CONFIG.login_providers)

# --- mail -------------------------------------------------------------------
EMAIL_BACKEND = CONFIG.email_url["EMAIL_BACKEND"]
EMAIL_HOST = CONFIG.email_url.get("EMAIL_HOST", "") or ""
EMAIL_PORT = CONFIG.email_url.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = CONFIG.email_url.get("EMAIL_HOST_USER", "") or ""
EMAIL_HOST_PASSWORD = CONFIG.email_url.get("EMAIL_HOST_PASSWORD", "") or ""
EMAIL_USE_TLS = bool(CONFIG.email_url.get("EMAIL_USE_TLS", False))
EMAIL_USE_SSL = bool(CONFIG.email_url.get("EMAIL_USE_SSL", False))
DEFAULT_FROM_EMAIL = CONFIG.default_from_email

# --- static files -----------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = CONFIG.data_dir / "static"
# What is built, and the client's modules for other pages to import; the rest of `static` is source.
# (Before the first build there is no `dist`.)
STATICFILES_DIRS = [
    (name, folder)
    for name, folder in (
        ("dist", BASE_DIR / "static" / "dist"),
        ("nexus/client", BASE_DIR / "static" / "nexus" / "client"),
    )
    if folder.is_dir()
]
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = DEBUG
SERVESTATIC_KEEP_ONLY_HASHED_FILES = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "nexus_site.static.StaticStorage"
    },
}

# --- language, time ---------------------------------------------------------
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# --- security ---------------------------------------------------------------
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CONFIG.secure_cookies
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = CONFIG.secure_cookies
SECURE_SSL_REDIRECT = CONFIG.secure_redirect
SECURE_HSTS_SECONDS = CONFIG.hsts_seconds
SECURE_HSTS_INCLUDE_SUBDOMAINS = CONFIG.hsts_seconds > 0
SECURE_HSTS_PRELOAD = CONFIG.hsts_seconds > 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if CONFIG.trust_proxy:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    USE_X_FORWARDED_HOST = True

from csp.constants import NONCE, NONE, SELF  # noqa: E402  (after the settings it belongs to)

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        # No style attributes either: scripts set styles by the CSSOM, and formulas are MathML.
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

LOGGING = logging_config(CONFIG.log_level, json=CONFIG.log_json)
LOGGING_CONFIG = "logging.config.dictConfig"
