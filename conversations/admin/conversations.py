"""Conversations, their messages, what people think of answers; tasks and uploads."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from workspaces.staff import Scoped, ScopedFilter, ScopedValues

from ..models import (
    Conversation,
    Message,
    MessageFeedback,
    Task,
    Upload,
)
from .lookups import ReadOnly, link_to


@admin.register(Conversation)
class ConversationAdmin(Scoped, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = [
        "shown_title",
        "workspace",
        "created_by",
        "agent_slug",
        "status",
        "visibility",
        "message_count",
        "last_active_at",
    ]
    list_filter = [
        "status",
        "visibility",
        ("workspace", ScopedFilter),
        ("deleted_at", admin.EmptyFieldListFilter),
    ]
    search_fields = ["title", "id", "created_by__username", "agent_slug"]
    date_hierarchy = "created_at"
    ordering = ["-last_active_at"]
    list_select_related = ["workspace", "created_by"]
    list_per_page = 50
    fields = [
        "title", "status", "visibility", "agent_slug", "model", "workspace", "created_by", "message_count",
        "created_at", "updated_at", "last_active_at", "deleted_at", "its_messages", "its_runs", "its_tool_calls",
    ]  # fmt: skip
    readonly_fields = [
        "workspace", "created_by", "message_count", "created_at", "updated_at", "last_active_at", "deleted_at",
        "its_messages", "its_runs", "its_tool_calls",
    ]  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description="title", ordering="title")
    def shown_title(self, row: Conversation) -> str:
        return str(row)

    @admin.display(description="messages")
    def its_messages(self, row: Conversation) -> str:
        return link_to(
            "conversations_message_changelist", "Messages", query=f"?conversation__id__exact={row.pk}"
        )

    @admin.display(description="runs")
    def its_runs(self, row: Conversation) -> str:
        return link_to("conversations_run_changelist", "Runs", query=f"?conversation__id__exact={row.pk}")

    @admin.display(description="tool calls")
    def its_tool_calls(self, row: Conversation) -> str:
        return link_to(
            "conversations_toolcall_changelist", "Tool calls", query=f"?conversation__id__exact={row.pk}"
        )


@admin.register(Message)
class MessageAdmin(ReadOnly):
    workspace_path = "conversation__workspace"
    list_display = ["beginning", "role", "who", "conversation_link", "number", "superseded", "created_at"]
    list_filter = ["role", "superseded", ("conversation__workspace", ScopedFilter)]
    search_fields = ["content", "id", "conversation__title"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    list_select_related = ["conversation", "author"]
    list_per_page = 50

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup == "conversation__id__exact" or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    @admin.display(description="text")
    def beginning(self, row: Message) -> str:
        text = " ".join(row.content.split())
        return (text[:100] + "…") if len(text) > 100 else text or "(no text)"

    @admin.display(description="who")
    def who(self, row: Message) -> str:
        return str(row.author) if row.author else row.agent_slug

    @admin.display(description="conversation")
    def conversation_link(self, row: Message) -> str:
        return link_to("conversations_conversation_change", row.conversation, args=[row.conversation_id])


@admin.register(MessageFeedback)
class MessageFeedbackAdmin(ReadOnly):
    """What people think of answers: where an agent does well, and where it does not and why."""

    workspace_path = "message__conversation__workspace"

    list_display = [
        "rating",
        "agent",
        "shown_comment",
        "answer_link",
        "conversation_link",
        "user",
        "updated_at",
    ]
    list_display_links = None
    list_filter = [
        "rating",
        ("message__agent_slug", ScopedValues),
        ("comment", admin.EmptyFieldListFilter),
        ("message__conversation__workspace", ScopedFilter),
    ]
    search_fields = [
        "comment",
        "message__content",
        "message__conversation__title",
        "message__agent_slug",
        "user__username",
        "user__name",
    ]
    date_hierarchy = "updated_at"
    ordering = ["-updated_at"]
    list_select_related = ["message__conversation", "user"]
    list_per_page = 50

    @admin.display(description="agent", ordering="message__agent_slug")
    def agent(self, row: MessageFeedback) -> str:
        return row.message.agent_slug

    @admin.display(description="comment", ordering="comment")
    def shown_comment(self, row: MessageFeedback) -> str:
        text = " ".join(row.comment.split())
        return (text[:160] + "…") if len(text) > 160 else text or "–"

    @admin.display(description="answer")
    def answer_link(self, row: MessageFeedback) -> str:
        text = " ".join(row.message.content.split())
        label = (text[:80] + "…") if len(text) > 80 else text or "(no text)"
        return link_to("conversations_message_change", label, args=[row.message_id])

    @admin.display(description="conversation")
    def conversation_link(self, row: MessageFeedback) -> str:
        conversation = row.message.conversation
        return link_to("conversations_conversation_change", conversation, args=[conversation.pk])


@admin.register(Task)
class TaskAdmin(Scoped, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["title", "done", "due_on", "workspace", "created_by", "created_at"]
    list_filter = ["done", "due_on", ("workspace", ScopedFilter)]
    list_editable = ["done"]
    search_fields = ["title", "detail", "created_by__username"]
    ordering = ["done", "-created_at"]
    list_select_related = ["workspace", "created_by"]
    autocomplete_fields = ["conversation", "created_by"]
    readonly_fields = ["created_at"]


@admin.register(Upload)
class UploadAdmin(ReadOnly):
    list_display = ["name", "media_type", "size", "workspace", "user", "created_at"]
    list_filter = ["media_type", ("workspace", ScopedFilter)]
    search_fields = ["name", "sha256", "id", "user__username"]
    ordering = ["-created_at"]
    list_select_related = ["workspace", "user"]
