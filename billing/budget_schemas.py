"""What HTTP takes and gives for budgets."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from realtime.wire import Wire

Scope = Literal["workspace", "user", "agent", "token", "conversation"]
Period = Literal["day", "month", "total"]
OnEnd = Literal["shrink", "refuse"]


def _exact(value: Any) -> Any:
    """Money is a string, or a whole number: what JSON calls 0.1 is not exactly that."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError('money is a decimal string, like "1.00"')
    return str(value)


Usd = Annotated[
    str, BeforeValidator(_exact), Field(max_length=40, description="US dollars, a decimal string.")
]
Exact = Annotated[str, Field(description="Exact decimal US dollars.")]


class BudgetFields(Wire):
    name: str | None = Field(default=None, max_length=100)
    limit: Usd | None = None
    hard: bool | None = Field(default=None, description="false: it counts and warns, and refuses nothing.")
    on_end: OnEnd | None = Field(
        default=None,
        description="`shrink`: answers become shorter before anything is refused; `refuse`: whole answers only.",
    )
    alert_at: list[int] | None = Field(
        default=None, description="Percentages at which people are told, once each in a period."
    )
    ceiling_per_million: Usd | None = Field(
        default=None,
        description="What a million tokens of an unknown price count for; null: a hard budget refuses such calls.",
    )
    email: bool | None = Field(default=None, description="Alerts by mail, to admins and to whom it is about.")
    webhook_url: str | None = Field(default=None, max_length=500)

    def given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set if name in CHANGED}


CHANGED = frozenset(BudgetFields.model_fields)


class BudgetNew(BudgetFields):
    scope: Scope = "workspace"
    scope_id: str = Field(
        default="", max_length=64, description="The id of the person, agent, token or conversation."
    )
    period: Period = "month"
    limit: Usd


class Budget(Wire):
    id: str
    name: str
    scope: Scope
    scope_id: str | None
    scope_name: str | None = Field(description="null where the caller may not know it.")
    period: Period
    period_key: str = Field(description="`2026-11-21`, `2026-11` or `total`: days and months of UTC.")
    period_start: datetime | None
    period_end: datetime | None
    limit: Exact
    spent: Exact
    reserved: Exact = Field(description="Held for requests that are under way.")
    remaining: Exact
    currency: Literal["USD"]
    hard: bool
    on_end: OnEnd
    alert_at: list[int]
    ceiling_per_million: Exact | None
    email: bool
    webhook_url: str | None = Field(description="For admins; null for others.")
    from_plan: bool = Field(description="It comes with the workspace's plan.")
    created_at: datetime


class BudgetChanged(Budget):
    webhook_secret: str | None = Field(
        default=None,
        description="What webhooks are signed with. Only where it was just made, and never again.",
    )


class BudgetList(Wire):
    items: list[Budget]
    next_cursor: str | None
