"""Rights that change ring at the sockets of the person, so that they end at once.

Logout, revoked tokens, removed or changed memberships, switched-off accounts: whoever
changed them (a service, the admin, a command), the rights watch of every process with
a socket of that person looks at once instead of at its next round.
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
from .rooms import user_room


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


def _person_changed(instance: User, created: bool = False, update_fields: Any = None, **_: Any) -> None:
    if not created and set(update_fields or ("is_active",)) & {"is_active", "password"}:
        ring(instance.pk)


def _workspace_changed(
    instance: Workspace, created: bool = False, update_fields: Any = None, **_: Any
) -> None:
    """A deleted one lets nobody stay."""
    if not created and "deleted_at" in (update_fields or ("deleted_at",)) and instance.deleted_at is not None:
        for user_id in instance.memberships.values_list("user_id", flat=True):
            ring(user_id)


def connect() -> None:
    post_delete.connect(_session_ended, sender=Session, dispatch_uid="realtime.session_ended")
    for model in (Membership, ApiToken):
        post_save.connect(_changed, sender=model, dispatch_uid=f"realtime.saved.{model.__name__}")
        post_delete.connect(_changed, sender=model, dispatch_uid=f"realtime.deleted.{model.__name__}")
    post_save.connect(_person_changed, sender=User, dispatch_uid="realtime.person")
    post_save.connect(_workspace_changed, sender=Workspace, dispatch_uid="realtime.workspace")
