"""The invitation that a browser came with: its digest in the session, from the link until the person is in.

It opens sign-up for one account, which joins by it in the transaction that makes it; an
invitation by mail fixes that account's address.
"""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from allauth.core.exceptions import ImmediateHttpResponse
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import redirect

from .access import Forbidden, NotFound
from .auth import SESSION_WORKSPACE
from .invitations import invitation_accept, invitation_of
from .models import Invitation, Membership, User

SESSION_INVITATION = "invitation"
SIGN_UP = ("account_signup", "socialaccount_signup")


def invitation_remember(request: HttpRequest, invitation: Invitation) -> None:
    request.session[SESSION_INVITATION] = invitation.digest
    if invitation.email:  # whoever has the link has read the mail
        get_adapter(request).stash_verified_email(request, invitation.email)


def invitation_forget(request: HttpRequest) -> None:
    request.session.pop(SESSION_INVITATION, None)


def invitation_here(request: HttpRequest | None) -> Invitation | None:
    """The standing invitation of this browser, or None."""
    if request is None or not hasattr(request, "session"):
        return None
    try:
        return invitation_of(str(request.session.get(SESSION_INVITATION) or ""))
    except NotFound:
        return None


def address_invited(request: HttpRequest | None) -> str:
    """The address that an account being made right now must have; empty: any."""
    found = getattr(request, "resolver_match", None)
    if found is None or found.url_name not in SIGN_UP:
        return ""
    invitation = invitation_here(request)
    return invitation.email if invitation is not None else ""


def invitation_enter(request: HttpRequest, user: User) -> Membership | None:
    """The person joins by this browser's invitation, and is in its workspace from the next page on.

    None without one. Raises as `invitation_accept` does.
    """
    key = str(request.session.get(SESSION_INVITATION) or "")
    if not key:
        return None
    membership = invitation_accept(user=user, key=key)
    invitation_forget(request)
    request.session[SESSION_WORKSPACE] = membership.workspace.slug
    return membership


def invitation_enter_new(request: HttpRequest, user: User, *, is_open: bool) -> None:
    """The same for an account that is being made, in the transaction that makes it.

    Where sign-up is closed to others, the account is not made when its invitation has ended meanwhile.
    """
    assert transaction.get_connection().in_atomic_block
    try:
        found = invitation_enter(request, user)
    except (NotFound, Forbidden):
        found = None
    if found is None and not is_open:
        raise ImmediateHttpResponse(redirect("join"))
