"""Asking an agent: `/invoke` (streamed, waited for, or in the background) and `/agents/stream`."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from ninja import Router

from billing.plans import run_counted
from realtime.ending import ending
from workspaces.access import Actor
from workspaces.request import ApiRequest

from ..database import in_database
from ..follow import follow
from ..models import Message, Run
from ..preview import run_preview
from ..request_schemas import AgentStream, Invoke, PreviewAsked
from ..schemas import Invoked, Preview, RunAccepted
from ..services.run_start import UNSET, Started, run_start
from ..wire import message_wire, run_wire
from .answers import answer
from .sse import event_stream

router = Router(tags=["Runs"])

MOST_WAIT_SECONDS = 600.0
SSE_CONTENT: dict[str, Any] = {
    "content": {
        "text/event-stream": {"schema": {"type": "string", "description": "id: <seq>, data: <chunk>"}}
    }
}


@router.post(
    "/invoke",
    response={200: Invoked, 202: RunAccepted},
    openapi_extra={"responses": {200: SSE_CONTENT}},
    summary="Ask an agent",
)
async def invoke(request: ApiRequest, body: Invoke) -> HttpResponseBase:
    """Stores the message and starts its run, in a new conversation or the one that is named.

    With `Accept: text/event-stream` the answer is the run as it happens. With
    `"background": true` it is 202 at once. Else it comes when the run has ended, or after ten
    minutes as 202; the run goes on in any case. `Idempotency-Key` is the same as `clientId`.
    """
    given = body.model_fields_set
    started = await in_database(
        begin,
        request.auth,
        agent_id=body.agent_id,
        input_=body.message,
        conversation_id=body.conversation_id,
        client_id=client_id_of(request, body.client_id),
        policy=body.policy,
        model=body.model,
        parent_message_id=body.parent_message_id if "parent_message_id" in given else UNSET,
        regenerate_message_id=body.regenerate_message_id,
        visibility=body.visibility or "",
    )
    if body.background:
        return answer(accepted(started), 202)
    if wants_events(request):
        return event_stream(request.auth, started.run.pk, 0)
    return await whole_run(request.auth, started)


@router.post("/invoke/preview", response=Preview, summary="What a message would cost")
async def preview(request: ApiRequest, body: PreviewAsked) -> HttpResponseBase:
    """Before it is sent: nothing is stored, asked or held, so that it may be otherwise a moment later."""
    found = await in_database(
        run_preview,
        actor=request.auth,
        agent_id=body.agent_id,
        input_=body.message,
        conversation_id=body.conversation_id,
        model=body.model,
    )
    return answer(found)


@router.post(
    "/agents/stream",
    response={200: None},
    openapi_extra={"responses": {200: SSE_CONTENT}},
    summary="Ask, as a stream",
)
async def agents_stream(request: ApiRequest, body: AgentStream) -> HttpResponseBase:
    """The same as `/invoke`, always as server-sent events; `context.sessionId` is the conversation."""
    started = await in_database(
        begin,
        request.auth,
        agent_id=body.agent_id,
        input_=body.input,
        conversation_id=body.context.session_id,
        client_id=client_id_of(request, body.client_id),
        policy=body.policy,
        model=body.model,
    )
    return event_stream(request.auth, started.run.pk, 0)


def begin(actor: Actor, **asked: Any) -> Started:
    """Counts, then starts. Raises what `run_start` raises, and TooManyRequests."""
    run_counted(actor)
    return run_start(actor=actor, **asked)


def client_id_of(request: ApiRequest, told: str) -> str:
    """The body's `clientId`, else the header's `Idempotency-Key`."""
    return told or request.headers.get("Idempotency-Key", "").strip()


def wants_events(request: ApiRequest) -> bool:
    """An explicit `text/event-stream`: a client that takes everything (`*/*`) gets JSON."""
    return "text/event-stream" in request.headers.get("Accept", "").lower()


def accepted(started: Started) -> dict[str, Any]:
    return {
        "runId": str(started.run.pk),
        "conversationId": str(started.conversation.pk),
        "messageId": str(started.message.pk),
        "answerId": str(started.run.answer_id),
        "status": started.run.status,
        "streamUrl": f"/api/runs/{started.run.pk}/stream",
    }


async def whole_run(actor: Actor, started: Started) -> HttpResponse:
    """Waits for the run's end. Its chunks go into the answer as they are stored, unparsed.

    202 where it takes too long, or where this process stops: the run goes on.
    """
    reading = asyncio.ensure_future(_whole_log(started.run.pk))
    ends = asyncio.ensure_future(ending().wait())
    try:
        await asyncio.wait({reading, ends}, timeout=MOST_WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            return answer(accepted(started), 202)
        chunks = reading.result()
    finally:
        reading.cancel()
        ends.cancel()
        await asyncio.gather(reading, ends, return_exceptions=True)
    run, message = await in_database(_ended, started.run)
    told = run_wire(run)
    return answer(
        {
            "runId": told["runId"],
            "conversationId": told["conversationId"],
            "messageId": told["messageId"],
            "status": told["status"],
            "message": message_wire(message),
            "chunks": chunks,
            "tokenUsage": told["tokenUsage"],
            "cost": told["cost"],
            "error": told["error"],
        }
    )


async def _whole_log(run_id: UUID) -> list[orjson.Fragment]:
    return [orjson.Fragment(wire) async for _, wire in follow(run_id, 0)]


def _ended(run: Run) -> tuple[Run, Message]:
    run = Run.objects.get(pk=run.pk)
    return run, Message.objects.select_related("author").get(pk=run.answer_id)
