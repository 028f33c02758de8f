"""Invitations: by a link that whoever has it may use, or by mail to one address.

Only the SHA-256 of the 256 random bits is kept. An invitation stands while it is neither
revoked nor expired nor used up, its workspace is there, and whoever made it is still an
admin or owner of it: an admin who goes takes their open invitations along.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, get_connection
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from .access import Actor, Forbidden, Invalid, NotFound, require_admin
from .audit import record
from .limits import limit_hit
from .models import Invitation, Membership, Role, User
from .secrets import digest, new_invitation
from .services import membership_set

log = logging.getLogger(__name__)

DAYS = 7
MOST_DAYS = 90
MOST_USES = 1000
GONE = "This invitation does not work any more. Ask whoever sent it for a new one."
MAIL_SECONDS = 10
GIVEN = (Role.ADMIN, Role.MEMBER, Role.VIEWER)
"""An owner is made of a member, by another owner, never by a link."""


class OtherAddress(Forbidden):
    """An invitation by mail is for the person with that address."""

    code = "invitation_other_address"

    def __init__(self) -> None:
        super().__init__(
            "This invitation was sent to another address than yours. Log in with the account of that "
            "address, or ask for an invitation by link."
        )


@dataclass(frozen=True, slots=True)
class MadeInvitation:
    """An invitation's row and the text of its link, which is nowhere else."""

    row: Invitation
    text: str


def invitations_standing() -> QuerySet[Invitation]:
    """All that can be used right now, of every workspace."""
    makers = Membership.objects.filter(
        workspace_id=OuterRef("workspace_id"),
        user_id=OuterRef("created_by_id"),
        user__is_active=True,
        role__in=(Role.OWNER, Role.ADMIN),
    )
    return Invitation.objects.filter(
        Q(most_uses=None) | Q(uses__lt=F("most_uses")),
        Exists(makers),
        revoked_at=None,
        expires_at__gt=timezone.now(),
        workspace__deleted_at=None,
    )


def invitations_pending(actor: Actor) -> list[Invitation]:
    """Those of the actor's workspace that can still be used, newest first. Admins and owners only."""
    require_admin(actor)
    rows = invitations_standing().filter(workspace_id=actor.workspace_id)
    return list(rows.select_related("created_by"))


def access_invitation(actor: Actor, invitation_id: UUID | str) -> Invitation:
    """One of the actor's workspace, for its admins and owners; else NotFound."""
    require_admin(actor)
    try:
        key = UUID(str(invitation_id))
    except ValueError:
        raise NotFound() from None
    found = Invitation.objects.filter(pk=key, workspace_id=actor.workspace_id).first()
    if found is None:
        raise NotFound()
    return found


def invitation_of(key: str) -> Invitation:
    """The standing invitation with this digest. Wrong, expired, revoked, used up: one and the same `NotFound`."""
    found = (
        invitations_standing().filter(digest=key).select_related("workspace", "created_by").first()
        if key
        else None
    )
    if found is None:
        raise NotFound(GONE)
    return found


@transaction.atomic
def invitation_create(
    *,
    actor: Actor,
    role: str = Role.MEMBER,
    email: str = "",
    most_uses: int | None = 1,
    days: int = DAYS,
) -> MadeInvitation:
    """A new invitation; with `email` for that person, once, in place of an earlier one to them.

    Args:
        most_uses: how many may come by the link; None: any number until it expires.
        days: how long it stands, 1 to 90.

    Raises `Forbidden` for others than admins and owners, `Invalid` for what does not fit, `TooManyRequests`.
    """
    require_admin(actor)
    email = email.strip()
    if role not in GIVEN:
        raise Invalid(f"An invitation can be as {', '.join(GIVEN[:-1])} or {GIVEN[-1]}.")
    if not 1 <= days <= MOST_DAYS:
        raise Invalid(f"An invitation stands for 1 to {MOST_DAYS} days.")
    if most_uses is not None and not 1 <= most_uses <= MOST_USES:
        raise Invalid(f"A link is for 1 to {MOST_USES} people, or for any number.")
    if role == Role.ADMIN and not email and most_uses != 1:
        raise Invalid("A link that makes somebody an admin works once.")
    if email:
        most_uses = 1
        _check_address(actor, email)
    limit_hit("invitations", actor)
    if email:
        Invitation.objects.filter(
            workspace_id=actor.workspace_id, email__iexact=email, revoked_at=None
        ).update(revoked_at=timezone.now())
    text = new_invitation()
    row = Invitation.objects.create(
        workspace=actor.workspace,
        role=role,
        email=email,
        digest=digest(text),
        most_uses=most_uses,
        created_by=actor.user,
        expires_at=timezone.now() + timedelta(days=days),
    )
    _record("invitation_created", row, actor)
    return MadeInvitation(row, text)


