"""What was put to people, what they said, and what they allowed for good."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from workspaces.staff import ScopedFilter, ScopedValues

from ..models import (
    Approval,
    ApprovalVote,
    StandingApproval,
)
from .lookups import ReadOnly, link_to


class VoteInline(admin.TabularInline):  # type: ignore[type-arg]
    model = ApprovalVote
    readonly_fields = ["user", "decision", "note", "remember", "created_at"]
    fields = tuple(readonly_fields)
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Approval)
class ApprovalAdmin(ReadOnly):
    """What was put to people, who decided, when and with what note."""

    list_display = [
        "tool_name",
        "agent_slug",
        "kind",
        "status",
        "role",
        "quorum",
        "decided_by",
        "conversation_link",
        "created_at",
        "decided_at",
    ]
    list_filter = ["status", "kind", "role", ("tool_name", ScopedValues), ("workspace", ScopedFilter)]
    search_fields = ["call__id", "tool_name", "agent_slug", "note", "answer", "decided_by__username"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    list_select_related = ["conversation", "decided_by"]
    list_per_page = 50
    inlines = [VoteInline]

    @admin.display(description="conversation")
    def conversation_link(self, row: Approval) -> str:
        return link_to("conversations_conversation_change", row.conversation, args=[row.conversation_id])


@admin.register(ApprovalVote)
class ApprovalVoteAdmin(ReadOnly):
    """What each person said, also where it did not decide yet."""

    workspace_path = "approval__workspace"
    list_display = ["user", "decision", "tool", "note", "remember", "created_at"]
    list_filter = ["decision", "remember", ("approval__workspace", ScopedFilter)]
    search_fields = ["user__username", "user__name", "note", "approval__tool_name"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    list_select_related = ["user", "approval"]
    list_per_page = 50

    @admin.display(description="call", ordering="approval__tool_name")
    def tool(self, row: ApprovalVote) -> str:
        return link_to("conversations_approval_change", row.approval.tool_name, args=[row.approval_id])


@admin.register(StandingApproval)
class StandingApprovalAdmin(ReadOnly):
    """What is allowed for good. To take one back: Settings, or `DELETE /api/standing-approvals/{id}`, which the audit notes."""

    list_display = ["tool_name", "agent_slug", "held_where", "created_by", "workspace", "created_at"]
    list_filter = [
        ("tool_name", ScopedValues),
        ("conversation", admin.EmptyFieldListFilter),
        ("workspace", ScopedFilter),
    ]
    search_fields = ["tool_name", "agent_slug", "created_by__username"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    list_select_related = ["conversation", "created_by", "workspace"]
    list_per_page = 50

    @admin.display(description="where")
    def held_where(self, row: StandingApproval) -> str:
        if row.conversation is None:
            return "the whole workspace"
        return link_to("conversations_conversation_change", row.conversation, args=[row.conversation_id])
