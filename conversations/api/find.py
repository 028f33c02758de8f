"""Finding things: messages by their words, and the slash commands."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpResponse
from ninja import Query, Router
from pydantic import Field

from workspaces.request import ApiRequest

from ..commands import command_list
from ..database import in_database
from ..schemas import CommandList, SearchHits
from ..search import fragments_of, plain, search_messages
from .answers import listed, number_of

router = Router()


@router.get("/search", response=SearchHits, tags=["Conversations"], summary="Search messages")
async def search(
    request: ApiRequest,
    q: Annotated[
        str, Query(max_length=500, description='All words must be there; "in quotes" as they stand.')
    ] = "",
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
    cursor: str = "",
) -> HttpResponse:
    """Messages the caller may read, newest first. The last word may be the beginning of one."""
    offset = number_of(cursor)
    hits = await in_database(search_messages, request.auth, q, limit + 1, offset)
    return listed([shown(hit) for hit in hits[:limit]], str(offset + limit) if len(hits) > limit else None)


def shown(hit: dict[str, Any]) -> dict[str, Any]:
    """The hit without the marks inside its snippet: they become fragments."""
    marked = hit["snippet"]
    return hit | {
        "snippet": plain(marked),
        "fragments": [{"text": text, "match": match} for text, match in fragments_of(marked)],
    }


@router.get("/commands", response=CommandList, tags=["Agents"], summary="Slash commands")
async def commands(request: ApiRequest) -> HttpResponse:
    """What a message may begin with instead of a question to the model."""
    return listed(command_list(), None)
