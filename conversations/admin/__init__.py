"""Conversations in the admin: to look things up. History is read only; a title or a visibility may be put right."""

from __future__ import annotations

from django.contrib import admin

from . import approvals, conversations, runs

__all__ = ["approvals", "conversations", "runs"]

admin.site.site_header = "Nexus administration"
admin.site.site_title = "Nexus"
admin.site.index_title = "What there is"
