"""The admin of logins: operators see who has a second step and which outside accounts lead in, and may remove them.

Secrets are neither shown nor entered. Services to log in with come from the environment, sessions have their page.
"""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.http import HttpRequest

from workspaces.staff import OperatorsOnly

# Registered by their package, with secrets in plain sight.
admin.site.unregister([Authenticator, SocialAccount, SocialApp, SocialToken, UserSession])


class _OnlyRemoved(OperatorsOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Authenticator)
class AuthenticatorAdmin(_OnlyRemoved):
    """For somebody who lost the phone and the recovery codes: remove all of theirs."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    list_select_related = ["user"]
    search_fields = ["user__username", "user__name", "user__email"]
    fields = ["user", "type", "created_at", "last_used_at"]


@admin.register(SocialAccount)
class SocialAccountAdmin(_OnlyRemoved):
    list_display = ["user", "provider", "uid", "date_joined", "last_login"]
    list_filter = ["provider"]
    list_select_related = ["user"]
    search_fields = ["user__username", "user__name", "user__email", "uid"]
    fields = ["user", "provider", "uid", "date_joined", "last_login"]
