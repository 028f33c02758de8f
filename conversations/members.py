"""Whoever changes what a person may do in a workspace (a service, the admin, a command), this app hears of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models.signals import post_save, pre_delete

from realtime.rights import on_rights_lost
from workspaces.audit.origin import somebody
from workspaces.models import Membership, User

from .database import in_database
from .services.leaving import GONE, member_ends, person_ends, rights_look


def connect() -> None:
    # Before it is gone: with a deleted account its runs forget who asked for them.
    pre_delete.connect(_goes, sender=Membership, dispatch_uid="conversations.member_goes")
    post_save.connect(_changed, sender=Membership, dispatch_uid="conversations.member_changed")
    post_save.connect(_person_changed, sender=User, dispatch_uid="conversations.person_changed")
    on_rights_lost(_lost)


def _goes(instance: Membership, **_: Any) -> None:
    _ends(instance, GONE)


def _changed(instance: Membership, created: bool = False, update_fields: Any = None, **_: Any) -> None:
    if not created and (update_fields is None or "role" in update_fields):
        _ends(instance, instance.role)


def _ends(member: Membership, role: str) -> None:
    by, _ = somebody()
    member_ends(workspace_id=member.workspace_id, user_id=member.user_id, role=role, by=by)


def _person_changed(instance: User, created: bool = False, update_fields: Any = None, **_: Any) -> None:
    if not created and not instance.is_active and (update_fields is None or "is_active" in update_fields):
        by, _token = somebody()
        person_ends(instance, by=by)


async def _lost(workspace_id: UUID, user_id: UUID) -> None:
    await in_database(rights_look, workspace_id, user_id)