def _record(action: str, row: Invitation, actor: Actor | None = None, user: User | None = None) -> None:
    """The audit names who was invited by mail, never the link."""
    record(
        action,
        actor=actor,
        workspace_id=row.workspace_id,
        user_id=user.pk if user is not None else None,
        target_type="invitation",
        target_id=row.pk,
        target_name=row.email or "by link",
        metadata={"role": row.role, "mostUses": row.most_uses, "expiresAt": row.expires_at.isoformat()},
    )


def _check_address(actor: Actor, email: str) -> None:
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid(f"{email!r} is no e-mail address.") from None
    members = Membership.objects.filter(workspace_id=actor.workspace_id, user__email__iexact=email)
    if members.exists():
        raise Invalid(f"{email} is a member already.")


def invitation_mail(
    *, actor: Actor, email: str, role: str, days: int = DAYS, link: Callable[[str], str]
) -> MadeInvitation:
    """Makes an invitation and sends it. `link` makes an address of the text, which only the mail has.

    Raises as `invitation_create` does, and `Invalid` when the mail could not be handed over: then nothing stands.
    """
    if not email.strip():
        raise Invalid("An e-mail address, please.")
    made = invitation_create(actor=actor, role=role, email=email, days=days)
    message = EmailMessage(
        subject=f"{_line(actor.user.display_name)} invites you to {_line(actor.workspace.name)}",
        body=(
            f"{_line(actor.user.display_name)} invites you to the workspace {_line(actor.workspace.name)}.\n\n"
            f"{link(made.text)}\n\n"
            f"The link is for you alone and works once, until {made.row.expires_at:%-d %B %Y}.\n"
            "If you expected no invitation, do nothing.\n"
        ),
        to=[made.row.email],
        connection=get_connection(timeout=MAIL_SECONDS),
    )
    try:
        message.send()
    except (OSError, smtplib.SMTPException) as fault:
        log.warning("an invitation could not be mailed (%s)", type(fault).__name__)
        invitation_revoke(actor=actor, invitation_id=made.row.pk)
        raise Invalid("The mail could not be sent, so nobody was invited. Invite by link instead.") from fault
    return made


def _line(text: str) -> str:
    """One line: a name is no place for another header."""
    return " ".join(text.split())


@transaction.atomic
def invitation_revoke(*, actor: Actor, invitation_id: UUID | str) -> Invitation:
    """Ends an invitation at once. Again: no change."""
    row = access_invitation(actor, invitation_id)
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])
        _record("invitation_revoked", row, actor)
    return row


@transaction.atomic
def invitation_accept(*, user: User, key: str) -> Membership:
    """The person joins by the invitation with this digest. Who is in already stays as they are, and no use is spent.

    Raises `NotFound` when it does not stand, `OtherAddress` when it is for somebody else.
    """
    # The row's lock makes who comes at the same moment wait: of two for the last use one finds it used up.
    if not Invitation.objects.select_for_update(no_key=True).filter(digest=key).exists():
        raise NotFound(GONE)
    invitation = invitation_of(key)
    found = Membership.objects.filter(workspace_id=invitation.workspace_id, user=user).first()
    if found is not None:
        return found
    if invitation.email and not has_address(user, invitation.email):
        raise OtherAddress()
    Invitation.objects.filter(pk=invitation.pk).update(uses=F("uses") + 1)
    _record("invitation_accepted", invitation, user=user)
    return membership_set(workspace=invitation.workspace, user=user, role=invitation.role)


def has_address(user: User, email: str) -> bool:
    return user.email.lower() == email.lower() or (
        EmailAddress.objects.filter(user=user, email__iexact=email, verified=True).exists()
    )
