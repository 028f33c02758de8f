"""How allauth behaves here: sign-up where the operator opened it, or for exactly one invitation."""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from workspaces.invited import address_invited, invitation_enter_new, invitation_here

log = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.NEXUS_SIGNUP_OPEN) or invitation_here(request) is not None

    def clean_email(self, email: str) -> str:
        """An invitation by mail fixes the address of the account that is made for it."""
        return str(super().clean_email(address_invited(self.request) or email))

    def save_user(self, request: HttpRequest, user: Any, form: Any, commit: bool = True) -> Any:
        """Account and membership are made together, or neither is."""
        with transaction.atomic():
            saved = super().save_user(request, user, form, commit)
            if commit and getattr(form, "sociallogin", None) is None:  # else `SocialAccountAdapter` does it
                invitation_enter_new(request, saved, is_open=bool(settings.NEXUS_SIGNUP_OPEN))
        return saved

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """What these mails tell of has happened already: a mail server that is away undoes nothing."""
        try:
            super().send_notification_mail(*args, **kwargs)
        except OSError as fault:
            log.warning("a notification was not mailed: %s", type(fault).__name__)
