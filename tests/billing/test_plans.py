"""Plans: premium agents and tools, rate limits, and what is included."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from billing import plans
from billing.budget_models import Budget
from billing.meter import DbMeter
from billing.models import Plan
from billing.plans import forget_plans, plan_budgets_sync, plan_terms, plans_seed, run_counted
from nexus_core.agent import ModelAgent
from nexus_core.context import ExecutionContext
from nexus_core.errors import BudgetExceeded
from nexus_core.tools import tool
from workspaces.access import Actor, Forbidden, TooManyRequests
from workspaces.limits import limits_reset
from workspaces.models import Workspace

from .booking import reserve
from .conftest import request_to
from .money import IN, price_of

BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.mark.django_db
def test_it_ships_free_and_pro_and_keeps_what_somebody_changed() -> None:
    assert plans_seed() == 2
    Plan.objects.filter(slug="free").update(is_premium=True)
    assert plans_seed() == 0
    forget_plans()
    assert (plan_terms("free").is_premium, plan_terms("pro").is_premium) == (True, True)
    assert (plan_terms("").is_premium, plan_terms("ancient").is_premium) == (False, True)


@pytest.mark.django_db
def test_it_asks_the_database_once_in_a_while(
    django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "REMEMBERED_SECONDS", 1000)
    with django_assert_num_queries(1):
        for _ in range(5):
            plan_terms("free")


@tool(requires_premium=True)
async def costly() -> dict[str, str]:
    """Only for those who pay."""
    return {}


@pytest.mark.parametrize(
    ("plan", "premium", "may"),
    [("free", None, False), ("pro", None, True), ("pro", False, False), ("free", True, True)],
)
def test_the_plan_decides_on_premium_agents_and_tools(plan: str, premium: bool | None, may: bool) -> None:
    agent = ModelAgent(mock_mode=True, id="a", is_premium=True, tools=[costly])
    context = ExecutionContext(plan=plan, premium=premium)
    assert agent.can_execute(context) is may
    assert [one.name for one in agent.spec(context).tools] == (["costly"] if may else [])


@pytest.mark.usefixtures("within_a_minute")
@pytest.mark.django_db
def test_a_plan_limits_the_runs_of_a_person(alice: Actor, bob: Actor) -> None:
    limits_reset()
    Plan.objects.create(slug="free", name="Free", runs_per_minute=2)
    for _ in range(2):
        run_counted(alice)
    with pytest.raises(TooManyRequests):
        run_counted(alice)
    run_counted(bob)
    limits_reset()


@pytest.mark.usefixtures("within_a_minute")
@pytest.mark.django_db(transaction=True)
def test_a_plan_limits_the_requests_of_a_person(alice: Actor) -> None:
    limits_reset()
    Plan.objects.create(slug="free", name="Free", requests_per_minute=3)
    client = Client()
    client.force_login(alice.user, backend=BACKEND)
    assert [client.get("/api/budgets").status_code for _ in range(4)] == [200, 200, 200, 429]
    limits_reset()


@pytest.mark.django_db
def test_what_is_included_is_a_hard_budget_that_only_the_plan_changes(alice: Actor, charlie: Actor) -> None:
    from billing.budgets import budget_change, budget_end

    price_of()
    plan = Plan.objects.create(slug="free", name="Free", included=1500 * IN)
    Plan.objects.create(slug="pro", name="Pro", is_premium=True)
    assert (plan_budgets_sync(), plan_budgets_sync()) == (2, 0)
    budget = Budget.objects.get(workspace_id=alice.workspace_id)
    assert (budget.limit, budget.period, budget.hard, budget.from_plan) == (1500 * IN, "month", True, True)
    with pytest.raises(BudgetExceeded, match="Included in the plan"):
        reserve(DbMeter(workspace_id=alice.workspace_id), request_to("m1", "x" * 1000, max_tokens=1000))
    for change in (
        lambda: budget_change(actor=alice, budget_id=budget.pk, changes={"limit": "9"}),
        lambda: budget_end(actor=alice, budget_id=budget.pk),
    ):
        with pytest.raises(Forbidden):
            change()
    Plan.objects.filter(pk=plan.pk).update(included=10**12)
    Workspace.objects.filter(pk=charlie.workspace_id).update(plan="pro")
    assert plan_budgets_sync() == 2
    assert Budget.objects.get(deleted_at=None).limit == 10**12
    Plan.objects.update(included=None)
    assert plan_budgets_sync() == 1
    assert not Budget.objects.filter(deleted_at=None).exists()


@pytest.mark.django_db
def test_operators_change_plans_in_the_admin_and_others_do_not(alice: Actor) -> None:
    plan = Plan.objects.create(slug="free", name="Free")
    alice.user.is_staff = True
    alice.user.save()
    client = Client()
    client.force_login(alice.user, backend=BACKEND)
    address = f"/admin/billing/plan/{plan.pk}/change/"
    assert client.get(address).status_code in (302, 403)
    alice.user.is_superuser = True
    alice.user.save()
    assert client.get(address).status_code == 200
    form = {"name": "Free", "included_usd": "2.5", "runs_per_minute": "9", "requests_per_minute": ""}
    assert client.post(address, form).status_code == 302
    plan.refresh_from_db()
    assert (plan.included, plan.runs_per_minute, plan.requests_per_minute) == (25 * 10**11, 9, None)
    assert Budget.objects.filter(workspace_id=alice.workspace_id, from_plan=True).exists()
