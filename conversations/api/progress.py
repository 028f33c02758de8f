"""Progress of a run and of a conversation's agents side by side [G1-G3]."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpResponse
from ninja import Query, Router

from workspaces.request import ApiRequest

from ..database import in_database
from ..progress import conversation_progress, run_progress
from ..progress_schemas import ConversationProgress, RunProgress
from .answers import answer

router = Router(tags=["Progress"])

History = Annotated[bool, Query(description="With the time series: the newest 1,000 points.")]


@router.get("/runs/{run_id}/progress", response=RunProgress, summary="How far a run has come")
async def of_run(request: ApiRequest, run_id: str, history: History = False) -> HttpResponse:
    """What is not known is null. While the run goes, `tools` has the calls that run now. Live, the same comes as
    `metadata` chunks with the status `progress`."""
    return answer(await in_database(run_progress, request.auth, run_id, history=history))


@router.get(
    "/conversations/{conversation_id}/progress",
    response=ConversationProgress,
    summary="How far a conversation's agents have come",
)
async def of_conversation(
    request: ApiRequest, conversation_id: str, history: History = False
) -> HttpResponse:
    """The newest run of each agent side by side (the documents' project), their mean, and what all runs have used."""
    return answer(await in_database(conversation_progress, request.auth, conversation_id, history=history))
