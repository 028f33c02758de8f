"""What the forms about people and workspaces post to, and the door that an invitation leads to.

Every form that acts in a workspace names it (`?workspace=slug`): a page that was drawn for one
must not change another, which the person switched to in a second tab.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from nexus_core.errors import NexusError

from .access import Actor, Forbidden, NotFound, TooManyRequests, actor_for
from .audit.origin import caller
from .auth import SESSION_WORKSPACE, page_actor
from .invitations import (
    GONE,
    OtherAddress,
    has_address,
    invitation_create,
    invitation_mail,
    invitation_of,
    invitation_revoke,
)
from .invited import invitation_enter, invitation_forget, invitation_here, invitation_remember
from .limits import limit_hit
from .members import member_change_role, member_remove
from .models import Membership, User
from .people_api import link_of
from .secrets import digest
from .selectors import workspaces_of
from .tenancy import may_create_workspaces, workspace_create_by, workspace_delete, workspace_update
from .two_step import TwoStepRequired

Page = Callable[..., HttpResponse]
LINK = "link"
"""The tag of the one message that holds a new link. It lives in a cookie until it is shown, not in the database."""


def action(view: Callable[..., HttpResponse]) -> Page:
    """A form that acts in the workspace it names. A refusal is said on the members page, where the form was."""

    @wraps(view)
    @never_cache
    @login_required
    @require_POST
    def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            if not request.GET.get("workspace"):
                raise NotFound()
            actor = page_actor(request)
            limit_hit("requests", actor)
            return view(request, actor, **kwargs)
        except NotFound:
            return render(request, "404.html", status=404)
        except TwoStepRequired:
            return redirect("two-step")
        except NexusError as refusal:
            messages.error(request, str(refusal))
            return redirect("members")

    return wrapped


# --- members ---


@action
def member_role(request: HttpRequest, actor: Actor, user_id: UUID) -> HttpResponse:
    member = member_change_role(actor=actor, user_id=user_id, role=request.POST.get("role", ""))
    messages.success(request, f"{member.user.display_name} is now {member.get_role_display().lower()}.")
    return redirect("members")


@action
def member_out(request: HttpRequest, actor: Actor, user_id: UUID) -> HttpResponse:
    if user_id == actor.user_id:
        raise Forbidden("To go yourself, use “Leave”.")
    person = User.objects.filter(memberships__workspace_id=actor.workspace_id, pk=user_id).first()
    member_remove(actor=actor, user_id=user_id)
    messages.success(request, f"{person} was removed.")
    return redirect("members")


@action
def leave(request: HttpRequest, actor: Actor) -> HttpResponse:
    member_remove(actor=actor, user_id=actor.user_id)
    request.session.pop(SESSION_WORKSPACE, None)
    return redirect("home")


# --- invitations ---


@action
def invite(request: HttpRequest, actor: Actor) -> HttpResponse:
    role = request.POST.get("role", "")
    if request.POST.get("by") == "mail":
        email = request.POST.get("email", "")
        invitation_mail(actor=actor, email=email, role=role, link=lambda text: link_of(request, text))
        messages.success(request, f"An invitation is on its way to {email.strip()}.")
    else:
        most_uses = None if request.POST.get("uses") == "many" else 1
        made = invitation_create(actor=actor, role=role, most_uses=most_uses)
        messages.info(request, link_of(request, made.text), extra_tags=LINK)
    return redirect("members")


@action
def invitation_end(request: HttpRequest, actor: Actor, invitation_id: UUID) -> HttpResponse:
    invitation_revoke(actor=actor, invitation_id=invitation_id)
    messages.success(request, "The invitation was revoked.")
    return redirect("members")


@never_cache
@require_safe
def invitation(request: HttpRequest, text: str) -> HttpResponse:
    """A link's address. It goes into the session, and on to a page whose address tells nobody anything."""
    try:
        found = invitation_of(digest(text))
    except NotFound:
        return _gone(request)
    invitation_remember(request, found)
    return redirect("join")


@never_cache
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """Who invites whom to where; a click joins. Who is not logged in logs in or makes an account first."""
    found = invitation_here(request)
    if found is None:
        return _gone(request)
    user = request.user if isinstance(request.user, User) and request.user.is_active else None
    if user is not None and request.method == "POST":
        try:
            limit_hit("requests", user.pk)
            invitation_enter(request, user)
            return redirect("home")
        except TooManyRequests as refusal:
            return _too_often(request, refusal)
        except NotFound:
            return _gone(request)
        except OtherAddress:
            pass  # said on the page
    is_member = user is not None and Membership.objects.filter(workspace=found.workspace, user=user).exists()
    shown = {
        "invitation": found,
        "workspace": found.workspace,
        "inviter": found.created_by,
        "is_member": is_member,
        "fits": user is None or is_member or not found.email or has_address(user, found.email),
    }
    return render(request, "join.html", shown)


@never_cache
@require_POST
def decline(request: HttpRequest) -> HttpResponse:
    invitation_forget(request)
    return redirect("home")


def _gone(request: HttpRequest) -> HttpResponse:
    try:
        limit_hit("doors", caller())
    except TooManyRequests as refusal:
        return _too_often(request, refusal)
    return render(request, "join_gone.html", {"text": GONE}, status=404)


def _too_often(request: HttpRequest, refusal: TooManyRequests) -> HttpResponse:
    response = render(request, "join_gone.html", {"text": str(refusal)}, status=429)
    response["Retry-After"] = str(refusal.retry_after)
    return response


# --- two-step sign-in ---


@never_cache
@login_required
@require_safe
def two_step(request: HttpRequest) -> HttpResponse:
    """Where people are led who need a second step here and have none: setting one up, another workspace, or out."""
    assert isinstance(request.user, User)
    try:
        page_actor(request)
    except TwoStepRequired as refusal:
        others = [one for one in workspaces_of(request.user) if one != refusal.workspace]
        return render(request, "two_step.html", {"workspace": refusal.workspace, "others": others})
    except (Forbidden, NotFound):
        pass
    return redirect("home")


# --- workspaces ---


@never_cache
@login_required
@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """From here on the session is in this workspace."""
    assert isinstance(request.user, User)
    try:
        actor = actor_for(request.user, request.POST.get("workspace", "") or "-")
    except (NotFound, Forbidden):
        return render(request, "404.html", status=404)
    request.session[SESSION_WORKSPACE] = actor.workspace.slug
    return redirect("home")


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def workspace_new(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    if not may_create_workspaces(request.user):
        return render(request, "403.html", status=403)
    name, wrong, status = request.POST.get("name", ""), "", 200
    if request.method == "POST":
        try:
            made = workspace_create_by(user=request.user, name=name)
            request.session[SESSION_WORKSPACE] = made.slug
            return redirect("home")
        except NexusError as refusal:
            wrong, status = str(refusal), refusal.http_status or 422
    return render(request, "workspace_new.html", {"name": name, "wrong": wrong}, status=status)


@action
def workspace_change(request: HttpRequest, actor: Actor) -> HttpResponse:
    workspace_update(
        actor=actor,
        name=request.POST.get("name"),
        allow_personal_keys=request.POST.get("allow_personal_keys") == "on",
        allow_share_links=request.POST.get("allow_share_links") == "on",
        require_two_step=request.POST.get("require_two_step") == "on",
    )
    messages.success(request, "Saved.")
    return redirect("members")


@action
def workspace_end(request: HttpRequest, actor: Actor) -> HttpResponse:
    workspace_delete(actor=actor, confirm=request.POST.get("confirm", ""))
    request.session.pop(SESSION_WORKSPACE, None)
    return redirect("home")
