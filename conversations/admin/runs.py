"""Runs with their steps, and tool calls."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from nexus_core.usage import Cost, pico_to_usd
from workspaces.staff import ScopedFilter

from ..models import (
    Run,
    Step,
    ToolCall,
)
from .lookups import ReadOnly, link_to


class StepInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Step
    readonly_fields = [
        "index",
        "provider",
        "model",
        "stop_reason",
        "last_seq",
        "epoch",
        "created_at",
    ]
    fields = tuple(readonly_fields)
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Run)
class RunAdmin(ReadOnly):
    list_display = [
        "id",
        "agent_slug",
        "status",
        "conversation_link",
        "requested_by",
        "provider",
        "model",
        "tokens",
        "cost",
        "error_code",
        "created_at",
    ]
    list_filter = ["status", "agent_slug", "provider", "error_code", ("workspace", ScopedFilter)]
    search_fields = [
        "id",
        "conversation__title",
        "agent_slug",
        "model",
        "error_code",
        "requested_by__username",
    ]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    list_select_related = ["conversation", "requested_by"]
    list_per_page = 50
    inlines = [StepInline]
    readonly_fields = ["requests", "its_tool_calls"]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup == "conversation__id__exact" or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    @admin.display(description="conversation")
    def conversation_link(self, row: Run) -> str:
        return link_to("conversations_conversation_change", row.conversation, args=[row.conversation_id])

    @admin.display(description="tokens")
    def tokens(self, row: Run) -> str:
        total = (
            row.tokens_input
            + row.tokens_output
            + row.tokens_cache_read
            + row.tokens_cache_write
            + row.tokens_reasoning
        )
        return f"{total:,}"

    @admin.display(description="cost")
    def cost(self, row: Run) -> str:
        usd = pico_to_usd(Cost(row.cost_input, row.cost_output).total)
        return "unpriced" if usd is None else f"${usd}"

    @admin.display(description="provider requests")
    def requests(self, row: Run) -> str:
        return link_to(
            "billing_attempt_changelist", "Provider requests of this run", query=f"?run_id__exact={row.pk}"
        )

    @admin.display(description="tool calls")
    def its_tool_calls(self, row: Run) -> str:
        return link_to(
            "conversations_toolcall_changelist", "Tool calls of this run", query=f"?run__id__exact={row.pk}"
        )


@admin.register(ToolCall)
class ToolCallAdmin(ReadOnly):
    workspace_path = "conversation__workspace"
    list_display = ["tool_name", "status", "conversation_link", "run", "duration", "created_at"]
    list_filter = ["status", "tool_name", ("conversation__workspace", ScopedFilter)]
    search_fields = ["id", "tool_name", "call_id", "conversation__title", "error"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    list_select_related = ["conversation", "run"]
    list_per_page = 50

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        known = ("conversation__id__exact", "run__id__exact")
        return lookup in known or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    @admin.display(description="conversation")
    def conversation_link(self, row: ToolCall) -> str:
        return link_to("conversations_conversation_change", row.conversation, args=[row.conversation_id])

    @admin.display(description="time", ordering="duration_ms")
    def duration(self, row: ToolCall) -> str:
        return "" if row.duration_ms is None else f"{row.duration_ms:,} ms"
