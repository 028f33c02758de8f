"""Calls that wait for people: what there is to decide, saying it, and what is allowed for good."""

from __future__ import annotations

from django.http import HttpResponse
from ninja import Router

from workspaces.request import ApiRequest

from ..approvals import approvals_open, standing_forget, standing_of
from ..database import in_database
from ..request_schemas import DecisionBody
from ..services.deciding import tool_decide
from ..tool_call_schemas import ApprovalList, StandingApprovalList, ToolCall
from ..wire import tool_call_wire
from .answers import answer, listed
from .invoke import client_id_of

router = Router(tags=["Tool calls"])


@router.post("/tool-calls/{tool_id}/decision", response=ToolCall, summary="Decide on a tool call")
async def decide(request: ApiRequest, tool_id: str, body: DecisionBody) -> HttpResponse:
    """Says yes or no to a call that waits, or answers a question; `ran` and `rerun` settle one of unknown outcome.

    The answer is the call as it stands then. A second decision is 409 `already_decided`; the same request again,
    with the same `Idempotency-Key`, is not.
    """
    call = await in_database(
        tool_decide,
        actor=request.auth,
        tool_id=tool_id,
        decision=body.decision,
        note=body.note,
        answer=body.answer,
        remember=body.remember,
        client_id=client_id_of(request, body.client_id),
    )
    return answer(await in_database(tool_call_wire, call))


@router.get("/approvals", response=ApprovalList, summary="What waits for a decision")
async def waiting(request: ApiRequest) -> HttpResponse:
    """In all conversations one may read, what expires first first; the 200 most pressing."""
    return listed(await in_database(approvals_open, request.auth), None)


@router.get("/standing-approvals", response=StandingApprovalList, summary="What is allowed for good")
async def standing(request: ApiRequest) -> HttpResponse:
    """What was approved with `remember`: such calls wait no more."""
    return listed(await in_database(standing_of, request.auth), None)


@router.delete("/standing-approvals/{standing_id}", response={204: None}, summary="Ask again")
async def forget(request: ApiRequest, standing_id: str) -> HttpResponse:
    """Calls of this kind wait for a person again."""
    await in_database(standing_forget, actor=request.auth, standing_id=standing_id)
    return HttpResponse(status=204)
