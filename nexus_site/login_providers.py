"""Which other services people may log in with: read from the environment, off unless named there.

Not here: how such a login goes (`accounts_social`), and the buttons (templates/account).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

OIDC = "openid_connect"
OIDC_ID = "sso"
OPENID: dict[str, dict[str, Any]] = {
    OIDC: {"provider_class": "nexus_site.accounts_nonce.OpenIDConnectWithNonce"},
    "google": {
        "provider_class": "nexus_site.accounts_nonce.GoogleWithNonce",
        "SCOPE": ["openid", "profile", "email"],
    },
}
"""Who speaks OpenID Connect is asked with a nonce, for a token that repeats it."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class LoginProvider:
    """One service. `provider` is allauth's name for its kind; `issuer` is "" except for OpenID Connect."""

    provider: str
    name: str
    client_id: str
    secret: str
    issuer: str = ""

    @property
    def app(self) -> str:
        """The Django app that speaks to it."""
        return f"allauth.socialaccount.providers.{self.provider}"


def read_providers(env: environ.Env) -> tuple[LoginProvider, ...]:
    """Those whose variables are all set. Raises `ImproperlyConfigured` for a half-configured one."""
    found = [_oidc(env), _known(env, "GITHUB", "github", "GitHub"), _known(env, "GOOGLE", "google", "Google")]
    return tuple(one for one in found if one is not None)


def allauth_settings(providers: tuple[LoginProvider, ...]) -> dict[str, Any]:
    """`SOCIALACCOUNT_PROVIDERS`. Every login proves with PKCE that the code was issued to this browser."""
    return {
        one.provider: {"OAUTH_PKCE_ENABLED": True, "APPS": [_app(one)], **OPENID.get(one.provider, {})}
        for one in providers
    }


def _app(one: LoginProvider) -> dict[str, Any]:
    app: dict[str, Any] = {"client_id": one.client_id, "secret": one.secret, "name": one.name}
    if one.provider == OIDC:
        app |= {
            "provider_id": OIDC_ID,
            "settings": {"server_url": one.issuer.rstrip("/"), "oauth_pkce_enabled": True},
        }
    return app


def _oidc(env: environ.Env) -> LoginProvider | None:
    names = ("NEXUS_OIDC_ISSUER", "NEXUS_OIDC_CLIENT_ID", "NEXUS_OIDC_CLIENT_SECRET")
    values = _all_or_none(env, names)
    if values is None:
        return None
    issuer, client_id, secret = values
    parts = urlsplit(issuer)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ImproperlyConfigured("NEXUS_OIDC_ISSUER: an address that begins with https://")
    return LoginProvider(
        OIDC, env.str("NEXUS_OIDC_NAME", default="single sign-on"), client_id, secret, issuer=issuer
    )


def _known(env: environ.Env, prefix: str, provider: str, name: str) -> LoginProvider | None:
    values = _all_or_none(env, (f"NEXUS_{prefix}_CLIENT_ID", f"NEXUS_{prefix}_CLIENT_SECRET"))
    return None if values is None else LoginProvider(provider, name, *values)


def _all_or_none(env: environ.Env, names: tuple[str, ...]) -> list[str] | None:
    values = [env.str(name, default="") for name in names]
    if not any(values):
        return None
    missing = [name for name, value in zip(names, values, strict=True) if not value]
    if missing:
        raise ImproperlyConfigured(f"{', '.join(missing)}: missing. Set all of {', '.join(names)}, or none.")
    return values
