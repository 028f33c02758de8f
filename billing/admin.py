"""Prices to add (never to edit), and every provider request to look up, with sums."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from billing.budget_admin import BudgetAdmin as BudgetAdmin  # registered by its import
from billing.budget_admin import LedgerEntryAdmin as LedgerEntryAdmin
from billing.forms import FEE_LABELS, LABELS, PriceForm
from billing.models import Attempt, PriceVersion
from billing.plan_admin import PlanAdmin as PlanAdmin
from billing.prices import price_version_add
from nexus_core.usage import pico_to_usd
from workspaces.models import User
from workspaces.staff import Scoped, is_operator


class NeverEdited(admin.ModelAdmin):  # type: ignore[type-arg]
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(PriceVersion)
class PriceVersionAdmin(NeverEdited):
    """Prices hold for the whole instance: operators (superusers) add them, other staff may look."""

    form = PriceForm
    list_display = [
        "provider",
        "model",
        "context_over",
        "usd_input",
        "usd_output",
        "usd_cache_read",
        "valid_from",
        "valid_to",
        "origin",
        "source",
    ]
    list_filter = ["origin", "provider", ("valid_to", admin.EmptyFieldListFilter)]
    search_fields = ["provider", "model", "source"]
    date_hierarchy = "valid_from"
    list_per_page = 100

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            names = [field.name for field in PriceVersion._meta.fields if field.name != "content_hash"]
            return [
                (
                    None,
                    {
                        "fields": names,
                        "description": "Prices in pico-USD (10⁻¹² USD) per token, fees for each request or web search.",
                    },
                )
            ]
        return [
            (None, {"fields": [("provider", "model"), ("valid_from", "valid_to"), "source"]}),
            ("US dollars per million tokens", {"fields": list(LABELS)}),
            (
                "US dollars each",
                {
                    "fields": [tuple(FEE_LABELS)],
                    "description": "This price takes the place of the table's, fees included: enter them again.",
                },
            ),
            (
                "A second tier, where long requests cost more",
                {"fields": ["tier_over", *(f"tier_{name}" for name in LABELS)], "classes": ["collapse"]},
            ),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"source": f"entered by {request.user}", **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: PriceVersion, form: PriceForm, change: bool) -> None:
        """A new dated version; the one before it ends there."""
        sheet = price_version_add(
            provider=obj.provider,
            model=obj.model,
            at=obj.valid_from,
            until=obj.valid_to,
            tiers=form.tiers(),
            source=obj.source,
        )
        obj.pk = sheet.tiers[0][0]

    @admin.display(description="$ in / M", ordering="input")
    def usd_input(self, row: PriceVersion) -> str:
        return _usd(row.input)

    @admin.display(description="$ out / M", ordering="output")
    def usd_output(self, row: PriceVersion) -> str:
        return _usd(row.output)

    @admin.display(description="$ cached / M", ordering="cache_read")
    def usd_cache_read(self, row: PriceVersion) -> str:
        return _usd(row.cache_read)


@admin.register(Attempt)
class AttemptAdmin(Scoped, NeverEdited):
    workspace_path = "workspace_id"
    change_list_template = "admin/billing/attempt/change_list.html"
    list_display = [
        "reserved_at",
        "agent_slug",
        "person",
        "provider",
        "model",
        "status",
        "tokens_total",
        "cost",
        "duration_ms",
        "first_token_ms",
        "error_code",
    ]
    list_filter = ["status", "success", "estimated", "provider", "model", "error_code", "agent_slug"]
    search_fields = [
        "=id",
        "=run_id",
        "=conversation_id",
        "=user_id",
        "request_id",
        "model",
        "agent_slug",
        "error_code",
    ]
    search_help_text = "An id (request, run, conversation, person), a model, an agent, or an error code."
    date_hierarchy = "reserved_at"
    ordering = ["-reserved_at"]
    list_per_page = 100
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        context = response.context_data if isinstance(response, TemplateResponse) else None
        if context and (changelist := context.get("cl")) is not None:
            context["sums"] = _sums(changelist.queryset)
            people = User.objects.in_bulk({row.user_id for row in changelist.result_list if row.user_id})
            for row in changelist.result_list:
                row.seen_person = people.get(row.user_id)
        return response

    @admin.display(description="person")
    def person(self, row: Attempt) -> str:
        return str(getattr(row, "seen_person", None) or row.user_id or "")

    @admin.display(description="tokens")
    def tokens_total(self, row: Attempt) -> int:
        return row.tokens_total

    @admin.display(description="cost (USD)", ordering="cost_total")
    def cost(self, row: Attempt) -> str:
        if row.cost_total is not None:
            return pico_to_usd(row.cost_total) or ""
        return "…" if row.status in Attempt.OPEN else "unpriced"


def _sums(rows: QuerySet[Attempt]) -> dict[str, Any]:
    """Of all rows that the filters leave, not of one page."""
    found = rows.order_by().aggregate(
        requests=Count("pk"),
        errors=Count("pk", filter=Q(success=False)),
        unpriced=Count("pk", filter=Q(settled_at__isnull=False, cost_total__isnull=True)),
        cost=Sum("cost_total"),
        input=Sum("tokens_input"),
        output=Sum("tokens_output"),
        reasoning=Sum("tokens_reasoning"),
        cache_read=Sum("tokens_cache_read"),
        cache_write_5m=Sum("tokens_cache_write_5m"),
        cache_write_1h=Sum("tokens_cache_write_1h"),
    )
    counts = {name: int(value or 0) for name, value in found.items()}
    tokens = sum(counts[name] for name in LABELS)
    return {**counts, "tokens": tokens, "cost": pico_to_usd(counts["cost"])}


def _usd(pico_per_token: int) -> str:
    """`2500000` → `2.5`: US dollars per million tokens, exactly."""
    text = format(Decimal(pico_per_token).scaleb(-6), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
