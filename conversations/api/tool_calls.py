"""Records of tool calls [T7]: by conversation, by message, by id."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from ninja import Router
from pydantic import Field

from workspaces.access import Actor
from workspaces.request import ApiRequest

from ..access import access_conversation, access_message, access_tool_call, as_uuid, readable
from ..database import in_database
from ..models import Run
from ..models import ToolCall as ToolCallRow
from ..tool_call_schemas import ToolCall, ToolCallList
from ..wire import tool_call_wire
from .answers import answer, listed, number_of

router = Router(tags=["Tool calls"])

Limit = Annotated[int, Field(ge=1, le=500)]


@router.get(
    "/conversations/{conversation_id}/tool-calls",
    response=ToolCallList,
    summary="Tool calls of a conversation",
)
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
    query = with_approval(ToolCallRow.objects.filter(conversation=conversation))
    rows = list(query[offset : offset + limit + 1])
    following = str(offset + limit) if len(rows) > limit else None
    return [tool_call_wire(call) for call in rows[:limit]], following


@router.get("/messages/{message_id}/tool-calls", response=ToolCallList, summary="Tool calls of a message")
async def by_message(request: ApiRequest, message_id: str) -> HttpResponse:
    """Of an answer, by its id, also while it is being written; by a question's id, those of all its answers."""
    return listed(await in_database(_by_message, request.auth, message_id), None)


def access_answer(actor: Actor, message_id: str) -> set[UUID]:
    """The ids of the answers that are meant: the one itself, or a question's. Raises NotFound."""
    wanted = as_uuid(message_id)
    runs = Run.objects.filter(Q(message_id=wanted) | Q(answer_id=wanted), conversation__in=readable(actor))
    answers = set(runs.values_list("answer_id", flat=True))
    if not answers:
        answers = {access_message(actor, wanted).pk}
    return {wanted} if wanted in answers else answers


def _by_message(actor: Actor, message_id: str) -> list[dict[str, Any]]:
    calls = ToolCallRow.objects.filter(message_id__in=access_answer(actor, message_id))
    return [tool_call_wire(call) for call in with_approval(calls)]


def with_approval(calls: QuerySet[ToolCallRow]) -> QuerySet[ToolCallRow]:
    """In their order, with what people said to them."""
    return (
        calls.select_related("approval__decided_by")
        .prefetch_related("approval__votes__user")
        .order_by("created_at", "step", "position", "id")
    )


@router.get("/tool-calls/{tool_id}", response=ToolCall, summary="A tool call")
async def by_id(request: ApiRequest, tool_id: str) -> HttpResponse:
    return answer(await in_database(_by_id, request.auth, tool_id))


def _by_id(actor: Actor, tool_id: str) -> dict[str, Any]:
    return tool_call_wire(access_tool_call(actor, tool_id))
