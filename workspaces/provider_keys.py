"""Keys of model providers: the workspace's, and people's own. Stored encrypted, handed out to calls alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from .access import Actor, Forbidden, Invalid, NotFound, require_admin
from .audit import record
from .models import ProviderKey, User, Workspace
from .statements import Compiled


@transaction.atomic
def provider_key_set(*, actor: Actor, provider: str, secret: str, personal: bool = False) -> ProviderKey:
    """Stores a provider's key for the workspace (admins) or for oneself (where the workspace allows it)."""
    _may_change_key(actor, personal)
    secret = secret.strip()
    if not secret or not provider:
        raise Invalid("A provider and its key, please.")
    user = actor.user if personal else None
    key = ProviderKey.objects.filter(workspace=actor.workspace, user=user, provider=provider).first()
    replaced = key is not None
    if key is None:
        key = ProviderKey(workspace=actor.workspace, user=user, provider=provider)
    key.secret, key.last_four, key.created_by = secret, last_four(secret), actor.user
    key.first_used_at = None
    try:
        with transaction.atomic():
            key.save()
    except IntegrityError:  # somebody else stored one in the same moment: theirs is replaced
        ProviderKey.objects.filter(workspace=actor.workspace, user=user, provider=provider).delete()
        key.save(force_insert=True)
    _record_key("key_replaced" if replaced else "key_set", actor, key)
    return key


@transaction.atomic
def provider_key_delete(*, actor: Actor, provider: str, personal: bool = False) -> None:
    _may_change_key(actor, personal)
    user = actor.user if personal else None
    key = (
        ProviderKey.objects.filter(workspace=actor.workspace, user=user, provider=provider)
        .defer("secret")
        .first()
    )
    if key is None or not ProviderKey.objects.filter(pk=key.pk).delete()[0]:
        raise NotFound()
    _record_key("key_removed", actor, key)


def provider_keys_end(workspace: Workspace, user: User) -> None:
    """All of a person's own in a workspace, in the transaction that ends their membership."""
    for key in ProviderKey.objects.filter(workspace=workspace, user=user).defer("secret"):
        key.delete()
        record("key_removed", workspace_id=workspace.pk, **_told_of_key(key))


def _record_key(action: str, actor: Actor, key: ProviderKey) -> None:
    record(action, actor=actor, **_told_of_key(key))


def _told_of_key(key: ProviderKey) -> dict[str, Any]:
    return {
        "target_type": "provider key",
        "target_id": key.pk,
        "target_name": f"{key.provider} (…{key.last_four})" if key.last_four else key.provider,
        "metadata": {"provider": key.provider, "scope": "person" if key.user_id else "workspace"},
    }


def _may_change_key(actor: Actor, personal: bool) -> None:
    if not personal:
        require_admin(actor)
    elif not actor.can_write or not actor.workspace.allow_personal_keys:
        raise Forbidden("This workspace does not allow personal keys.")


def last_four(secret: str) -> str:
    """What may be shown of a secret; nothing of a short one."""
    return secret[-4:] if len(secret) >= 12 else ""


def provider_key_for(workspace_id: UUID, user_id: UUID | None, provider: str) -> str | None:
    """The stored key for a call: the person's own where the workspace allows it, else the workspace's, else None."""
    # Nobody has the id of nothing: without a person only the workspace's is found.
    rows = _KEYS.rows(workspace_id, user_id or UUID(int=0), provider)
    found = {row.user_id: row for row, _ in rows if row.secret}
    key = found.get(user_id) or found.get(None)
    if key is None:
        return None
    if key.first_used_at is None:
        _used_first(key, user_id)
    return str(key.secret)


@transaction.atomic
def _used_first(key: ProviderKey, user_id: UUID | None) -> None:
    """Once for each secret: the UPDATE decides who of several was first."""
    fresh = ProviderKey.objects.filter(pk=key.pk, first_used_at=None)
    if fresh.update(first_used_at=timezone.now()):
        record("key_first_used", workspace_id=key.workspace_id, user_id=user_id, **_told_of_key(key))


def _keys_for(workspace_id: UUID, user_id: UUID, provider: str) -> QuerySet[ProviderKey]:
    mine = Q(user_id=user_id, workspace__allow_personal_keys=True)
    return ProviderKey.objects.filter(
        Q(user=None) | mine, workspace_id=workspace_id, provider=provider
    ).order_by()


_KEYS = Compiled(_keys_for, "workspace", "user", "provider:text")
