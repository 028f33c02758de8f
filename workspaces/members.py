"""Who is in a workspace and as what: changing roles, removing people, leaving.

Owners may do everything; admins everything that does not concern an owner; everyone may
leave. A workspace always keeps an owner whose account is switched on.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from .access import READ_ONLY_SCOPE, Actor, Forbidden, Invalid
from .models import Membership, Role, Workspace
from .selectors import access_member
from .services import membership_remove, membership_set


class LastOwner(Invalid):
    """The change would leave the workspace without an owner."""

    code = "last_owner"

    def __init__(self) -> None:
        super().__init__("A workspace needs an owner. Make somebody else an owner first.")


@transaction.atomic
def member_change_role(*, actor: Actor, user_id: UUID | str, role: str) -> Membership:
    """Gives a member another role.

    Raises `Forbidden` where the actor's own role does not reach, `NotFound` for somebody who is no
    member, `Invalid` for a role there is not, `LastOwner` for the only owner.
    """
    own = _locked_role(actor)
    member = access_member(actor, user_id)
    if role not in Role.values:
        raise Invalid(f"There is no role {role!r}; there are: {', '.join(Role.values)}.")
    _require_reach(actor, own, member.role, role)
    if member.role == Role.OWNER and role != Role.OWNER:
        _require_another_owner(member)
    changed = membership_set(workspace=actor.workspace, user=member.user, role=role)
    changed.user = member.user
    return changed


@transaction.atomic
def member_remove(*, actor: Actor, user_id: UUID | str) -> None:
    """Ends somebody's membership, or one's own (leaving), with their tokens and keys here, at once.

    Raises as `member_change_role` does. Their messages and conversations stay.
    """
    own = _locked_role(actor)
    member = access_member(actor, user_id)
    if member.user_id == actor.user_id:
        if READ_ONLY_SCOPE in actor.scopes:
            raise Forbidden("This token may only read.")
    else:
        _require_reach(actor, own, member.role)
    if member.role == Role.OWNER:
        _require_another_owner(member)
    membership_remove(workspace=actor.workspace, user=member.user)


def may_manage(actor: Actor, member: Membership) -> bool:
    """Whether this actor's role reaches that member (what the page offers; the services decide)."""
    return actor.is_owner or (actor.is_admin and member.role != Role.OWNER)


def roles_to_give(actor: Actor) -> list[str]:
    """The roles that this actor may give."""
    return [role for role in Role.values if actor.is_owner or (actor.is_admin and role != Role.OWNER)]


def _locked_role(actor: Actor) -> str:
    """The actor's role as it is now; others who change members of this workspace wait."""
    Workspace.objects.select_for_update(no_key=True).get(pk=actor.workspace_id)
    return access_member(actor, actor.user_id).role


def _require_reach(actor: Actor, own: str, *roles: str) -> None:
    if not actor.is_admin or own not in (Role.OWNER, Role.ADMIN):
        raise Forbidden("Only admins and owners of the workspace may do this.")
    if own != Role.OWNER and Role.OWNER in roles:
        raise Forbidden("Only owners may make, change or remove owners.")


def _require_another_owner(member: Membership) -> None:
    others = Membership.objects.filter(
        workspace_id=member.workspace_id, role=Role.OWNER, user__is_active=True
    ).exclude(pk=member.pk)
    if not others.exists():
        raise LastOwner()
