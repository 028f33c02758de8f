"""Plans are the operator's: what each of them allows."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from billing.budget_admin import MOST_USD
from billing.plan_models import Plan
from billing.plans import plan_budgets_sync
from nexus_core.usage import pico_to_usd, usd_to_pico
from workspaces.models import Workspace
from workspaces.staff import OperatorsOnly


class PlanForm(forms.ModelForm):  # type: ignore[type-arg]
    included_usd = forms.DecimalField(
        label="Included each month (US dollars)",
        required=False,
        min_value=0,
        max_value=MOST_USD,
        max_digits=19,
        decimal_places=12,
        help_text="A hard budget of each workspace of this plan. Empty: none.",
    )

    class Meta:
        model = Plan
        fields = ["slug", "name", "is_premium", "runs_per_minute", "requests_per_minute"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["included_usd"].initial = pico_to_usd(self.instance.included)

    def save(self, commit: bool = True) -> Any:
        usd = self.cleaned_data["included_usd"]
        self.instance.included = None if usd is None else usd_to_pico(usd)
        return super().save(commit)


@admin.register(Plan)
class PlanAdmin(OperatorsOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    form = PlanForm
    list_display = ["name", "slug", "is_premium", "runs_per_minute", "requests_per_minute", "included_shown"]

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> list[str]:
        return [] if obj is None else ["slug"]

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        used = obj is not None and Workspace.objects.filter(plan=obj.slug).exists()
        return super().has_delete_permission(request, obj) and not used

    def save_model(self, request: HttpRequest, obj: Plan, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        plan_budgets_sync()

    @admin.display(description="included a month (USD)", ordering="included")
    def included_shown(self, row: Plan) -> str:
        return pico_to_usd(row.included) or "—"
