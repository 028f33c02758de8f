"""Addresses of the forms about people and workspaces, and of invitations."""

from __future__ import annotations

from django.urls import path

from . import pages

urlpatterns = [
    path("members/<uuid:user_id>/role", pages.member_role, name="member-role"),
    path("members/<uuid:user_id>/remove", pages.member_out, name="member-remove"),
    path("members/leave", pages.leave, name="leave"),
    path("members/invite", pages.invite, name="invite"),
    path("members/invitations/<uuid:invitation_id>/revoke", pages.invitation_end, name="invitation-revoke"),
    path("join/", pages.join, name="join"),
    path("join/decline", pages.decline, name="decline"),
    path("join/<str:text>/", pages.invitation, name="invitation"),
    path("two-step/", pages.two_step, name="two-step"),
    path("workspaces/switch", pages.switch, name="switch"),
    path("workspaces/new", pages.workspace_new, name="workspace-new"),
    path("workspaces/change", pages.workspace_change, name="workspace-change"),
    path("workspaces/delete", pages.workspace_end, name="workspace-delete"),
]
