"""HTTP of usage: what was consumed and what it cost. What the usage page asks for is in `dashboard_api`."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router

from billing import schemas
from billing.dashboard_api import router as dashboard_router
from billing.selectors import GroupBy, Range, usage_grouped, usage_totals
from workspaces.access import Actor

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


router.add_router("", dashboard_router)
