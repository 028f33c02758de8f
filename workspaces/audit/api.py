"""HTTP of the audit: events page by page, and the same as CSV. Admins and owners only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from ninja import Query, Router
from pydantic import Field

from workspaces.access import Actor, Invalid
from workspaces.database import in_database
from workspaces.limits import limit_hit
from workspaces.request import ApiRequest
from workspaces.wire import Day, Wire

from .actions import ACTIONS, GROUPS
from .export import csv_header, csv_page
from .reads import Chosen, page_of, require_audit
from .recording import record

router = Router(tags=["Audit"])


class Event(Wire):
    id: str
    type: str = Field(
        description="What was done: one of a closed list, such as login or ai_response_completed."
    )
    group: str
    created_at: str
    group_id: str | None = Field(description="The workspace.")
    actor_kind: Literal["user", "token", "agent", "system"]
    actor_id: str | None = Field(description="The person, also behind a token or an agent.")
    actor_name: str | None
    agent_id: str | None
    token_id: str | None
    token_name: str | None
    target_type: str | None
    target_id: str | None
    target_name: str | None
    outcome: Literal["ok", "denied", "failed"]
    metadata: dict[str, Any]
    request_id: str | None
    ip: str | None


class EventList(Wire):
    items: list[Event]
    next_cursor: str | None


class Filters(Wire):
    """Each narrows; left out, everything."""

    person: UUID | None = Field(default=None, description="A person's id, also behind tokens and agents.")
    group: str = Field(default="", max_length=32, description=f"One of {', '.join(GROUPS)}.")
    type: str = Field(default="", max_length=32)
    agent: str = Field(default="", max_length=64)
    since: Day | None = Field(default=None, description="A day of the caller's time zone.")
    until: Day | None = Field(default=None, description="That day included.")
    q: str = Field(
        default="", max_length=200, description="Part of a target, address, request id or metadata."
    )

    def chosen(self) -> Chosen:
        if self.group and self.group not in GROUPS:
            raise Invalid(f"group is one of {', '.join(GROUPS)}, not {self.group!r}.")
        if self.type and self.type not in ACTIONS:
            raise Invalid(f"type is one of {', '.join(ACTIONS)}, not {self.type!r}.")
        return Chosen(
            person=self.person,
            group=self.group,
            action=self.type,
            agent=self.agent,
            since=self.since,
            until=self.until,
            text=self.q.strip(),
        )


@router.get("/audit", response=EventList, summary="Who did what")
async def audit(
    request: ApiRequest,
    filters: Annotated[Filters, Query()],
    limit: Annotated[int, Field(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> HttpResponse:
    """Of the workspace, newest first. For admins and owners."""
    require_audit(request.auth)
    items, following = await in_database(page_of, request.auth, filters.chosen(), limit=limit, cursor=cursor)
    body = orjson.dumps({"items": items, "nextCursor": following})
    return HttpResponse(body, content_type="application/json; charset=utf-8")


@router.get(
    "/audit/export.csv",
    response={200: None},
    openapi_extra={"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}},
    summary="Who did what, as CSV",
)
async def audit_csv(request: ApiRequest, filters: Annotated[Filters, Query()]) -> HttpResponseBase:
    """A row per event, newest first, with the same filters. The export is itself an event."""
    actor, chosen = request.auth, filters.chosen()
    await in_database(_exported, actor, filters)

    async def lines() -> AsyncIterator[str]:
        yield csv_header()
        after = None
        while True:
            text, after = await in_database(csv_page, actor, chosen, after)
            if text:
                yield text
            if after is None:
                return

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="nexus-audit.csv"'
    response["Cache-Control"] = "no-store"
    return response


@transaction.atomic
def _exported(actor: Actor, filters: Filters) -> None:
    require_audit(actor)
    limit_hit("exports", actor)
    used = filters.model_dump(mode="json", exclude_defaults=True)
    record("exported", actor=actor, target_type="audit", metadata={"format": "csv", **used})
