"""HTTP of members, invitations and workspaces: parse, call one service, answer."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Router

from . import schemas
from .access import READ_ONLY_SCOPE, Actor, Forbidden, require_admin, require_owner
from .api import SAFE_METHODS, answer, instant, listed, workspace_wire
from .database import in_database
from .invitations import (
    MadeInvitation,
    access_invitation,
    invitation_create,
    invitation_mail,
    invitation_revoke,
    invitations_pending,
)
from .members import member_change_role, member_remove
from .models import Invitation, Membership, Role, Workspace
from .request import ApiRequest
from .selectors import access_member, members_of_workspace, memberships_shown
from .tenancy import may_create_workspaces, workspace_create_by, workspace_delete, workspace_update

router = Router(tags=["Workspaces"])


def guard(request: HttpRequest, actor: Actor) -> None:
    """Before the body is looked at: who is absent is 404, then what this person may not do is 403."""
    match = request.resolver_match
    found, route = (match.kwargs, match.route) if match else ({}, "")
    if "user_id" in found:
        access_member(actor, found["user_id"])
    if "invitations" in route:
        require_admin(actor)
    if "invitation_id" in found:
        access_invitation(actor, found["invitation_id"])
    if request.method in SAFE_METHODS:
        return
    if READ_ONLY_SCOPE in actor.scopes:
        raise Forbidden("This token may only read.")
    leaves = request.method == "DELETE" and str(found.get("user_id")) == str(actor.user_id)
    if "user_id" in found and not leaves:
        require_admin(actor)
    if route.endswith("workspaces") and not may_create_workspaces(actor.user):
        raise Forbidden("Who may create workspaces here is up to whoever runs this server. Ask them.")
    if route.endswith("workspaces/current"):
        (require_owner if request.method == "DELETE" else require_admin)(actor)


# --- members ---


@router.get("/members", response=schemas.MemberList, summary="Members of the workspace")
async def members(request: ApiRequest) -> HttpResponse:
    return listed([member_wire(m) for m in await in_database(members_of_workspace, request.auth)])


@router.get("/members/{user_id}", response=schemas.Member, summary="One member")
async def member(request: ApiRequest, user_id: str) -> HttpResponse:
    return answer(member_wire(await in_database(access_member, request.auth, user_id)))


@router.patch("/members/{user_id}", response=schemas.Member, summary="Change a member's role")
async def member_change(request: ApiRequest, user_id: str, body: schemas.MemberFields) -> HttpResponse:
    """Owners anybody's; admins those of others than owners, and to no owner. Open sockets follow at once."""
    changed = await in_database(member_change_role, actor=request.auth, user_id=user_id, role=body.role)
    return answer(member_wire(changed))


@router.delete("/members/{user_id}", response={204: None}, summary="Remove a member, or leave")
async def member_end(request: ApiRequest, user_id: str) -> HttpResponse:
    """Their tokens and sockets here end at once. Everyone may remove themselves, but not the last owner."""
    await in_database(member_remove, actor=request.auth, user_id=user_id)
    return HttpResponse(status=204)


# --- invitations ---


@router.get("/invitations", response=schemas.InvitationList, summary="Open invitations")
async def invitations(request: ApiRequest) -> HttpResponse:
    """Those that can still be used. Admins and owners."""
    return listed([invitation_wire(i) for i in await in_database(invitations_pending, request.auth)])


@router.post("/invitations", response={201: schemas.NewInvitation}, summary="Invite")
async def invitation_new(request: ApiRequest, body: schemas.InvitationFields) -> HttpResponse:
    """By a link that is in this answer and nowhere else, or by mail. Admins and owners."""

    def make() -> MadeInvitation:
        if body.email:
            return invitation_mail(
                actor=request.auth,
                email=body.email,
                role=body.role,
                days=body.days,
                link=lambda text: link_of(request, text),
            )
        return invitation_create(actor=request.auth, role=body.role, most_uses=body.most_uses, days=body.days)

    made = await in_database(make)
    link = None if made.row.email else link_of(request, made.text)
    return answer({**invitation_wire(made.row), "link": link}, 201)


@router.delete("/invitations/{invitation_id}", response={204: None}, summary="Revoke an invitation")
async def invitation_end(request: ApiRequest, invitation_id: str) -> HttpResponse:
    await in_database(invitation_revoke, actor=request.auth, invitation_id=invitation_id)
    return HttpResponse(status=204)


# --- workspaces ---


@router.get("/workspaces", response=schemas.WorkspaceList, summary="One's workspaces")
async def workspaces(request: ApiRequest) -> HttpResponse:
    """Those the caller is in, by name. A token acts in its own only, and is told of no other."""
    rows = await in_database(memberships_shown, request.auth)
    return listed([workspace_full_wire(m.workspace, m.role) for m in rows])


@router.post("/workspaces", response={201: schemas.Workspace}, summary="Create a workspace")
async def workspace_new(request: ApiRequest, body: schemas.NewWorkspaceFields) -> HttpResponse:
    """With the shipped agents; the caller owns it. `NEXUS_WORKSPACE_CREATION` says who may."""
    made = await in_database(workspace_create_by, user=request.auth.user, name=body.name)
    return answer(workspace_full_wire(made, Role.OWNER), 201)


@router.get("/workspaces/current", response=schemas.Workspace, summary="The workspace one is in")
async def workspace(request: ApiRequest) -> HttpResponse:
    return answer(workspace_full_wire(request.auth.workspace, request.auth.role))


@router.patch("/workspaces/current", response=schemas.Workspace, summary="Change the workspace")
async def workspace_change(request: ApiRequest, body: schemas.WorkspaceFields) -> HttpResponse:
    """Its name, whether members may use provider keys of their own, whether links to the outside work, and whether
    people need two-step sign-in (to ask for it one must have it). Admins and owners."""
    changed = await in_database(
        workspace_update,
        actor=request.auth,
        name=body.name,
        allow_personal_keys=body.allow_personal_keys,
        allow_share_links=body.allow_share_links,
        require_two_step=body.require_two_step,
    )
    return answer(workspace_full_wire(changed, request.auth.role))


@router.delete("/workspaces/current", response={204: None}, summary="Delete the workspace")
async def workspace_end(request: ApiRequest, confirm: str) -> HttpResponse:
    """`confirm` is its name. Everyone is out at once, and what runs there stops. Owners."""
    await in_database(workspace_delete, actor=request.auth, confirm=confirm)
    return HttpResponse(status=204)


# --- wire objects ---


def link_of(request: HttpRequest, text: str) -> str:
    return request.build_absolute_uri(reverse("invitation", args=[text]))


def member_wire(member: Membership) -> dict[str, Any]:
    return {
        "userId": str(member.user_id),
        "name": member.user.display_name,
        "role": member.role,
        "joinedAt": instant(member.created_at),
    }


def invitation_wire(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": str(invitation.pk),
        "role": invitation.role,
        "email": invitation.email or None,
        "mostUses": invitation.most_uses,
        "uses": invitation.uses,
        "createdBy": str(invitation.created_by_id) if invitation.created_by_id else None,
        "createdAt": instant(invitation.created_at),
        "expiresAt": instant(invitation.expires_at),
    }


def workspace_full_wire(workspace: Workspace, role: str) -> dict[str, Any]:
    return {
        **workspace_wire(workspace),
        "role": role,
        "allowPersonalKeys": workspace.allow_personal_keys,
        "allowShareLinks": workspace.allow_share_links,
        "requireTwoStep": workspace.require_two_step,
        "createdAt": instant(workspace.created_at),
    }
