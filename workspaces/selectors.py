"""Reads about people and workspaces."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q

from .access import Actor, NotFound
from .models import ApiToken, Membership, ProviderKey, User, Workspace


def workspaces_of(user: User) -> list[Workspace]:
    """The workspaces this person is in, by name."""
    return list(Workspace.objects.filter(memberships__user=user, deleted_at=None).order_by("name"))


def workspaces_shown(actor: Actor) -> list[Workspace]:
    """Those that this actor may be told of: with a token its own alone, since a script knows no other."""
    rows = workspaces_of(actor.user)
    return rows if actor.token_id is None else [one for one in rows if one.pk == actor.workspace_id]


def memberships_shown(actor: Actor) -> list[Membership]:
    """The same with the person's role in each."""
    rows = Membership.objects.filter(user=actor.user, workspace__deleted_at=None)
    if actor.token_id is not None:
        rows = rows.filter(workspace_id=actor.workspace_id)
    return list(rows.select_related("workspace").order_by("workspace__name"))


def members_of_workspace(actor: Actor) -> list[Membership]:
    return list(
        Membership.objects.filter(workspace_id=actor.workspace_id)
        .select_related("user")
        .order_by("user__username")
    )


def access_member(actor: Actor, user_id: UUID | str) -> Membership:
    """Somebody of the actor's workspace; else NotFound."""
    try:
        key = UUID(str(user_id))
    except ValueError:
        raise NotFound() from None
    found = (
        Membership.objects.filter(workspace_id=actor.workspace_id, user_id=key).select_related("user").first()
    )
    if found is None:
        raise NotFound()
    return found


def tokens_of(actor: Actor) -> list[ApiToken]:
    """One's own tokens in this workspace that are not revoked, newest first; admins see everyone's."""
    tokens = ApiToken.objects.filter(workspace_id=actor.workspace_id, revoked_at=None).select_related("user")
    return list(tokens if actor.is_admin else tokens.filter(user_id=actor.user_id))


def access_token(actor: Actor, token_id: UUID | str) -> ApiToken:
    """One's own token, or for admins any of the workspace; else NotFound."""
    try:
        key = UUID(str(token_id))
    except ValueError:
        raise NotFound() from None
    found = ApiToken.objects.filter(pk=key, workspace_id=actor.workspace_id).first()
    if found is None or (found.user_id != actor.user_id and not actor.is_admin):
        raise NotFound()
    return found


def provider_keys_of(actor: Actor) -> list[ProviderKey]:
    """The workspace's keys and one's own, without the secrets: those are never loaded here."""
    return list(
        ProviderKey.objects.filter(Q(user=None) | Q(user_id=actor.user_id), workspace_id=actor.workspace_id)
        .defer("secret")
        .order_by("provider", "user_id")
    )
