"""Runs: how they stand, their chunks, following, stopping and resuming them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import orjson
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from ninja import Body, Query, Router
from pydantic import Field

from billing.attempts import attempts_of_run
from billing.plans import run_counted
from workspaces.access import Actor
from workspaces.request import ApiRequest

from ..access import access_run
from ..database import in_database
from ..log import Piece, read_log
from ..request_schemas import ResumeBody, SteerBody
from ..schemas import ChunkList, Run, RunCancelled, RunResumed, RunSteered
from ..services.run_cancel import run_cancel
from ..services.run_resume import run_resume
from ..services.run_start import Started
from ..services.steering import run_steer
from ..wire import run_wire
from .answers import MOST_ROWS_IN, answer, listed, number_of
from .invoke import SSE_CONTENT, accepted, client_id_of
from .sse import event_stream, start_of

router = Router(tags=["Runs"])

After = Annotated[int, Field(ge=0, le=MOST_ROWS_IN, description="Chunks with a greater seq.")]


@router.get("/runs/{run_id}", response=Run, summary="A run")
async def run_detail(request: ApiRequest, run_id: str) -> HttpResponse:
    """How the run stands, with the requests to providers that it made (`attempts`)."""
    return answer(await in_database(_run_detail, request.auth, run_id))


def _run_detail(actor: Actor, run_id: str) -> dict[str, Any]:
    run = access_run(actor, run_id)
    return run_wire(run, attempts=attempts_of_run(run.pk))


@router.get("/runs/{run_id}/chunks", response=ChunkList, summary="A page of a run's chunks")
async def run_chunks(
    request: ApiRequest,
    run_id: str,
    after: After = 0,
    limit: Annotated[int, Field(ge=1, le=2000)] = 500,
    cursor: str = "",
) -> HttpResponse:
    """Stored chunks in order; `items` is empty after the end. `nextCursor` is null when nothing more is stored now."""
    rows = await in_database(_run_chunks, request.auth, run_id, max(after, number_of(cursor)), limit + 1)
    items = [{"seq": seq, "chunk": orjson.Fragment(wire)} for seq, _, wire in rows[:limit]]
    return listed(items, str(items[-1]["seq"]) if len(rows) > limit else None)


def _run_chunks(actor: Actor, run_id: str, after: int, limit: int) -> list[Piece]:
    return read_log(access_run(actor, run_id).pk, after, limit)


@router.get(
    "/runs/{run_id}/stream",
    response={200: None},
    openapi_extra={"responses": {200: SSE_CONTENT}},
    summary="A run as server-sent events",
)
async def run_stream(
    request: ApiRequest, run_id: str, after: Annotated[int, Query()] = 0
) -> HttpResponseBase:
    """Replays from `Last-Event-ID` or `?after=`, then goes on live until the terminal chunk."""
    run = await in_database(access_run, request.auth, run_id)
    return event_stream(request.auth, run.pk, start_of(request, max(after, 0)))


@router.post("/runs/{run_id}/cancel", response=RunCancelled, summary="Stop a run")
async def cancel(request: ApiRequest, run_id: str) -> HttpResponse:
    """Asks the run to stop; what was written is kept, and billed as far as it went. A run that has ended stays as it is."""
    run = await in_database(run_cancel, actor=request.auth, run_id=run_id)
    return answer({"runId": str(run.pk), "status": run.status})


@router.post("/runs/{run_id}/steer", response={202: RunSteered}, summary="Say something to a running agent")
async def steer(request: ApiRequest, run_id: str, body: SteerBody) -> HttpResponse:
    """It hears it before its next step; if it ends before that, it becomes a question behind its answer. A run that
    has ended is 409 `run_ended`."""
    row = await in_database(
        run_steer,
        actor=request.auth,
        run_id=run_id,
        input_=body.input,
        client_id=client_id_of(request, body.client_id),
    )
    return answer({"runId": str(row.run_id), "messageId": str(row.pk)}, 202)


@router.post("/runs/{run_id}/resume", response={202: RunResumed}, summary="Go on with a run")
async def resume(
    request: ApiRequest, run_id: str, body: Annotated[ResumeBody | None, Body()] = None
) -> HttpResponse:
    """A new run for the same message, from the last completed step of a run that failed or was stopped."""
    told = body.client_id if body is not None else ""
    started = await in_database(_resume, request.auth, run_id, client_id_of(request, told))
    return answer({**accepted(started), "resumedFrom": str(UUID(run_id))}, 202)


def _resume(actor: Actor, run_id: str, client_id: str) -> Started:
    run_counted(actor)
    return run_resume(actor=actor, run_id=run_id, client_id=client_id)
