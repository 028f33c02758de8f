"""The environment, read in one typed place.

Every variable has a line in `.env.example`. A wrong value stops the start with
the name of the variable. The providers' own keys and addresses
(`ANTHROPIC_API_KEY`, `OPENAI_BASE_URL`, …) are read by `nexus_core.providers`
from the same environment, never copied here.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from .login_providers import LoginProvider, read_providers

BASE_DIR = Path(__file__).resolve().parent.parent
INSECURE_KEYS = ("changeme", "secret", "insecure", "default", "example")
SHORTEST_SECRET = 32


@dataclass(frozen=True, slots=True)
class Config:
    """What the environment said. Times in seconds, sizes in bytes unless named otherwise."""

    debug: bool
    secret_key: str
    secret_key_fallbacks: list[str]
    allowed_hosts: list[str]
    csrf_trusted_origins: list[str]
    data_dir: Path
    database: dict[str, Any]
    sqlite_synchronous: str
    redis_url: str
    encryption_keys: list[str]
    secure_cookies: bool
    secure_redirect: bool
    hsts_seconds: int
    trust_proxy: bool
    audit_addresses: str
    email_url: dict[str, Any]
    default_from_email: str
    log_level: str
    log_json: bool
    coalesce_ms: int
    lease_seconds: float
    outbox_bytes: int
    frame_bytes: int
    limits_factor: int
    upload_bytes: int
    worker_concurrency: int
    title_agent: str
    signup_open: bool
    login_providers: tuple[LoginProvider, ...]
    oidc_signup: bool
    workspace_creation: str
    fetch_private: bool
    provider_networks: list[str]
    metrics_token: str
    worker_host: str
    worker_port: int
    tracing: bool
    trace_content: bool
    failpoints: str


def _data_file(path: Path, make: Any) -> str:
    """The text of a generated secret; made once, readable by its owner only."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        text: str = make()
        try:
            with open(path, "x", opener=lambda p, flags: __import__("os").open(p, flags, 0o600)) as out:
                out.write(text)
        except FileExistsError:  # another process was first
            return path.read_text().strip()
        return text


def _secret_key(env: environ.Env, debug: bool, data_dir: Path) -> str:
    key: str = env.str("SECRET_KEY", default="")
    if debug:
        return key or _data_file(data_dir / "secret_key", lambda: secrets.token_urlsafe(48))
    generated = data_dir / "secret_key"
    if not key and not env.str("DEBUG", default="") and generated.exists():
        # A command beside a server that `make run` started: it shares that server's key, with DEBUG off.
        key = generated.read_text().strip()
    hint = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
    if not key:
        raise ImproperlyConfigured(f"SECRET_KEY is not set. With DEBUG off it is required; {hint}")
    weak = len(key) < SHORTEST_SECRET or len(set(key)) < 8
    if weak or key.startswith("django-insecure-") or any(word in key.lower() for word in INSECURE_KEYS):
        raise ImproperlyConfigured(
            f"SECRET_KEY is a default or too short (at least {SHORTEST_SECRET} random characters); {hint}"
        )
    return key


def _encryption_keys(env: environ.Env, data_dir: Path) -> list[str]:
    keys: list[str] = env.list("NEXUS_ENCRYPTION_KEYS", default=[])
    if keys:
        return keys
    from cryptography.fernet import Fernet

    return [_data_file(data_dir / "encryption_key", lambda: Fernet.generate_key().decode())]


def _failpoints(env: environ.Env, debug: bool) -> str:
    folder: str = env.str("NEXUS_FAILPOINTS", default="")
    if folder and not debug and not env.bool("NEXUS_FAILPOINTS_ALLOWED", default=False):
        raise ImproperlyConfigured(
            "NEXUS_FAILPOINTS lets a test kill this server. It is refused with DEBUG off; unset it "
            "(or, for a test of the production settings, set NEXUS_FAILPOINTS_ALLOWED=1)."
        )
    return folder


def _networks(env: environ.Env, name: str) -> list[str]:
    written: list[str] = env.list(name, default=[])
    try:
        return [str(ipaddress.ip_network(one.strip())) for one in written]
    except ValueError as fault:
        raise ImproperlyConfigured(
            f"{name}: {fault}. Write networks or addresses, such as 192.168.1.0/24."
        ) from fault


def _one_of(env: environ.Env, name: str, choices: tuple[str, ...]) -> str:
    """One of the choices; the first when nothing is said."""
    value: str = env.str(name, default=choices[0])
    if value not in choices:
        raise ImproperlyConfigured(f"{name}: one of {', '.join(choices)}, not {value!r}.")
    return value


