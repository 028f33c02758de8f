"""Records of tool calls [T7]: by conversation, by message, by id."""

from __future__ import annotations

from typing import Annotated, Any

from django.db.models import Q
from django.http import HttpResponse
from ninja import Router
from pydantic import Field

from workspaces.access import Actor

from ..access import access_conversation, access_message, access_tool_call
from ..database import in_database
from ..models import Message, Run
from ..models import ToolCall as ToolCallRow
from ..schemas import ToolCall, ToolCallList
from ..wire import tool_call_wire
from .answers import answer, listed, number_of
from .request import ApiRequest

router = Router(tags=["Tool calls"])

Limit = Annotated[int, Field(ge=1, le=500)]


@router.get("/conversations/{conversation_id}/tool-calls", response=ToolCallList, summary="Tool calls of a conversation")
async def by_conversation(
    request: ApiRequest, conversation_id: str, limit: Limit = 100, cursor: str = ""
) -> HttpResponse:
    """Oldest first."""
    items, following = await in_database(
        _by_conversation, request.auth, conversation_id, limit, number_of(cursor)
    )
    return listed(items, following)


def _by_conversation(
    actor: Actor, conversation_id: str, limit: int, offset: int
) -> tuple[list[dict[str, Any]], str | None]:
    conversation = access_conversation(actor, conversation_id)
    # Calls are only ever added at the end, so that a place in the list stays what it is.
    query = ToolCallRow.objects.filter(conversation=conversation).order_by("created_at", "step", "position", "id")
    rows = list(query[offset : offset + limit + 1])
    following = str(offset + limit) if len(rows) > limit else None
    return [tool_call_wire(call) for call in rows[:limit]], following


@router.get("/messages/{message_id}/tool-calls", response=ToolCallList, summary="Tool calls of a message")
async def by_message(request: ApiRequest, message_id: str) -> HttpResponse:
    """Of an answer; asked with a question's id, those of all its answers. While a run is going its answer's id
    (`answerId`) works already."""
    return listed(await in_database(_by_message, request.auth, message_id), None)


def _by_message(actor: Actor, message_id: str) -> list[dict[str, Any]]:
    message = access_message(actor, message_id)
    wanted = Q(message_id=message.pk)
    if message.role == Message.Role.USER:
        wanted |= Q(message_id__in=Run.objects.filter(message=message).values("answer_id"))
    query = ToolCallRow.objects.filter(wanted, conversation_id=message.conversation_id)
    return [tool_call_wire(call) for call in query.order_by("created_at", "step", "position", "id")]


@router.get("/tool-calls/{tool_id}", response=ToolCall, summary="A tool call")
async def by_id(request: ApiRequest, tool_id: str) -> HttpResponse:
    return answer(await in_database(_by_id, request.auth, tool_id))


def _by_id(actor: Actor, tool_id: str) -> dict[str, Any]:
    return tool_call_wire(access_tool_call(actor, tool_id))
