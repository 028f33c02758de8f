"""A login at an OpenID Connect service must answer the question that this browser asked (Core 3.1.2.1, 3.1.3.7).

allauth sends `state` and a PKCE challenge, no nonce: a token that the service issued for another login, or for
another browser, would be taken as long as everything around it is right. So the question carries a nonce, kept with
its state in the session, and the token must repeat it.
"""

from __future__ import annotations

from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any

from allauth.socialaccount.providers.google.provider import GoogleProvider
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

BYTES = 32


class AsksWithNonce:
    """A provider whose every question has a nonce of its own. Before allauth's class in the bases."""

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **more: Any
    ) -> Any:
        nonce = token_urlsafe(BYTES)
        # Last, since the address of the button may name parameters too.
        asked = {**(more.pop("auth_params", None) or {}), "nonce": nonce}
        return super().redirect(  # type: ignore[misc]
            request, process, next_url, data, auth_params=asked, nonce=nonce, **more
        )


class OpenIDConnectWithNonce(AsksWithNonce, OpenIDConnectProvider):  # type: ignore[misc]
    """The operator's own service."""

    package = "allauth.socialaccount.providers.openid_connect"
    """Whose addresses it has: else they would be looked for beside this file."""


class GoogleWithNonce(AsksWithNonce, GoogleProvider):  # type: ignore[misc]
    """Google, which speaks OpenID Connect."""

    package = "allauth.socialaccount.providers.google"


def check_nonce(sociallogin: Any) -> None:
    """Raises `PermissionDenied` where the token is not the answer to this browser's question, or there is none."""
    if not isinstance(sociallogin.account.get_provider(), AsksWithNonce):
        return
    told = sociallogin.account.extra_data
    # Google's provider keeps the token's claims as they are, the other one beside the user info.
    said = (told.get("id_token") or told).get("nonce")
    asked = sociallogin.state.get("nonce")
    if not asked or not compare_digest(str(asked).encode(), str(said).encode()):
        raise PermissionDenied("the token answers another question")
