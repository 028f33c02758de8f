"""Rights that change ring at the sockets of the person, so that they end at once.

Logout, revoked tokens, removed or changed memberships, switched-off accounts: whoever
changed them (a service, the admin, a command), the rights watch of every process with
a socket of that person looks at once instead of at its next round. Who is a member, and as
what, is told to the workspace by the same signals.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db.models.signals import post_delete, post_save

from workspaces.models import ApiToken, Membership, User, Workspace

from .frames import make_frame
from .publish import publish_after_commit
from .rooms import user_room, workspace_room


def ring(user_id: UUID) -> None:
    """After the commit: look at this person's rights again."""
    publish_after_commit(user_room(user_id), make_frame("control.recheck"))


def _session_ended(instance: Session, **_: Any) -> None:
    """Not at `user_logged_out`: that is sent before the session's row is gone, and who looks then finds it."""
    user_id = instance.get_decoded().get(SESSION_KEY)
    if user_id:
        ring(UUID(str(user_id)))


def _changed(instance: Membership | ApiToken, **_: Any) -> None:
    ring(instance.user_id)


def _member_saved(instance: Membership, created: bool = False, update_fields: Any = None, **_: Any) -> None:
    if created or update_fields is None or "role" in update_fields:
        _members_changed(instance, instance.role)


def _member_gone(instance: Membership, **_: Any) -> None:
    _members_changed(instance, None)


def _members_changed(member: Membership, role: str | None) -> None:
    """Everyone in the workspace may see who is a member, and as what."""
    frame = make_frame("members.changed", userId=str(member.user_id), role=role)
    publish_after_commit(workspace_room(member.workspace_id), frame)


def _person_changed(instance: User, created: bool = False, update_fields: Any = None, **_: Any) -> None:
    if not created and set(update_fields or ("is_active",)) & {"is_active", "password"}:
        ring(instance.pk)


def _workspace_changed(
    instance: Workspace, created: bool = False, update_fields: Any = None, **_: Any
) -> None:
    """A deleted one lets nobody stay, one that asks for a second step not everybody."""
    fields = update_fields or ("deleted_at", "require_two_step")
    closed = "deleted_at" in fields and instance.deleted_at is not None
    asks = "require_two_step" in fields and instance.require_two_step
    if not created and (closed or asks):
        for user_id in instance.memberships.values_list("user_id", flat=True):
            ring(user_id)


def connect() -> None:
    post_delete.connect(_session_ended, sender=Session, dispatch_uid="realtime.session_ended")
    for model in (Membership, ApiToken):
        post_save.connect(_changed, sender=model, dispatch_uid=f"realtime.saved.{model.__name__}")
        post_delete.connect(_changed, sender=model, dispatch_uid=f"realtime.deleted.{model.__name__}")
    post_save.connect(_member_saved, sender=Membership, dispatch_uid="realtime.member_saved")
    post_delete.connect(_member_gone, sender=Membership, dispatch_uid="realtime.member_gone")
    post_save.connect(_person_changed, sender=User, dispatch_uid="realtime.person")
    post_save.connect(_workspace_changed, sender=Workspace, dispatch_uid="realtime.workspace")
