"""Alerts: a percentage of a budget's period was reached. Told once, in the transaction that reached it.

To the screen and the feed at once (metadata only); mail and webhooks are rows that `billing.delivery` takes up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from billing.budget_models import Budget, BudgetAlert, BudgetPeriod
from nexus_core.usage import pico_to_usd
from realtime.activity import activity_record
from realtime.frames import make_frame
from realtime.publish import publish
from realtime.rooms import workspace_room
from workspaces.models import Workspace

MOST_PERCENT = 1000
MOST_ALERTS = 10
NAMED = (Budget.Scope.WORKSPACE, Budget.Scope.AGENT, Budget.Scope.USER)
"""Scopes whose id everyone in the workspace may know. A conversation may be private, a token is its owner's."""


def percentages(value: Any) -> tuple[int, ...]:
    """Of a JSON column, decoded or not, ascending."""
    if isinstance(value, str):
        value = [int(item) for item in value.strip("[] ").split(",") if item.strip()]
    return tuple(sorted({int(item) for item in value or ()}))


def reached_at(limit: int, percent: int) -> int:
    """The sum at which that percentage is reached, rounded up; of a budget of nothing at its first pico-USD."""
    return max(1, -(-limit * percent // 100))


def next_alert_of(limit: int, alerts: Sequence[int], told: frozenset[int] = frozenset()) -> int | None:
    """The sum at which somebody is told next."""
    left = [reached_at(limit, percent) for percent in alerts if percent not in told]
    return min(left) if left else None


def alerts_tell(period_id: int) -> None:
    """Tells what was reached and not yet told; in the transaction that holds the period's row."""
    period = BudgetPeriod.objects.select_related("budget").get(pk=period_id)
    budget = period.budget
    told = frozenset(BudgetAlert.objects.filter(period=period).values_list("percent", flat=True))
    alerts = percentages(budget.alert_at)
    due = [p for p in alerts if p not in told and period.spent >= reached_at(budget.limit, p)]
    BudgetAlert.objects.bulk_create(
        [
            BudgetAlert(
                period=period,
                percent=percent,
                spent=period.spent,
                # Of several at once the highest says it all.
                done=percent != max(due) or not (budget.email or budget.webhook_url),
            )
            for percent in due
        ]
    )
    following = next_alert_of(budget.limit, alerts, told | frozenset(due))
    if following != period.next_alert:
        BudgetPeriod.objects.filter(pk=period.pk).update(next_alert=following)
    if due:
        _tell(period, max(due))


def warning_wire(period: BudgetPeriod, percent: int) -> dict[str, Any]:
    """What a warning says, to whomever: names and numbers."""
    budget = period.budget
    return {
        "budgetId": str(budget.pk),
        "name": budget.title,
        "scope": budget.scope,
        **({"scopeId": budget.scope_id} if budget.scope in NAMED and budget.scope_id else {}),
        "period": budget.period,
        "periodKey": period.key,
        "percent": percent,
        "spent": pico_to_usd(period.spent),
        "reserved": pico_to_usd(period.reserved),
        "limit": pico_to_usd(budget.limit),
        "hard": budget.hard,
    }


def _tell(period: BudgetPeriod, percent: int) -> None:
    wire = warning_wire(period, percent)
    workspace_id = period.budget.workspace_id
    if Workspace.objects.filter(pk=workspace_id).exists():  # money outlives its workspace
        activity_record(workspace_id=workspace_id, activity_type="budget-warning", metadata=wire)
    transaction.on_commit(lambda: publish(workspace_room(workspace_id), make_frame("budget.warning", **wire)))
