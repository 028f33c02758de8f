"""What a workspace's plan allows, remembered for a moment, and the budget that comes with it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.signals import post_delete, post_save
from django.utils import timezone

from billing.budget_models import Budget
from billing.budgets import alerts_look_again
from billing.plan_models import Plan
from workspaces.access import Actor
from workspaces.limits import limit_hit
from workspaces.models import Workspace

REMEMBERED_SECONDS = 10
"""So long a change made by another process may take to be seen here."""
SHIPPED = (("free", "Free", False), ("pro", "Pro", True))


@dataclass(frozen=True, slots=True)
class Terms:
    """Of one plan; None: the server's own limit. A plan that has no row is premium unless it is `free`."""

    is_premium: bool
    runs_per_minute: int | None = None
    requests_per_minute: int | None = None


_remembered: tuple[int, dict[str, Terms]] | None = None


def plan_terms(slug: str) -> Terms:
    """At most one query in `REMEMBERED_SECONDS`."""
    global _remembered
    now = int(time.monotonic())
    if _remembered is None or now - _remembered[0] > REMEMBERED_SECONDS:
        _remembered = (
            now,
            {
                plan.slug: Terms(plan.is_premium, plan.runs_per_minute, plan.requests_per_minute)
                for plan in Plan.objects.all()
            },
        )
    return _remembered[1].get(slug) or Terms(slug not in ("", "free"))


def run_counted(actor: Actor) -> None:
    """One more run, of their token, theirs and their workspace's. Raises `TooManyRequests`."""
    limit_hit("runs", actor, per_minute=plan_terms(actor.workspace.plan).runs_per_minute)


def forget_plans(**_: Any) -> None:
    global _remembered
    _remembered = None


post_save.connect(forget_plans, sender=Plan, dispatch_uid="billing.forget_plans")
post_delete.connect(forget_plans, sender=Plan, dispatch_uid="billing.forget_plans")


def plans_seed() -> int:
    """The shipped plans that were never there; how many."""
    made = 0
    for slug, name, premium in SHIPPED:
        made += Plan.objects.get_or_create(slug=slug, defaults={"name": name, "is_premium": premium})[1]
    return made


def plan_budgets_sync() -> int:
    """Makes, changes and ends the budgets that come with plans, so that each workspace has what its plan includes;
    how many were not as they should be. It can run anywhere, any number of times."""
    included = dict(Plan.objects.filter(included__isnull=False).values_list("slug", "included"))
    wanted = {
        pk: included[plan]
        for pk, plan in Workspace.objects.filter(plan__in=included, deleted_at=None).values_list("pk", "plan")
    }
    there = {b.workspace_id: b for b in Budget.objects.filter(from_plan=True, deleted_at=None)}
    changed = 0
    for workspace_id in wanted.keys() | there.keys():
        budget, limit = there.get(workspace_id), wanted.get(workspace_id)
        if budget is not None and budget.limit == limit:
            continue
        changed += 1
        if limit is None:
            Budget.objects.filter(workspace_id=workspace_id, from_plan=True, deleted_at=None).update(
                deleted_at=timezone.now()
            )
        elif budget is None:
            try:
                with transaction.atomic():
                    Budget.objects.create(
                        workspace_id=workspace_id, name="Included in the plan", limit=limit, from_plan=True
                    )
            except IntegrityError:  # another process was quicker
                changed -= 1
        else:
            with transaction.atomic():
                Budget.objects.filter(pk=budget.pk).update(limit=limit)
                budget.limit = limit
                alerts_look_again(budget)
    return changed
