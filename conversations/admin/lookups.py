"""What the pages of this admin share: history is to be looked up, not to be edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from workspaces.staff import Scoped


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
