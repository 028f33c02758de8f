"""HTTP of presence and activity: who is here, what happened."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from django.http import HttpResponse
from ninja import Router
from pydantic import Field

from workspaces.database import in_database
from workspaces.request import ApiRequest

from . import schemas
from .activity import MOST_LISTED, activities_page
from .presence import list_presence

router = Router(tags=["Workspace"])


@router.get("/presence", response=schemas.HereList, summary="Who is here")
async def presence(request: ApiRequest) -> HttpResponse:
    """People with an open socket and agents at work, in this workspace, now."""
    return _listed(await in_database(list_presence, request.auth.workspace_id, request.auth))


@router.get("/activities", response=schemas.ActivityList, summary="What happened lately")
async def activities(
    request: ApiRequest, limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 20, cursor: str = ""
) -> HttpResponse:
    """Newest first. Ids, names and numbers; never text of a conversation."""
    items, following = await in_database(activities_page, request.auth, limit=limit, cursor=cursor or None)
    return _listed(items, following)


def _listed(items: list[dict[str, Any]], cursor: str | None = None) -> HttpResponse:
    return HttpResponse(
        orjson.dumps({"items": items, "nextCursor": cursor}), content_type="application/json; charset=utf-8"
    )
