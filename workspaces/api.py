"""HTTP of oneself, API tokens, socket tickets and provider keys: parse, call one service, answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Router

from . import schemas
from .access import READ_ONLY_SCOPE, Actor, Forbidden, NotFound
from .database import in_database
from .limits import limit_hit
from .models import ApiToken, ProviderKey, User, Workspace
from .provider_keys import provider_key_delete, provider_key_set
from .request import ApiRequest
from .selectors import access_token, provider_keys_of, tokens_of, workspaces_shown
from .services import profile_update
from .tickets import ticket_create
from .tokens import token_create_by, token_revoke

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

router = Router(tags=["People"])


def guard(request: HttpRequest, actor: Actor) -> None:
    """Before the body is looked at: an absent or foreign token is 404, then a read-only token's write is 403."""
    found = request.resolver_match.kwargs if request.resolver_match else {}
    if "token_id" in found:
        access_token(actor, found["token_id"])
    ticket = request.path.endswith("/ws-ticket")
    if request.method not in SAFE_METHODS and READ_ONLY_SCOPE in actor.scopes and not ticket:
        raise Forbidden("This token may only read.")


@router.get("/me", response=schemas.Me, summary="Oneself")
async def me(request: ApiRequest) -> HttpResponse:
    """Who the caller is, where they act, and in which workspaces they are."""
    workspaces = await in_database(workspaces_shown, request.auth)
    return answer(me_wire(request.auth, request.auth.user, workspaces))


@router.patch("/me", response=schemas.Me, summary="Change oneself")
async def me_change(request: ApiRequest, body: schemas.MeFields) -> HttpResponse:
    """Name, title, time zone, about, theme, shortcuts, notifications."""
    changes = body.model_dump(exclude_unset=True)

    def change() -> tuple[User, list[Workspace]]:
        user = profile_update(actor=request.auth, **changes)
        return user, workspaces_shown(request.auth)

    user, workspaces = await in_database(change)
    return answer(me_wire(request.auth, user, workspaces))


# --- tokens and tickets ---


@router.get("/tokens", response=schemas.TokenList, summary="API tokens", tags=["Tokens"])
async def tokens(request: ApiRequest) -> HttpResponse:
    """One's own; admins see those of the whole workspace."""
    return listed([token_wire(t) for t in await in_database(tokens_of, request.auth)])


@router.post("/tokens", response={201: schemas.NewToken}, summary="Make a token", tags=["Tokens"])
async def token_new(request: ApiRequest, body: schemas.TokenFields) -> HttpResponse:
    """It acts as the caller in this workspace. The token itself is in this answer and nowhere else."""
    made = await in_database(
        token_create_by, actor=request.auth, name=body.name, scopes=body.scopes, expires_at=body.expires_at
    )
    return answer({**token_wire(made.row), "token": made.text}, 201)


@router.delete("/tokens/{token_id}", response={204: None}, summary="Revoke a token", tags=["Tokens"])
async def token_end(request: ApiRequest, token_id: str) -> HttpResponse:
    """Programs that use it are refused at once, and their sockets end."""
    await in_database(token_revoke, actor=request.auth, token_id=as_uuid(token_id))
    return HttpResponse(status=204)


@router.post("/ws-ticket", response=schemas.Ticket, summary="A ticket for one socket", tags=["Tokens"])
async def ticket(request: ApiRequest) -> HttpResponse:
    """Opens one socket as the caller within 30 seconds: subprotocols `nexus.v1`, `ticket.<value>`."""

    def make() -> Any:
        limit_hit("tickets", request.auth)
        return ticket_create(actor=request.auth)

    made = await in_database(make)
    return answer({"ticket": made.text, "expiresAt": instant(made.expires_at)})


# --- provider keys ---


@router.get("/provider-keys", response=schemas.KeyList, summary="Provider keys", tags=["Providers"])
async def keys(request: ApiRequest) -> HttpResponse:
    """Which keys are stored, by their last four characters: the workspace's and one's own."""
    return listed([key_wire(k) for k in await in_database(provider_keys_of, request.auth)])


@router.post("/provider-keys", response=schemas.Key, summary="Store a provider key", tags=["Providers"])
async def key_set(request: ApiRequest, body: schemas.KeyFields) -> HttpResponse:
    """For the workspace (admins and owners) or for oneself. It replaces the one before and is never shown again."""
    key = await in_database(
        provider_key_set,
        actor=request.auth,
        provider=body.provider,
        secret=body.secret,
        personal=body.scope == "me",
    )
    return answer(key_wire(key))


@router.delete(
    "/provider-keys/{provider}", response={204: None}, summary="Remove a provider key", tags=["Providers"]
)
async def key_remove(
    request: ApiRequest, provider: str, scope: schemas.KeyScope = "workspace"
) -> HttpResponse:
    await in_database(provider_key_delete, actor=request.auth, provider=provider, personal=scope == "me")
    return HttpResponse(status=204)


# --- wire objects ---


def me_wire(actor: Actor, user: User, workspaces: list[Workspace]) -> dict[str, Any]:
    return {
        "id": str(user.pk),
        "username": user.username,
        "email": user.email,
        "name": user.display_name,
        "title": user.title,
        "timezone": user.timezone,
        "about": user.about,
        "theme": user.theme,
        "shortcutsEnabled": user.shortcuts_enabled,
        "notificationsEnabled": user.notifications_enabled,
        "role": actor.role,
        "workspace": workspace_wire(actor.workspace),
        "workspaces": [workspace_wire(w) for w in workspaces],
    }


def workspace_wire(workspace: Workspace) -> dict[str, str]:
    return {"id": str(workspace.pk), "slug": workspace.slug, "name": workspace.name}


def token_wire(token: ApiToken) -> dict[str, Any]:
    return {
        "id": str(token.pk),
        "name": token.name,
        "lastFour": token.last_four,
        "scopes": token.scopes,
        "userId": str(token.user_id),
        "createdAt": instant(token.created_at),
        "expiresAt": instant(token.expires_at),
        "lastUsedAt": instant(token.last_used_at),
    }


def key_wire(key: ProviderKey) -> dict[str, Any]:
    return {
        "provider": key.provider,
        "scope": "me" if key.user_id else "workspace",
        "lastFour": key.last_four,
        "createdAt": instant(key.created_at),
    }


def instant(value: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds."""
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z") if value is not None else None


def as_uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise NotFound() from None


def answer(data: dict[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(orjson.dumps(data), status=status, content_type="application/json; charset=utf-8")


def listed(items: list[dict[str, Any]]) -> HttpResponse:
    return answer({"items": items, "nextCursor": None})
