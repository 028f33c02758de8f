"""Is a socket's Origin one of ours? Scheme, host and port must all fit.

Browsers send cookies along with sockets that any page opens, and no CSRF token
protects a handshake: the Origin is the guard. It must be the address the request
went to, or stand in `CSRF_TRUSTED_ORIGINS`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
SECURE = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]


def origin_allowed(scope: dict[str, Any]) -> bool:
    """True only for an Origin with the scheme, host and port of this request or of a trusted origin.

    A missing Origin, `null`, and a host that `ALLOWED_HOSTS` does not name are refused.
    """
    headers = _headers(scope)
    origin = headers.get("origin", "")
    if not origin or origin == "null":
        return False
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    if _trusted(parts.scheme, parts.netloc.lower()):
        return True
    host = headers.get("host", "")
    if settings.USE_X_FORWARDED_HOST and headers.get("x-forwarded-host"):
        host = headers["x-forwarded-host"]
    domain, host_port = split_domain_port(host)
    allowed = settings.ALLOWED_HOSTS or (DEBUG_HOSTS if settings.DEBUG else [])
    if not domain or not validate_host(domain, allowed):
        return False
    scheme = _scheme(scope, headers)
    own_port = int(host_port) if host_port else DEFAULT_PORTS[scheme]
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return (parts.scheme, name, port or DEFAULT_PORTS[parts.scheme]) == (scheme, domain, own_port)


def _scheme(scope: dict[str, Any], headers: dict[str, str]) -> str:
    """The scheme the browser used: the server's, or what the trusted proxy says."""
    proxy = settings.SECURE_PROXY_SSL_HEADER
    if proxy:
        name = proxy[0].removeprefix("HTTP_").replace("_", "-").lower()
        if name in headers:
            return "https" if headers[name].split(",")[0].strip() == proxy[1] else "http"
    # Daphne names no scheme in a socket's scope; it serves plain HTTP here unless a proxy speaks TLS.
    return SECURE.get(str(scope.get("scheme", "ws")), "http")


def _trusted(scheme: str, netloc: str) -> bool:
    for pattern in settings.CSRF_TRUSTED_ORIGINS:
        wanted_scheme, _, wanted = pattern.lower().partition("://")
        if wanted_scheme != scheme:
            continue
        if wanted == netloc or (wanted.startswith("*.") and netloc.endswith(wanted[1:])):
            return True
    return False


def _headers(scope: dict[str, Any]) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", [])
    }
