"""HTTP of usage: what was consumed and what it cost, and the same as CSV."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from ninja import Query, Router

from billing import schemas
from billing.export import csv_header, csv_page
from billing.selectors import GroupBy, Range, usage_grouped, usage_totals
from workspaces.access import Actor
from workspaces.audit import record

router = Router(tags=["Usage"])


class ApiRequest(HttpRequest):
    auth: Actor


@router.get("/usage", response=schemas.Usage, summary="Tokens, cost, requests, latencies")
def usage(
    request: ApiRequest,
    range: Range = "month",
    group_by: Annotated[GroupBy | None, Query(alias="groupBy")] = None,
) -> HttpResponse:
    """Of the whole workspace, in the caller's own days. The sums over `items` are the totals."""
    items = usage_grouped(request.auth, range, group_by) if group_by is not None else []
    return JsonResponse(
        {"range": range, "groupBy": group_by, "totals": usage_totals(request.auth, range), "items": items}
    )


@router.get(
    "/usage/export.csv",
    response={200: None},
    openapi_extra={"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}},
    summary="Usage as CSV",
)
async def usage_csv(request: ApiRequest, range: Range = "all") -> HttpResponseBase:
    """A row per request to a provider, newest first; `cost` is exact and empty where unpriced."""
    actor = request.auth
    await sync_to_async(record)(
        "exported", actor=actor, target_type="usage", metadata={"format": "csv", "range": range}
    )

    async def lines() -> AsyncIterator[str]:
        yield csv_header()
        after = None
        while True:
            text, after = await sync_to_async(csv_page)(actor, range, after)
            if text:
                yield text
            if after is None:
                return

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="nexus-usage-{range}.csv"'
    response["Cache-Control"] = "no-store"
    return response
