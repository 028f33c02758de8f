"""Addresses of the pages."""

from __future__ import annotations

from django.urls import path

from . import audit_page, member_pages, pages

urlpatterns = [
    path("", pages.home, name="home"),
    path("c/<uuid:conversation_id>/", pages.conversation, name="conversation"),
    path("history/", pages.history, name="history"),
    path("audit/", audit_page.audit, name="audit"),
    path("usage/", pages.usage, name="usage"),
    path("members/", member_pages.members, name="members"),
    path("settings/", pages.settings_page, name="settings"),
]
