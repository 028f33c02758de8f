"""Tickets: each opens one socket, for clients that can set no headers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from .access import Actor, Unauthorized, actor_for
from .models import SocketTicket, User
from .secrets import digest, new_ticket
from .two_step import require_second_step

TICKET_SECONDS = 30


@dataclass(frozen=True, slots=True)
class MadeTicket:
    text: str
    expires_at: datetime


def ticket_create(*, actor: Actor) -> MadeTicket:
    """A ticket that opens one socket as this actor, within 30 s."""
    now = timezone.now()
    text = new_ticket()
    ticket = SocketTicket.objects.create(
        digest=digest(text),
        user=actor.user,
        workspace=actor.workspace,
        token_id=actor.token_id,
        session_key=actor.session_key,
        expires_at=now + timedelta(seconds=TICKET_SECONDS),
    )
    SocketTicket.objects.filter(expires_at__lt=now - timedelta(hours=1)).delete()
    return MadeTicket(text, ticket.expires_at)


def ticket_redeem(*, ticket: str) -> Actor:
    """The actor of a ticket, once: the one UPDATE below decides who of several comes first."""
    now = timezone.now()
    key = digest(ticket)
    if not SocketTicket.objects.filter(digest=key, used_at=None, expires_at__gt=now).update(used_at=now):
        raise Unauthorized("This ticket is wrong, used or expired.")
    row = SocketTicket.objects.select_related("user", "workspace", "token").get(digest=key)
    if row.token is not None and not row.token.is_usable:
        raise Unauthorized("The token that asked for this ticket is expired or revoked.")
    if row.session_key and not _session_stands(row.session_key, row.user):
        raise Unauthorized("The session that asked for this ticket has ended.")
    return require_second_step(
        actor_for(row.user, row.workspace.slug, token=row.token, session_key=row.session_key)
    )


def _session_stands(key: str, user: User) -> bool:
    """Neither logged out nor expired, and made with the password of now."""
    session = Session.objects.filter(pk=key, expire_date__gt=timezone.now()).first()
    return session is not None and constant_time_compare(
        session.get_decoded().get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()
    )
