"""A place to work on agents: prompt, model, limits, tools, and a run to try it; providers and feeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timesince

from agents.availability import AVAILABLE, availabilities
from agents.forms import AgentForm, EndpointForm, FeedForm
from agents.models import Agent, NewsFeed, ProviderEndpoint
from agents.providers import all_specs, forget_specs, key_in_environment, known_keys, spec_hash, spec_of
from agents.selectors import last_used
from agents.services import CHANGEABLE, agent_duplicate, agent_record
from workspaces.staff import OperatorsOnly, Scoped, ScopedFilter


class AgentChangeList(ChangeList):
    """Looks up for the whole page at once what no column of the row holds."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        used = last_used([agent.pk for agent in rows])
        specs = all_specs()
        by_workspace: dict[Any, list[Agent]] = {}
        for agent in rows:
            by_workspace.setdefault(agent.workspace, []).append(agent)
        available: dict[object, Any] = {}
        for workspace, agents in by_workspace.items():
            available |= availabilities(agents, specs, known_keys(workspace, request.user.pk))
        for agent in rows:
            agent.seen_available = available.get(agent.pk, AVAILABLE)
            agent.seen_used = used.get(agent.pk)
        self.result_list = rows


@admin.register(Agent)
class AgentAdmin(Scoped, admin.ModelAdmin):  # type: ignore[type-arg]
    form = AgentForm
    change_form_template = "admin/agents/agent/change_form.html"
    list_display = ["shown_name", "workspace", "provider", "model", "available", "used", "is_active", "slug"]
    list_filter = [
        "is_active",
        "provider",
        ("workspace", ScopedFilter),
        "is_premium",
        "rag_enabled",
        "reasoning",
    ]
    search_fields = ["name", "slug", "description", "model", "system_prompt"]
    list_select_related = ["workspace"]
    list_per_page = 50
    ordering = ["workspace__name", "name"]
    actions = ["duplicate", "activate", "deactivate"]
    autocomplete_fields = ["owner"]
    save_on_top = True
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "workspace",
                    ("name", "icon"),
                    "slug",
                    "description",
                    ("is_active", "is_premium"),
                    "owner",
                ]
            },
        ),
        ("Prompt", {"fields": ["system_prompt", "starters"]}),
        ("Model", {"fields": [("provider", "model"), ("temperature", "reasoning"), "fallback", "kind"]}),
        ("Limits", {"fields": [("max_tokens", "max_consecutive_tool_calls", "tool_call_timeout")]}),
        ("Tools", {"fields": ["tools"]}),
        (
            "Approval",
            {
                "fields": [
                    "tool_approval",
                    "approval_role",
                    "approval_quorum",
                    "approval_expiry",
                    "approval_rules",
                ]
            },
        ),
        ("Knowledge", {"fields": [("rag_enabled", "rag_model", "rag_top_k")], "classes": ["collapse"]}),
    ]

    class Media:
        css = {"all": ["agents/try_it.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return AgentChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agent]:
        return super().get_queryset(request).filter(deleted_at__isnull=True)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["workspace", "slug"] if obj is not None else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Sequence[str]]:
        return {} if obj is not None else {"slug": ["name"]}

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        before = Agent.objects.filter(pk=obj.pk).values(*CHANGEABLE).first() if change else None
        super().save_model(request, obj, form, change)
        agent_record(agent=obj, before=before)

    def delete_model(self, request: HttpRequest, obj: Agent) -> None:
        self.delete_queryset(request, Agent.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        """Conversations and costs keep the agent: it is only taken out of sight."""
        queryset.update(deleted_at=timezone.now(), is_active=False)

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Any:
        return [str(agent) for agent in objs], {"agents": len(list(objs))}, set(), []

    @admin.display(description="name", ordering="name")
    def shown_name(self, agent: Agent) -> str:
        return f"{agent.icon} {agent.name}".strip()

    @admin.display(description="available")
    def available(self, agent: Agent) -> str:
        told = getattr(agent, "seen_available", AVAILABLE)
        if told.is_available:
            return "yes"
        short = "needs a key" if told.needs_key else ("no" if agent.is_active else "switched off")
        return format_html('<span title="{}">{}</span>', told.reason, short)

    @admin.display(description="last used")
    def used(self, agent: Agent) -> str:
        at = getattr(agent, "seen_used", None)
        return f"{timesince(at, depth=1)} ago" if at is not None else "never"

    @admin.action(description="Duplicate, switched off")
    def duplicate(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        copies = [agent_duplicate(agent=agent) for agent in queryset]
        self.message_user(request, f"Made {', '.join(copy.name for copy in copies)}.", messages.SUCCESS)

    @admin.action(description="Switch on")
    def activate(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        self.message_user(request, f"Switched {self._switch(queryset, True)} on.", messages.SUCCESS)

    @admin.action(description="Switch off")
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        self.message_user(request, f"Switched {self._switch(queryset, False)} off.", messages.SUCCESS)

    @transaction.atomic
    def _switch(self, queryset: QuerySet[Agent], on: bool) -> int:
        others = list(queryset.exclude(is_active=on))
        for agent in others:
            agent.is_active = on
            agent.save(update_fields=["is_active", "updated_at"])
            agent_record(
                agent=agent,
                before={name: getattr(agent, name) for name in CHANGEABLE} | {"is_active": not on},
            )
        return len(others)


@admin.register(ProviderEndpoint)
class ProviderEndpointAdmin(OperatorsOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    form = EndpointForm
    list_display = ["label", "name", "wire", "base_url", "key", "is_enabled", "edited"]
    list_filter = ["is_enabled", "wire", "free"]
    search_fields = ["name", "label", "base_url"]
    actions = ["switch_on", "switch_off"]
    list_per_page = 100

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name"] if obj is not None else []

    @admin.display(description="key in the environment")
    def key(self, row: ProviderEndpoint) -> str:
        if not row.key_vars:
            return "needs none"
        return "set" if key_in_environment(spec_of(row)) else f"not set ({row.key_vars[0]})"

    @admin.display(description="edited", boolean=True)
    def edited(self, row: ProviderEndpoint) -> bool:
        return row.seeded != spec_hash(spec_of(row))

    @admin.action(description="Switch on")
    def switch_on(self, request: HttpRequest, queryset: QuerySet[ProviderEndpoint]) -> None:
        queryset.update(is_enabled=True)
        forget_specs()

    @admin.action(description="Switch off")
    def switch_off(self, request: HttpRequest, queryset: QuerySet[ProviderEndpoint]) -> None:
        queryset.update(is_enabled=False)
        forget_specs()


@admin.register(NewsFeed)
class NewsFeedAdmin(OperatorsOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    form = FeedForm
    list_display = ["title", "category", "url", "is_active"]
    list_filter = ["category", "is_active"]
    list_editable = ["is_active"]
    search_fields = ["title", "url"]
