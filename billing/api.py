"""HTTP of usage: what was consumed and what it cost. What the usage page asks for is in `dashboard_api`."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpResponse, JsonResponse
from ninja import Query, Router

from billing import schemas
from billing.budgets_api import guard as guard
from billing.budgets_api import router as budgets_router
from billing.dashboard_api import router as dashboard_router
from billing.selectors import Range
from billing.usage import GroupBy, usage_lines
from workspaces.request import ApiRequest

router = Router(tags=["Usage"])


@router.get("/usage", response=schemas.Usage, summary="Tokens, cost, requests, latencies")
def usage(
    request: ApiRequest,
    range: Range = "month",
    group_by: Annotated[GroupBy | None, Query(alias="groupBy")] = None,
) -> HttpResponse:
    """Of the whole workspace, in the caller's own days. The sums over `items` are the totals."""
    return JsonResponse(usage_lines(request.auth, range, group_by))


router.add_router("", dashboard_router)
router.add_router("", budgets_router)
