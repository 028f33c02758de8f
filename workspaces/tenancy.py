"""Workspaces on behalf of people: making, changing and deleting one."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from .access import Actor, Forbidden, Invalid, require_admin, require_owner
from .audit import record, told
from .limits import limit_hit
from .models import Membership, Role, User, Workspace
from .services import workspace_create
from .two_step import has_second_step

LONGEST_NAME = 150
_on_workspace_deleted: list[Callable[[Workspace], None]] = []


def on_workspace_deleted(fn: Callable[[Workspace], None]) -> Callable[[Workspace], None]:
    """Registers what a higher floor ends with a workspace; runs in the transaction that deletes it."""
    if fn not in _on_workspace_deleted:
        _on_workspace_deleted.append(fn)
    return fn


def may_create_workspaces(user: User) -> bool:
    """By `NEXUS_WORKSPACE_CREATION`: everyone, admins and owners of some workspace, or operators only."""
    who = settings.NEXUS_WORKSPACE_CREATION
    if user.is_superuser or who == "everyone":
        return user.is_active
    return (
        who == "admins"
        and Membership.objects.filter(
            user=user, user__is_active=True, workspace__deleted_at=None, role__in=(Role.ADMIN, Role.OWNER)
        ).exists()
    )


def workspace_create_by(*, user: User, name: str) -> Workspace:
    """A new workspace with the shipped agents, owned by this person. Its address comes from its name.

    Raises `Forbidden` for who may not, `Invalid` for an empty or too long name, `TooManyRequests`.
    """
    if not may_create_workspaces(user):
        raise Forbidden("Who may create workspaces here is up to whoever runs this server. Ask them.")
    name = _checked(name)
    limit_hit("workspaces", user.pk)
    slug = slugify(name)[:50].strip("-_").replace("_", "-") or "workspace"
    while True:
        # A taken address says nothing of whose it is: it only gets another ending.
        taken = Workspace.objects.filter(slug=slug).exists()
        try:
            with transaction.atomic():
                return workspace_create(
                    name=name, slug=f"{slug}-{secrets.token_hex(2)}" if taken else slug, owner=user
                )
        except IntegrityError:
            continue  # somebody else took it in the same moment


@transaction.atomic
def workspace_update(
    *,
    actor: Actor,
    name: str | None = None,
    allow_personal_keys: bool | None = None,
    allow_share_links: bool | None = None,
    require_two_step: bool | None = None,
) -> Workspace:
    """Another name, or another rule about personal keys, links to the outside or two-step sign-in. Admins and owners;
    what is None stays. Only who has a second step may ask others for one: raises `Invalid`."""
    require_admin(actor)
    workspace = Workspace.objects.select_for_update(no_key=True).get(pk=actor.workspace_id)
    changed: list[str] = []
    before = {
        "name": workspace.name,
        "allow_personal_keys": workspace.allow_personal_keys,
        "allow_share_links": workspace.allow_share_links,
        "require_two_step": workspace.require_two_step,
    }
    if name is not None:
        workspace.name = _checked(name)
        changed.append("name")
    if allow_personal_keys is not None:
        workspace.allow_personal_keys = allow_personal_keys
        changed.append("allow_personal_keys")
    if allow_share_links is not None:
        workspace.allow_share_links = allow_share_links
        changed.append("allow_share_links")
    if require_two_step is not None:
        if require_two_step and not workspace.require_two_step and not has_second_step(actor.user):
            raise Invalid("Set up two-step sign-in for yourself first, in your settings.")
        workspace.require_two_step = require_two_step
        changed.append("require_two_step")
    if changed:
        workspace.save(update_fields=changed)
    if difference := told(before, {key: getattr(workspace, key) for key in before}):
        _record("workspace_changed", actor, workspace, difference)
    return workspace


def _record(action: str, actor: Actor, workspace: Workspace, metadata: dict[str, Any] | None = None) -> None:
    record(
        action,
        actor=actor,
        target_type="workspace",
        target_id=workspace.pk,
        target_name=workspace.name,
        metadata=metadata,
    )


@transaction.atomic
def workspace_delete(*, actor: Actor, confirm: str) -> Workspace:
    """Closes the workspace to everyone at once; `confirm` is its name, typed again. Owners only.

    Nothing is erased: an operator can bring it back in the admin.
    """
    require_owner(actor)
    workspace = Workspace.objects.select_for_update(no_key=True).get(pk=actor.workspace_id)
    if confirm.strip() != workspace.name:
        raise Invalid("Type the workspace's name exactly as it is to delete it.")
    if workspace.deleted_at is None:
        workspace.deleted_at = timezone.now()
        workspace.save(update_fields=["deleted_at"])
        _record("workspace_deleted", actor, workspace)
        for fn in _on_workspace_deleted:
            fn(workspace)
    return workspace


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME:
        raise Invalid(f"A workspace needs a name of at most {LONGEST_NAME} characters.")
    return name
