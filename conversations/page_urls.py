"""Addresses of the pages."""

from __future__ import annotations

from django.urls import path

from . import audit_page, member_pages, pages, shared_page

urlpatterns = [
    path("", pages.home, name="home"),
    path("c/<uuid:conversation_id>/", pages.conversation, name="conversation"),
    path("history/", pages.history, name="history"),
    path("audit/", audit_page.audit, name="audit"),
    path("usage/", pages.usage, name="usage"),
    path("members/", member_pages.members, name="members"),
    path("settings/", pages.settings_page, name="settings"),
    path("s/<str:text>/", shared_page.shared, name="shared"),
    path("s/<str:text>/files/<uuid:file_id>", shared_page.shared_file, name="shared-file"),
]
