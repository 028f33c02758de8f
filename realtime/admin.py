"""The admin of activity: what happened, to read and filter."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from workspaces.staff import Scoped, ScopedFilter

from .models import Activity


@admin.register(Activity)
class ActivityAdmin(Scoped, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["activity_type", "workspace", "user", "agent_slug", "created_at"]
    list_filter = ["activity_type", ("workspace", ScopedFilter), "created_at"]
    list_select_related = ["workspace", "user"]
    search_fields = ["activity_type", "agent_slug", "user__username", "user__name", "conversation_id"]
    date_hierarchy = "created_at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Activity | None = None) -> bool:
        return False
