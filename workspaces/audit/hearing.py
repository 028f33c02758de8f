"""Logins, log-outs, passwords and the Django admin, heard by their signals. Connected at start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.socialaccount import signals as social
from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Model, Q
from django.db.models.signals import post_save

from workspaces.models import AuditEvent, Membership, User

from .recording import record_of_person

_DONE: Mapping[int, str] = {ADDITION: "admin_added", CHANGE: "admin_changed", DELETION: "admin_deleted"}
NAMED_APPS = ("workspaces", "agents", "billing")
"""Apps whose rows are called by their names; titles of conversations are made of messages."""


def connect() -> None:
    user_logged_in.connect(_logged_in, dispatch_uid="audit")
    user_logged_out.connect(_logged_out, dispatch_uid="audit")
    user_login_failed.connect(_login_failed, dispatch_uid="audit")
    account.password_changed.connect(_password_changed, dispatch_uid="audit")
    account.password_set.connect(_password_changed, dispatch_uid="audit")
    account.password_reset.connect(_password_reset, dispatch_uid="audit")
    account.email_changed.connect(_email_changed, dispatch_uid="audit")
    mfa.authenticator_added.connect(_second_step_added, dispatch_uid="audit")
    mfa.authenticator_removed.connect(_second_step_removed, dispatch_uid="audit")
    mfa.authenticator_reset.connect(_recovery_codes_made, dispatch_uid="audit")
    mfa.authentication_failed.connect(_second_step_failed, dispatch_uid="audit")
    account.user_signed_up.connect(_signed_up, dispatch_uid="audit")
    social.social_account_added.connect(_connected, dispatch_uid="audit")
    social.social_account_removed.connect(_disconnected, dispatch_uid="audit")
    post_save.connect(_administered, sender=LogEntry, dispatch_uid="audit")


def _logged_in(*, user: User, **_: Any) -> None:
    record_of_person("login", user.pk)


def _logged_out(*, user: User | None, **_: Any) -> None:
    if user is not None:
        record_of_person("logout", user.pk)


def _login_failed(*, credentials: Mapping[str, Any], **_: Any) -> None:
    """What was typed is not kept: people type passwords there. Only whom it meant, where that is somebody."""
    typed = str(credentials.get("username") or credentials.get("login") or credentials.get("email") or "")
    meant = User.objects.filter(Q(username__iexact=typed) | Q(email__iexact=typed)).first() if typed else None
    record_of_person(
        "login_failed",
        meant.pk if meant is not None else None,
        outcome=AuditEvent.Outcome.FAILED,
        metadata={"knownPerson": meant is not None},
    )


def _password_changed(*, user: User, **_: Any) -> None:
    record_of_person("password_changed", user.pk)


def _password_reset(*, user: User, **_: Any) -> None:
    record_of_person("password_reset", user.pk)


def _email_changed(*, user: User, **_: Any) -> None:
    record_of_person("email_changed", user.pk)


def _second_step_added(*, user: User, authenticator: Any, **_: Any) -> None:
    record_of_person("second_step_added", user.pk, metadata={"kind": str(authenticator.type)})


def _second_step_removed(*, user: User, authenticator: Any, **_: Any) -> None:
    record_of_person("second_step_removed", user.pk, metadata={"kind": str(authenticator.type)})


def _recovery_codes_made(*, user: User, **_: Any) -> None:
    record_of_person("recovery_codes_made", user.pk)


def _second_step_failed(*, user: User, authenticator: Any = None, **_: Any) -> None:
    """The password was right, or was given again, and what should prove it was not."""
    kind = {"kind": str(authenticator.type)} if authenticator is not None else {}
    record_of_person("second_step_failed", user.pk, outcome=AuditEvent.Outcome.FAILED, metadata=kind)


def _signed_up(*, user: User, sociallogin: Any = None, **_: Any) -> None:
    """After the invitation was accepted: the workspace it led to hears of it."""
    by = {"provider": str(sociallogin.account.provider)} if sociallogin is not None else {}
    record_of_person("account_created", user.pk, metadata=by)


def _connected(*, sociallogin: Any, **_: Any) -> None:
    provider = str(sociallogin.account.provider)
    record_of_person("account_connected", sociallogin.user.pk, metadata={"provider": provider})


def _disconnected(*, socialaccount: Any, **_: Any) -> None:
    provider = str(socialaccount.provider)
    record_of_person("account_disconnected", socialaccount.user_id, metadata={"provider": provider})


def _administered(*, instance: LogEntry, created: bool, **_: Any) -> None:
    if created:
        administered(instance)


def administered(entry: LogEntry) -> None:
    """What Django's admin noted, as an event of the workspaces it concerns."""
    model = entry.content_type.model_class() if entry.content_type is not None else None
    label = model._meta.label if model is not None else ""
    named = model is not None and model._meta.app_label in NAMED_APPS
    record_of_person(
        _DONE[entry.action_flag],
        entry.user_id,
        workspaces=_workspaces_of(model, entry.object_id) if model is not None else [None],
        target_type=label[:32],
        target_id=entry.object_id or "",
        target_name=entry.object_repr if named else "",
        metadata=_changes(entry.change_message, named),
    )


def _workspaces_of(model: type[Model], key: str | None) -> list[UUID | None]:
    if key is not None and model is User:
        return list(Membership.objects.filter(user_id=key).values_list("workspace_id", flat=True))
    path = getattr(admin.site._registry.get(model), "workspace_path", None)
    return list(model._default_manager.filter(pk=key).values_list(path, flat=True)) if path else [None]


def _changes(message: str, named: bool) -> dict[str, Any]:
    """Of Django's change message the names of fields, and of rows on the same page; no values."""
    try:
        notes = json.loads(message) if message.startswith("[") else []
    except ValueError:
        notes = []
    found: dict[str, Any] = {}
    for note in notes:
        for done, what in note.items():
            if "fields" in what and "object" not in what:
                found["fields"] = what["fields"]
            elif "name" in what:
                row = {"name": what["name"], **({"object": what.get("object", "")} if named else {})}
                if "fields" in what:
                    row["fields"] = what["fields"]
                found.setdefault(done, []).append(row)
    return found
