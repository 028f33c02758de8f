"""HTTP of the usage page: what is in it, one attempt after the other, and all of them as files."""

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

from billing import schemas
from billing.attempts import (
    MOST_LISTED,
    PAGE,
    attempt_in_full,
    attempts_page,
    csv_header,
    csv_page,
    json_page,
)
from billing.dashboard import GROUPS, Chosen, GroupBy, scope_of, usage_latencies, usage_overview
from billing.reading import Scope
from billing.reliability import usage_reliability
from billing.selectors import Range
from workspaces.access import Actor, NotFound
from workspaces.audit import record
from workspaces.database import in_database
from workspaces.limits import limit_hit
from workspaces.request import ApiRequest
from workspaces.wire import Day, Wire

router = Router(tags=["Usage"])
LONGEST = 160


NONE = "`~`: of none."


class Filters(Wire):
    """Whole days of the caller; `from` and `to` count before `range`. Each filter narrows; left out, everything."""

    range: Range = "month"
    from_: Day | None = Field(default=None, alias="from", description="The first day.")
    to: Day | None = Field(default=None, description="The last day, included.")
    agent: str = Field(default="", max_length=64, description=f"An agent's id. {NONE}")
    model: str = Field(default="", max_length=LONGEST)
    provider: str = Field(default="", max_length=64)
    user: str = Field(default="", max_length=36, description=f"A person's id. {NONE}")
    conversation: str = Field(default="", max_length=36, description=f"A conversation's id. {NONE}")
    purpose: str = Field(default="", max_length=8, description="`chat`, `title` or `other`.")

    def chosen(self) -> Chosen:
        return Chosen(
            range=self.range,
            since=self.from_,
            until=self.to,
            filters={name: value for name in GROUPS if (value := getattr(self, name))},
        )


class Exported(Filters):
    range: Range = "all"


def _answer(body: Any) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), content_type="application/json; charset=utf-8")


@router.get("/usage/overview", response=schemas.Overview, summary="Usage, its groups and its course")
async def overview(
    request: ApiRequest,
    filters: Annotated[Filters, Query()],
    group_by: Annotated[GroupBy, Query(alias="groupBy")] = "agent",
) -> HttpResponse:
    """Of the workspace. Groups and their rest, the buckets, and each column over time add up to the totals."""
    return _answer(await in_database(usage_overview, request.auth, filters.chosen(), group_by))


@router.get("/usage/latencies", response=schemas.Latencies, summary="How long requests took")
async def latencies(
    request: ApiRequest,
    filters: Annotated[Filters, Query()],
    group_by: Annotated[GroupBy, Query(alias="groupBy")] = "model",
) -> HttpResponse:
    """Percentiles by nearest rank over every request, in milliseconds."""
    return _answer(await in_database(usage_latencies, request.auth, filters.chosen(), group_by))


@router.get(
    "/usage/reliability", response=schemas.Reliability, summary="Timings of tools, recoveries of runs"
)
async def reliability(request: ApiRequest, filters: Annotated[Filters, Query()]) -> HttpResponse:
    """Of the runs that the filters fit."""
    return _answer(await in_database(usage_reliability, request.auth, filters.chosen()))


@router.get("/usage/attempts", response=schemas.AttemptList, summary="Requests to providers")
async def attempts(
    request: ApiRequest,
    filters: Annotated[Filters, Query()],
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = PAGE,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> HttpResponse:
    """Newest first: what the sums are made of."""

    def page() -> dict[str, Any]:
        return attempts_page(
            request.auth, scope_of(request.auth, filters.chosen()), limit=limit, cursor=cursor
        )

    return _answer(await in_database(page))


@router.get("/usage/attempts/{attempt_id}", response=schemas.AttemptInFull, summary="One request in full")
async def attempt(request: ApiRequest, attempt_id: str) -> HttpResponse:
    """With the version of its price and what each bucket cost, exactly."""
    return _answer(await in_database(_attempt, request.auth, attempt_id))


@router.get(
    "/usage/export.csv",
    response={200: None},
    openapi_extra={"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}},
    summary="Usage as CSV",
)
async def usage_csv(request: ApiRequest, filters: Annotated[Exported, Query()]) -> HttpResponseBase:
    """A row per request to a provider, newest first; `cost` is exact and empty where unpriced. Recorded in the audit."""
    scope = await in_database(_exported, request.auth, filters, "csv")

    async def lines() -> AsyncIterator[str]:
        yield csv_header()
        after = None
        while True:
            text, after = await in_database(csv_page, scope, after)
            if text:
                yield text
            if after is None:
                return

    return _file(lines(), "text/csv; charset=utf-8", scope, "csv")


@router.get(
    "/usage/export.json",
    response={200: list[dict[str, Any]]},
    summary="Usage as JSON",
)
async def usage_json(request: ApiRequest, filters: Annotated[Exported, Query()]) -> HttpResponseBase:
    """The same rows by the same names, in one array; money as decimal strings, null where unpriced."""
    scope = await in_database(_exported, request.auth, filters, "json")

    async def objects() -> AsyncIterator[bytes]:
        mark, after = b"[\n", None
        while True:
            rows, after = await in_database(json_page, scope, after)
            if rows:
                yield mark + b",\n".join(rows)
                mark = b",\n"
            if after is None:
                yield b"[]\n" if mark == b"[\n" else b"\n]\n"
                return

    return _file(objects(), "application/json; charset=utf-8", scope, "json")


def _file(body: Any, content_type: str, scope: Scope, kind: Literal["csv", "json"]) -> HttpResponseBase:
    response = StreamingHttpResponse(body, content_type=content_type)
    days = f"{scope.span.first}-{scope.span.last}"
    response["Content-Disposition"] = f'attachment; filename="nexus-usage-{days}.{kind}"'
    response["Cache-Control"] = "no-store"
    return response


def _attempt(actor: Actor, attempt_id: str) -> dict[str, Any]:
    return attempt_in_full(actor, _id(attempt_id))


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound() from None


@transaction.atomic
def _exported(actor: Actor, filters: Filters, kind: str) -> Scope:
    """The scope of an export that is recorded. Raises `Invalid`, `TooManyRequests`."""
    scope = scope_of(actor, filters.chosen())
    limit_hit("exports", actor)
    used = filters.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    record(
        "exported",
        actor=actor,
        target_type="usage",
        metadata={"format": kind, "from": str(scope.span.first), "to": str(scope.span.last)} | used,
    )
    return scope
