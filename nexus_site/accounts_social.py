"""How a login through another service behaves here, and its addresses.

Which services there are is read in `login_providers`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.urls import build_provider_urlpatterns
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, URLResolver
from django.utils.http import url_has_allowed_host_and_scheme
from requests import RequestException

from workspaces.invited import invitation_enter_new

from .accounts_nonce import check_nonce
from .login_providers import OIDC

log = logging.getLogger(__name__)
View = Callable[..., HttpResponseBase]


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Whoever the operator's own identity provider lets in may get an account; else the rule of the form."""
        return self._is_let_in(sociallogin) or bool(super().is_open_for_signup(request, sociallogin))

    @staticmethod
    def _is_let_in(sociallogin: Any) -> bool:
        return bool(settings.NEXUS_OIDC_SIGNUP and sociallogin.account.get_provider().app.provider == OIDC)

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """What the provider tells about a person must be about the one it vouched for (OpenID Connect Core 5.3.2)."""
        check_nonce(sociallogin)
        told = sociallogin.account.extra_data
        vouched, about = told.get("id_token"), told.get("userinfo")
        if vouched and about and vouched.get("sub") != about.get("sub"):
            raise PermissionDenied("the user info is about somebody else")

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> Any:
        """Who comes by an invitation joins with the account that is made, also when no form asked for anything."""
        with transaction.atomic():
            user = super().save_user(request, sociallogin, form)
            is_open = settings.NEXUS_SIGNUP_OPEN or self._is_let_in(sociallogin)
            invitation_enter_new(request, user, is_open=bool(is_open))
        return user

    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> Any:
        user = super().populate_user(request, sociallogin, data)
        user.name = str(data.get("name") or "")[:150]
        return user


def provider_urls() -> list[URLPattern | URLResolver]:
    """The addresses of the configured services; those of others do not exist."""
    patterns: list[URLPattern | URLResolver] = build_provider_urlpatterns()
    _leave_by_page(patterns)
    return patterns


def _leave_by_page(patterns: list[Any]) -> None:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            _leave_by_page(pattern.url_patterns)
        elif (pattern.name or "").endswith("_login"):
            pattern.callback = leave_by_page(pattern.callback)


def leave_by_page(view: View) -> View:
    """A form may lead to this server only (CSP `form-action`), and browsers hold redirects of its answer to that
    too. So the way to another service is a page that goes on by itself."""

    @wraps(view)
    def leaving(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except RequestException as fault:
            log.warning("a service to log in with does not answer: %s", type(fault).__name__)
            return render(request, "socialaccount/authentication_error.html", status=502)
        address = response.headers.get("Location", "")
        if not address or url_has_allowed_host_and_scheme(address, {request.get_host()}):
            return response
        return render(request, "socialaccount/leaving.html", {"address": address})

    return leaving