def _positive(env: environ.Env, name: str, *, default: int) -> int:
    value: int = env.int(name, default=default)
    if value < 1:
        raise ImproperlyConfigured(f"{name}: a whole number from 1, not {value}.")
    return value


def load() -> Config:
    """Reads `.env` (if there is one; the environment wins) and the environment."""
    env = environ.Env()
    env_file = BASE_DIR / ".env"
    if env_file.exists():
        environ.Env.read_env(env_file)
    # `NAME=` means the default, so that a copy of .env.example changes nothing.
    env.ENVIRON = {name: value for name, value in os.environ.items() if value}
    debug = env.bool("DEBUG", default=False)
    data_dir = Path(env.str("NEXUS_DATA_DIR", default="") or BASE_DIR / "var").expanduser().resolve()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise ImproperlyConfigured(
            f"NEXUS_DATA_DIR: cannot make {data_dir} ({fault.strerror}). Choose a folder you may write to."
        ) from fault
    try:
        database = env.db_url("DATABASE_URL", default=f"sqlite:///{data_dir / 'nexus.sqlite3'}")
    except Exception as fault:
        raise ImproperlyConfigured(
            "DATABASE_URL: use postgres://user:password@host:5432/name or sqlite:////path/file"
        ) from fault
    redis_url: str = env.str("REDIS_URL", default="")
    if redis_url and not redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise ImproperlyConfigured("REDIS_URL: use redis://[:password@]host:6379/0")
    return Config(
        debug=debug,
        secret_key=_secret_key(env, debug, data_dir),
        secret_key_fallbacks=env.list("SECRET_KEY_FALLBACKS", default=[]),
        allowed_hosts=env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"]),
        csrf_trusted_origins=env.list("CSRF_TRUSTED_ORIGINS", default=[]),
        data_dir=data_dir,
        database=database,
        sqlite_synchronous=env.str("SQLITE_SYNCHRONOUS", default="NORMAL"),
        redis_url=redis_url,
        encryption_keys=_encryption_keys(env, data_dir),
        secure_cookies=env.bool("SECURE_COOKIES", default=False),
        secure_redirect=env.bool("SECURE_REDIRECT", default=False),
        hsts_seconds=env.int("HSTS_SECONDS", default=0),
        trust_proxy=env.bool("TRUST_PROXY", default=False),
        audit_addresses=_one_of(env, "NEXUS_AUDIT_ADDRESSES", ("full", "truncated", "off")),
        email_url=env.email_url("EMAIL_URL", default="consolemail://"),
        default_from_email=env.str("DEFAULT_FROM_EMAIL", default="nexus@localhost"),
        log_level=env.str("LOG_LEVEL", default="INFO").upper(),
        log_json=env.bool("LOG_JSON", default=not debug),
        coalesce_ms=env.int("NEXUS_COALESCE_MS", default=33),
        lease_seconds=env.float("NEXUS_LEASE_SECONDS", default=15.0),
        outbox_bytes=env.int("NEXUS_OUTBOX_BYTES", default=1024 * 1024),
        frame_bytes=env.int("NEXUS_FRAME_BYTES", default=1024 * 1024),
        limits_factor=_positive(env, "NEXUS_LIMITS_FACTOR", default=1),
        upload_bytes=env.int("NEXUS_UPLOAD_BYTES", default=10 * 1024 * 1024),
        worker_concurrency=env.int("NEXUS_WORKER_CONCURRENCY", default=500),
        title_agent=env.str("NEXUS_TITLE_AGENT", default=""),
        signup_open=env.bool("NEXUS_SIGNUP_OPEN", default=False),
        login_providers=read_providers(env),
        oidc_signup=env.bool("NEXUS_OIDC_SIGNUP", default=False),
        workspace_creation=_one_of(env, "NEXUS_WORKSPACE_CREATION", ("admins", "everyone", "operators")),
        fetch_private=env.bool("NEXUS_FETCH_PRIVATE", default=False),
        provider_networks=_networks(env, "NEXUS_PROVIDER_NETWORKS"),
        metrics_token=env.str("NEXUS_METRICS_TOKEN", default=""),
        worker_host=env.str("NEXUS_WORKER_HOST", default="127.0.0.1"),
        worker_port=env.int("NEXUS_WORKER_PORT", default=0),
        tracing=bool(
            env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="")
            or env.str("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", default="")
        ),
        trace_content=env.bool("NEXUS_TRACE_CONTENT", default=False),
        failpoints=_failpoints(env, debug),
    )
