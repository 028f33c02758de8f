"""The page of the workspace's people: members, invitations, and the workspace itself. Its forms post to `workspaces.pages`."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from workspaces.access import Actor
from workspaces.invitations import DAYS, GIVEN, invitations_pending
from workspaces.members import may_manage, roles_to_give
from workspaces.models import Role
from workspaces.pages import LINK
from workspaces.selectors import members_of_workspace
from workspaces.two_step import with_second_step

from .pages import page, shell

ROLE_WORDS = {
    Role.OWNER: "decides everything, also who else owns it",
    Role.ADMIN: "sets up agents and keys, invites and removes people",
    Role.MEMBER: "works with agents",
    Role.VIEWER: "reads along",
}


@page
def members(request: HttpRequest, actor: Actor) -> HttpResponse:
    context = shell(request, actor, here="members")
    said = list(messages.get_messages(request))
    rows = members_of_workspace(actor)
    owners = [row for row in rows if row.role == Role.OWNER and row.user.is_active]
    asked = actor.is_admin and actor.workspace.require_two_step
    secured = with_second_step([row.user_id for row in rows] if asked else [actor.user_id])
    context |= {
        "has_second_step": actor.user_id in secured,
        "rows": [
            {
                "member": row,
                "is_me": row.user_id == actor.user_id,
                "may_manage": may_manage(actor, row),
                "no_second_step": asked and row.user_id not in secured,
                "is_last_owner": owners == [row],
            }
            for row in sorted(rows, key=lambda row: row.user.display_name.lower())
        ],
        "roles": [(role, Role(role).label) for role in roles_to_give(actor)],
        "given": [(role, role.label, ROLE_WORDS[role]) for role in GIVEN],
        "role_words": [(role.label, words) for role, words in ROLE_WORDS.items()],
        "pending": invitations_pending(actor) if actor.is_admin else [],
        "days": DAYS,
        "link": next((str(m) for m in said if LINK in m.tags), ""),
        "said": [m for m in said if LINK not in m.tags],
        "at": f"?workspace={actor.workspace.slug}",
        "is_alone_owner": owners == [row for row in rows if row.user_id == actor.user_id],
    }
    return render(request, "members.html", context)
