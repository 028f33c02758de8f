"""A conversation as it is read: its newest part and the parts before it; forks of it; what people think of answers."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpResponse
from ninja import Query, Router
from pydantic import Field

from billing.plans import run_counted
from workspaces.access import Actor
from workspaces.limits import limit_hit
from workspaces.request import ApiRequest

from ..access import access_conversation
from ..database import in_database
from ..request_schemas import FeedbackBody, ForkBody
from ..schemas import Conversation, Feedback, RunAccepted
from ..services.feedback import feedback_give, feedback_withdraw
from ..services.fork import conversation_fork
from ..services.run_continue import run_continue
from ..services.run_start import Started
from ..thread_schemas import Thread
from ..threads import LONGEST_THREAD, THREAD_LENGTH, thread_part
from ..wire import feedback_wire
from .answers import answer
from .conversations import one
from .invoke import accepted, client_id_of

router = Router(tags=["Conversations"])


@router.get("/conversations/{conversation_id}/thread", response=Thread, summary="What a reader sees of it")
async def thread(
    request: ApiRequest,
    conversation_id: str,
    before: Annotated[UUID | None, Query(description="A message: what stands before it.")] = None,
    through: Annotated[UUID | None, Query(description="A message: the branch in which it is.")] = None,
    limit: Annotated[int, Field(ge=1, le=LONGEST_THREAD)] = THREAD_LENGTH,
) -> HttpResponse:
    """The newest part of the shown branch, with other versions at its forks; `earlier.before` leads to the part before."""
    part = await in_database(_thread, request.auth, conversation_id, before, through, limit)
    return answer(part)


def _thread(
    actor: Actor, conversation_id: str, before: UUID | None, through: UUID | None, limit: int
) -> dict[str, Any]:
    conversation = access_conversation(actor, conversation_id)
    return thread_part(actor, conversation, before=before, through=through, limit=limit)


@router.post(
    "/conversations/{conversation_id}/fork", response={201: Conversation}, summary="Fork a conversation"
)
async def fork(request: ApiRequest, conversation_id: str, body: ForkBody) -> HttpResponse:
    """A new conversation of the caller's own with the branch up to that message: no runs, no cost. Private, unless
    the original is open to the workspace."""
    return answer(await in_database(_fork, request.auth, conversation_id, body.message_id), 201)


def _fork(actor: Actor, conversation_id: str, message_id: UUID) -> dict[str, Any]:
    limit_hit("exports", actor)
    return one(actor, conversation_fork(actor=actor, conversation_id=conversation_id, message_id=message_id))


@router.put("/messages/{message_id}/feedback", response=Feedback, summary="Call an answer good or poor")
async def feedback(request: ApiRequest, message_id: str, body: FeedbackBody) -> HttpResponse:
    """The caller's own mark, with a comment if they like; the last one counts. Viewers may: it changes nothing for others."""
    given = await in_database(
        feedback_give, actor=request.auth, message_id=message_id, rating=body.rating, comment=body.comment
    )
    return answer(feedback_wire(given))


@router.delete("/messages/{message_id}/feedback", response={204: None}, summary="Take it back")
async def feedback_back(request: ApiRequest, message_id: str) -> HttpResponse:
    """The caller's own mark only; 204 also where there is none."""
    await in_database(feedback_withdraw, actor=request.auth, message_id=message_id)
    return HttpResponse(status=204)


@router.post(
    "/messages/{message_id}/continue",
    response={202: RunAccepted},
    summary="Go on with an answer that was cut",
)
async def go_on(request: ApiRequest, message_id: str) -> HttpResponse:
    """A new run that goes on where an answer reached its longest length (`stopReason` length); 409 for any other."""
    started = await in_database(_continue, request.auth, message_id, client_id_of(request, ""))
    return answer(accepted(started), 202)


def _continue(actor: Actor, message_id: str, client_id: str) -> Started:
    run_counted(actor)
    return run_continue(actor=actor, message_id=message_id, client_id=client_id)
