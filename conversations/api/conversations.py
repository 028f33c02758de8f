"""Conversations: list, create, read, change, delete, restore; their messages and exports."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from django.http import HttpResponse
from ninja import Query, Router
from pydantic import Field

from workspaces.access import Actor
from workspaces.limits import limit_hit
from workspaces.request import ApiRequest

from ..access import access_conversation
from ..database import in_database
from ..exports import Export, export_conversation
from ..models import Conversation as ConversationRow
from ..request_schemas import BulkChange, ConversationChange, ConversationNew
from ..schemas import BulkResults, Conversation, ConversationList, MessageList
from ..selectors import annotated, conversation_annotated_wire, conversations_of, messages_of
from ..services import conversations as service
from ..services.bulk import conversations_bulk
from ..wire import message_wire
from .answers import answer, listed, number_of, page_by_moment, page_by_number

router = Router(tags=["Conversations"])

Limit = Annotated[int, Field(ge=1, le=200)]


@router.get("/conversations", response=ConversationList, summary="Conversations")
async def conversation_list(
    request: ApiRequest,
    status: Literal["active", "archived"] | None = None,
    search: Annotated[str, Query(max_length=200, description="Part of the title.")] = "",
    agent: Annotated[str, Query(max_length=200, description="Of this agent only.")] = "",
    limit: Limit = 50,
    cursor: str = "",
) -> HttpResponse:
    """Those the caller may read, newest activity first."""
    items, following = await in_database(
        _conversation_list, request.auth, status or "", search, agent, limit, cursor
    )
    return listed(items, following)


def _conversation_list(
    actor: Actor, status: str, search: str, agent: str, limit: int, cursor: str
) -> tuple[list[dict[str, Any]], str | None]:
    query = conversations_of(actor, status=status, agent=agent, search=search)
    rows, following = page_by_moment(query, "last_active_at", cursor, limit)
    return [conversation_annotated_wire(row) for row in rows], following


@router.post("/conversations", response={201: Conversation}, summary="Create a conversation")
async def conversation_new(request: ApiRequest, body: ConversationNew) -> HttpResponse:
    """An empty one. `POST /api/invoke` without `conversationId` creates one with its first message."""
    made = await in_database(
        _conversation_new,
        request.auth,
        title=body.title,
        agent_id=body.agent_id,
        visibility=body.visibility,
        model=body.model,
        shared_with=body.shared_with,
        temporary=body.temporary,
    )
    return answer(made, 201)


@router.post("/conversations/bulk", response=BulkResults, summary="Change several conversations")
async def conversation_bulk(request: ApiRequest, body: BulkChange) -> HttpResponse:
    """Archive, restore, delete or mark as read. Each id has its own result; a foreign one is 404 like an absent one."""
    items = await in_database(conversations_bulk, actor=request.auth, ids=body.ids, action=body.action)
    return listed(items, None)


def _conversation_new(actor: Actor, **fields: Any) -> dict[str, Any]:
    return one(actor, service.conversation_create(actor=actor, **fields))


@router.get("/conversations/{conversation_id}", response=Conversation, summary="A conversation")
async def conversation_detail(request: ApiRequest, conversation_id: str) -> HttpResponse:
    return answer(await in_database(_conversation_detail, request.auth, conversation_id))


def _conversation_detail(actor: Actor, conversation_id: str) -> dict[str, Any]:
    return one(actor, access_conversation(actor, conversation_id))


@router.patch("/conversations/{conversation_id}", response=Conversation, summary="Change a conversation")
async def conversation_change(
    request: ApiRequest, conversation_id: str, body: ConversationChange
) -> HttpResponse:
    """Title, status, pinned (for the caller alone), visibility, model, agent; `temporary: false` keeps
    a temporary chat. What is left out or null stays."""
    fields = {name: getattr(body, name) for name in body.model_fields_set if getattr(body, name) is not None}
    return answer(await in_database(_conversation_change, request.auth, conversation_id, fields))


def _conversation_change(actor: Actor, conversation_id: str, fields: dict[str, Any]) -> dict[str, Any]:
    return one(actor, service.conversation_update(actor=actor, conversation_id=conversation_id, **fields))


@router.delete("/conversations/{conversation_id}", response={204: None}, summary="Delete a conversation")
async def conversation_delete(request: ApiRequest, conversation_id: str) -> HttpResponse:
    """Nobody finds it any more and its runs are stopped. Can be restored."""
    await in_database(service.conversation_delete, actor=request.auth, conversation_id=conversation_id)
    return HttpResponse(status=204)


@router.post(
    "/conversations/{deleted_id}/restore", response=Conversation, summary="Restore a deleted conversation"
)
async def conversation_restore(request: ApiRequest, deleted_id: str) -> HttpResponse:
    """404 unless it is deleted and the caller's to restore: its creator's, or an admin's where the workspace saw it."""
    return answer(await in_database(_conversation_restore, request.auth, deleted_id))


def _conversation_restore(actor: Actor, conversation_id: str) -> dict[str, Any]:
    return one(actor, service.conversation_restore(actor=actor, conversation_id=conversation_id))


@router.get(
    "/conversations/{conversation_id}/messages", response=MessageList, summary="Messages of a conversation"
)
async def message_list(
    request: ApiRequest,
    conversation_id: str,
    order: Literal["asc", "desc"] = "asc",
    limit: Limit = 100,
    cursor: str = "",
) -> HttpResponse:
    """All branches, by number; `superseded` ones are withdrawn answers and questions."""
    items, following = await in_database(
        _message_list, request.auth, conversation_id, order == "desc", limit, number_of(cursor)
    )
    return listed(items, following)


def _message_list(
    actor: Actor, conversation_id: str, newest_first: bool, limit: int, after: int
) -> tuple[list[dict[str, Any]], str | None]:
    query = messages_of(access_conversation(actor, conversation_id).pk)
    if newest_first:
        query = query.order_by("-number")
    if after:
        query = query.filter(number__lt=after) if newest_first else query.filter(number__gt=after)
    rows, following = page_by_number(list(query[: limit + 1]), limit, lambda message: message.number)
    return [message_wire(message) for message in rows], following


EXPORT_RESPONSE: dict[str, Any] = {
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "text/markdown": {"schema": {"type": "string"}},
        "text/html": {"schema": {"type": "string"}},
    }
}


@router.get(
    "/conversations/{conversation_id}/export",
    response={200: None},
    openapi_extra={"responses": {200: EXPORT_RESPONSE}},
    summary="Export a conversation",
)
async def export(
    request: ApiRequest, conversation_id: str, format: Literal["json", "md", "html"] = "json"
) -> HttpResponse:
    """A file to keep: JSON has everything with all branches, Markdown and HTML the newest branch."""
    made = await in_database(_export, request.auth, conversation_id, format)
    return as_download(made)


def _export(actor: Actor, conversation_id: str, format: str) -> Export:
    limit_hit("exports", actor)
    return export_conversation(actor, conversation_id, format)


def as_download(made: Export) -> HttpResponse:
    response = HttpResponse(made.body, content_type=made.media_type)
    response["Content-Disposition"] = disposition("attachment", made.name)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
    )
    response["Cache-Control"] = "no-store"
    return response


def disposition(kind: str, name: str) -> str:
    """`attachment; filename="plan.md"; filename*=UTF-8''pl%C3%A4n.md`: the plain form for old programs."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-()") else "_" for c in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def one(actor: Actor, conversation: ConversationRow) -> dict[str, Any]:
    """The wire form with the person's own mark and the runs going on."""
    return conversation_annotated_wire(annotated(actor).get(pk=conversation.pk))
