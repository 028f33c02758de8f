"""Budgets to look at and to change, and the ledger to read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from billing.alerts import MOST_ALERTS, MOST_PERCENT, percentages
from billing.budget_models import MOST_PICO, Budget, BudgetPeriod, LedgerEntry
from billing.budgets import alerts_look_again
from billing.reserving import period_key
from nexus_core.usage import pico_to_usd, usd_to_pico
from workspaces.staff import Scoped

MOST_USD = Decimal(MOST_PICO).scaleb(-12)


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]
    """The limit in dollars, exactly."""

    limit_usd = forms.DecimalField(
        label="Limit (US dollars)", min_value=0, max_value=MOST_USD, max_digits=19, decimal_places=12
    )

    class Meta:
        model = Budget
        fields = ["name", "hard", "on_end", "alert_at", "email"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["limit_usd"].initial = pico_to_usd(self.instance.limit)

    def clean_alert_at(self) -> list[int]:
        value = self.cleaned_data["alert_at"] or []
        numbers = isinstance(value, list) and all(type(one) is int for one in value)
        if not numbers or len(value) > MOST_ALERTS or any(not 1 <= one <= MOST_PERCENT for one in value):
            raise forms.ValidationError(
                f"A list of {MOST_ALERTS} percentages at most, each from 1 to {MOST_PERCENT}."
            )
        return list(percentages(value))

    def save(self, commit: bool = True) -> Any:
        self.instance.limit = usd_to_pico(self.cleaned_data["limit_usd"])
        return super().save(commit)


@admin.register(Budget)
class BudgetAdmin(Scoped, admin.ModelAdmin):  # type: ignore[type-arg]
    """They are made on the usage page or over HTTP, where their things are known by name."""

    form = BudgetForm
    workspace_path = "workspace_id"
    list_display = ["title", "scope", "scope_id", "period", "limit_shown", "spent", "reserved", "hard"]
    list_filter = ["scope", "period", "hard"]
    search_fields = ["name", "=scope_id", "=id"]
    readonly_fields = ["workspace_id", "scope", "scope_id", "period", "from_plan", "created_at"]
    fields = [
        "name", ("scope", "scope_id"), "period", "limit_usd", ("hard", "on_end"), "alert_at", "email",
        "workspace_id", "from_plan", "created_at",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(deleted_at=None)

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: bool) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            alerts_look_again(obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="limit (USD)", ordering="limit")
    def limit_shown(self, row: Budget) -> str:
        return pico_to_usd(row.limit) or ""

    @admin.display(description="spent (USD)")
    def spent(self, row: Budget) -> str:
        period = self._period(row)
        return pico_to_usd(period.spent if period else 0) or ""

    @admin.display(description="reserved (USD)")
    def reserved(self, row: Budget) -> str:
        period = self._period(row)
        return pico_to_usd(period.reserved if period else 0) or ""

    def _period(self, row: Budget) -> BudgetPeriod | None:
        """Looked up once for each row of a page."""
        if not hasattr(row, "seen_period"):
            key = period_key(row.period, timezone.now())
            row.seen_period = row.periods.filter(key=key).first()  # type: ignore[attr-defined]
        found: BudgetPeriod | None = row.seen_period  # type: ignore[attr-defined]
        return found


@admin.register(LedgerEntry)
class LedgerEntryAdmin(Scoped, admin.ModelAdmin):  # type: ignore[type-arg]
    """To read. What is wrong is corrected by a new line (`billing.ledger.ledger_correct`)."""

    workspace_path = "workspace_id"
    list_display = ["created_at", "kind", "usd", "agent_slug", "provider", "model", "estimated", "note"]
    list_filter = ["kind", "estimated", "at_ceiling", "provider"]
    search_fields = [
        "=attempt_id",
        "=tool_id",
        "=run_id",
        "=conversation_id",
        "=user_id",
        "model",
        "agent_slug",
    ]
    list_per_page = 100
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="USD", ordering="amount")
    def usd(self, row: LedgerEntry) -> str:
        return "unpriced" if row.amount is None else pico_to_usd(row.amount) or ""
