"""Writes about people, workspaces and who is a member of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from zoneinfo import available_timezones

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify

from .access import Actor, Invalid
from .audit import record, record_of_person, told
from .models import Membership, Role, User, Workspace
from .provider_keys import provider_keys_end
from .tokens import tokens_end

DEFAULT_SLUG = "demo"
"""The workspace that `seed` fills and that commands use when none is named."""

_SLUG = re.compile(r"^[a-z0-9][a-z0-9-]{0,63}$")
_on_workspace_created: list[Callable[[Workspace], None]] = []


def on_workspace_created(fn: Callable[[Workspace], None]) -> Callable[[Workspace], None]:
    """Registers what a higher floor adds to a new workspace; runs in the transaction that makes it."""
    if fn not in _on_workspace_created:
        _on_workspace_created.append(fn)
    return fn


@transaction.atomic
def user_create(
    *, username: str, password: str, email: str = "", name: str = "", check_password: bool = True
) -> User:
    """A new person. Raises `Invalid` for a taken name or (with `check_password`) a weak password."""
    if User.objects.filter(username=username).exists():
        raise Invalid(f"There is already a person with the login name {username!r}.")
    user = User(username=username, email=email, name=name)
    if check_password:
        try:
            validate_password(password, user)
        except ValidationError as weak:
            raise Invalid(" ".join(weak.messages)) from None
    user.set_password(password)
    user.save()
    record_of_person("account_created", user.pk)
    return user


@transaction.atomic
def workspace_create(
    *, name: str, slug: str = "", owner: User | None = None, plan: str = "free"
) -> Workspace:
    """A new workspace with everything that registered functions add to it (the shipped agents)."""
    slug = slug or slugify(name)[:64]
    if not _SLUG.match(slug):
        raise Invalid(
            f"{slug!r} is no address for a workspace: lower-case letters, digits and hyphens, please."
        )
    if Workspace.objects.filter(slug=slug).exists():
        raise Invalid(f"There is already a workspace {slug!r}.")
    workspace = Workspace.objects.create(name=name, slug=slug, plan=plan)
    record(
        "workspace_created",
        workspace_id=workspace.pk,
        target_type="workspace",
        target_id=workspace.pk,
        target_name=name,
    )
    for fn in _on_workspace_created:
        fn(workspace)
    if owner is not None:
        membership_set(workspace=workspace, user=owner, role=Role.OWNER)
    return workspace


def workspace_get_or_create(*, slug: str) -> Workspace:
    """The workspace at this address, made if it is missing."""
    found = Workspace.objects.filter(slug=slug).first()
    return found or workspace_create(name=slug.replace("-", " ").capitalize(), slug=slug)


@transaction.atomic
def membership_set(*, workspace: Workspace, user: User, role: str) -> Membership:
    """Makes the person a member with this role, or changes the role they have."""
    if role not in Role.values:
        raise Invalid(f"There is no role {role!r}; there are: {', '.join(Role.values)}.")
    membership, made = Membership.objects.get_or_create(
        workspace=workspace, user=user, defaults={"role": role}
    )
    before = membership.role
    if not made and before != role:
        membership.role = role
        membership.save(update_fields=["role"])
    if made or before != role:
        record(
            "member_added" if made else "member_role_changed",
            workspace_id=workspace.pk,
            target_type="person",
            target_id=user.pk,
            target_name=user.display_name,
            metadata={"role": role} if made else told({"role": before}, {"role": role}),
        )
    return membership


@transaction.atomic
def membership_remove(*, workspace: Workspace, user: User) -> None:
    """The person is out, and so are their API tokens and keys of providers there: coming back brings none of them back."""
    membership = Membership.objects.filter(workspace=workspace, user=user).first()
    if membership is None:
        return
    membership.delete()
    record(
        "member_removed",
        workspace_id=workspace.pk,
        target_type="person",
        target_id=user.pk,
        target_name=user.display_name,
        metadata={"role": membership.role},
    )
    tokens_end(workspace, user)
    provider_keys_end(workspace, user)


@transaction.atomic
def profile_update(*, actor: Actor, **fields: object) -> User:
    """Changes what a person says about themselves: name, title, timezone, about, theme, shortcuts, notifications."""
    allowed = ("name", "title", "timezone", "about", "theme", "shortcuts_enabled", "notifications_enabled")
    user = User.objects.get(pk=actor.user_id)
    before = user.display_name
    changed = [key for key, value in fields.items() if key in allowed and value is not None]
    for key in changed:
        setattr(user, key, fields[key])
    try:
        user.clean_fields(exclude=[f.name for f in User._meta.fields if f.name not in changed])
    except ValidationError as wrong:
        raise Invalid(
            "; ".join(f"{key}: {' '.join(what)}" for key, what in wrong.message_dict.items())
        ) from None
    if "timezone" in changed and user.timezone not in available_timezones():
        raise Invalid(f"timezone: there is no time zone {user.timezone!r}; write it like Europe/Vienna.")
    if changed:
        user.save(update_fields=changed)
    if user.display_name != before:
        # What others see beside their words; the rest of a profile is their own business.
        record_of_person(
            "profile_changed",
            user.pk,
            metadata=told({"name": before}, {"name": user.display_name}),
        )
    return user
