"""HTTP of budgets: parse, call one service, answer."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router

from billing import budget_schemas as schemas
from billing.budget_models import Budget
from billing.budgets import (
    access_budget,
    budget_change,
    budget_create,
    budget_end,
    budgets_seen,
    budgets_wire,
)
from workspaces.access import Actor, require_admin
from workspaces.request import ApiRequest

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

router = Router(tags=["Budgets"])


def guard(request: HttpRequest, actor: Actor) -> None:
    """Before the body is looked at: an absent or foreign budget is 404, then others' writes are 403."""
    match = request.resolver_match
    found, route = (match.kwargs, match.route) if match else ({}, "")
    if "budget_id" in found:
        access_budget(actor, found["budget_id"])
    if "budgets" in route and request.method not in SAFE_METHODS:
        require_admin(actor)


@router.get("/budgets", response=schemas.BudgetList, summary="Budgets")
def budgets_list(request: ApiRequest) -> HttpResponse:
    """With what is spent and reserved in the period under way. Admins see all; others those of the workspace and
    its agents, and those of themselves, their tokens and the conversations they may read."""
    items = budgets_wire(request.auth, budgets_seen(request.auth))
    return JsonResponse({"items": items, "nextCursor": None})


@router.post("/budgets", response={201: schemas.BudgetChanged}, summary="Create a budget")
def budgets_create(request: ApiRequest, body: schemas.BudgetNew) -> HttpResponse:
    """Admins and owners. A hard one holds from the next request on."""
    made = budget_create(
        actor=request.auth, scope=body.scope, scope_id=body.scope_id, period=body.period, fields=body.given()
    )
    return _answer(request.auth, made, "", 201)


@router.get("/budgets/{budget_id}", response=schemas.Budget, summary="A budget")
def budgets_detail(request: ApiRequest, budget_id: str) -> HttpResponse:
    return JsonResponse(budgets_wire(request.auth, [access_budget(request.auth, budget_id)])[0])


@router.patch("/budgets/{budget_id}", response=schemas.BudgetChanged, summary="Change a budget")
def budgets_change(request: ApiRequest, budget_id: str, body: schemas.BudgetFields) -> HttpResponse:
    """Admins and owners. What is left out stays as it is; what was spent stays spent."""
    before = access_budget(request.auth, budget_id).webhook_secret
    return _answer(
        request.auth, budget_change(actor=request.auth, budget_id=budget_id, changes=body.given()), before
    )


@router.delete("/budgets/{budget_id}", response={204: None}, summary="End a budget")
def budgets_remove(request: ApiRequest, budget_id: str) -> HttpResponse:
    """Admins and owners. The ledger stays as it is."""
    budget_end(actor=request.auth, budget_id=budget_id)
    return HttpResponse(status=204)


def _answer(actor: Actor, budget: Budget, known: str, status: int = 200) -> HttpResponse:
    told = budgets_wire(actor, [Budget.objects.get(pk=budget.pk)])[0]
    secret = budget.webhook_secret if budget.webhook_secret != known else ""
    return JsonResponse({**told, **({"webhookSecret": secret} if secret else {})}, status=status)
