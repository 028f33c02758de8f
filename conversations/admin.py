"""Conversations in the admin: to look things up. History is read only; a title or a visibility may be put right."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from nexus_core.usage import Cost, pico_to_usd
from workspaces.staff import Scoped, ScopedFilter, ScopedValues

from .models import Conversation, Message, MessageFeedback, Run, Step, Task, ToolCall, Upload

admin.site.site_header = "Nexus administration"
admin.site.site_title = "Nexus"
admin.site.index_title = "What there is"


class ReadOnly(Scoped, admin.ModelAdmin):  # type: ignore[type-arg]
    """What happened is not edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def link_to(view: str, label: object, *, query: str = "", args: list[Any] | None = None) -> str:
    """A link inside the admin, or the label where there is no such page."""
    try:
        return format_html('<a href="{}{}">{}</a>', reverse(f"admin:{view}", args=args), query, label)
    except NoReverseMatch:
        return str(label)


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
