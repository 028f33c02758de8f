"""Writes about people, workspaces, members, tokens, tickets and provider keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.text import slugify

from .access import Actor, Forbidden, Invalid, NotFound, Unauthorized, actor_for, require_admin
from .audit import record, told
from .models import ApiToken, Membership, ProviderKey, Role, SocketTicket, User, Workspace
from .secrets import digest, new_ticket, new_token
from .selectors import access_token
from .statements import Compiled

TICKET_SECONDS = 30
DEFAULT_SLUG = "demo"
"""The workspace that `seed` fills and that commands use when none is named."""

_SLUG = re.compile(r"^[a-z0-9][a-z0-9-]{0,63}$")
_on_workspace_created: list[Callable[[Workspace], None]] = []


def on_workspace_created(fn: Callable[[Workspace], None]) -> Callable[[Workspace], None]:
    """Registers what a higher floor adds to a new workspace; runs in the transaction that makes it."""
    if fn not in _on_workspace_created:
        _on_workspace_created.append(fn)
    return fn


# --- people and workspaces ---


@transaction.atomic
def user_create(
    *, username: str, password: str, email: str = "", name: str = "", check_password: bool = True
) -> User:
    """A new person. Raises `Invalid` for a taken name or (with `check_password`) a weak password."""
    if User.objects.filter(username=username).exists():
        raise Invalid(f"There is already a person with the login name {username!r}.")
    user = User(username=username, email=email, name=name)
    if check_password:
        try:
            validate_password(password, user)
        except ValidationError as weak:
            raise Invalid(" ".join(weak.messages)) from None
    user.set_password(password)
    user.save()
    return user


@transaction.atomic
def workspace_create(
    *, name: str, slug: str = "", owner: User | None = None, plan: str = "free"
) -> Workspace:
    """A new workspace with everything that registered functions add to it (the shipped agents)."""
    slug = slug or slugify(name)[:64]
    if not _SLUG.match(slug):
        raise Invalid(
            f"{slug!r} is no address for a workspace: lower-case letters, digits and hyphens, please."
        )
    if Workspace.objects.filter(slug=slug).exists():
        raise Invalid(f"There is already a workspace {slug!r}.")
    workspace = Workspace.objects.create(name=name, slug=slug, plan=plan)
    record(
        "workspace_created",
        workspace_id=workspace.pk,
        target_type="workspace",
        target_id=workspace.pk,
        target_name=name,
    )
    for fn in _on_workspace_created:
        fn(workspace)
    if owner is not None:
        membership_set(workspace=workspace, user=owner, role=Role.OWNER)
    return workspace


def workspace_get_or_create(*, slug: str) -> Workspace:
    """The workspace at this address, made if it is missing."""
    found = Workspace.objects.filter(slug=slug).first()
    return found or workspace_create(name=slug.replace("-", " ").capitalize(), slug=slug)


@transaction.atomic
def membership_set(*, workspace: Workspace, user: User, role: str) -> Membership:
    """Makes the person a member with this role, or changes the role they have."""
    if role not in Role.values:
        raise Invalid(f"There is no role {role!r}; there are: {', '.join(Role.values)}.")
    membership, made = Membership.objects.get_or_create(
        workspace=workspace, user=user, defaults={"role": role}
    )
    before = membership.role
    if not made and before != role:
        membership.role = role
        membership.save(update_fields=["role"])
    if made or before != role:
        record(
            "member_added" if made else "member_role_changed",
            workspace_id=workspace.pk,
            target_type="person",
            target_id=user.pk,
            target_name=user.display_name,
            metadata={"role": role} if made else told({"role": before}, {"role": role}),
        )
    return membership


@transaction.atomic
def membership_remove(*, workspace: Workspace, user: User) -> None:
    """The person is out, and so are their API tokens and keys of providers there: coming back brings none of them back."""
    membership = Membership.objects.filter(workspace=workspace, user=user).first()
    if membership is None:
        return
    membership.delete()
    record(
        "member_removed",
        workspace_id=workspace.pk,
        target_type="person",
        target_id=user.pk,
        target_name=user.display_name,
        metadata={"role": membership.role},
    )
    for token in ApiToken.objects.filter(workspace=workspace, user=user, revoked_at=None):
        _revoke(token)
    for key in ProviderKey.objects.filter(workspace=workspace, user=user).defer("secret"):
        key.delete()
        record("key_removed", workspace_id=workspace.pk, **_told_of_key(key))


@transaction.atomic
def profile_update(*, actor: Actor, **fields: object) -> User:
    """Changes what a person says about themselves: name, title, timezone, about, theme, shortcuts, notifications."""
    allowed = ("name", "title", "timezone", "about", "theme", "shortcuts_enabled", "notifications_enabled")
    user = User.objects.get(pk=actor.user_id)
    changed = [key for key, value in fields.items() if key in allowed and value is not None]
    for key in changed:
        setattr(user, key, fields[key])
    try:
        user.clean_fields(exclude=[f.name for f in User._meta.fields if f.name not in changed])
    except ValidationError as wrong:
        raise Invalid(
            "; ".join(f"{key}: {' '.join(what)}" for key, what in wrong.message_dict.items())
        ) from None
    if "timezone" in changed and user.timezone not in available_timezones():
        raise Invalid(f"timezone: there is no time zone {user.timezone!r}; write it like Europe/Vienna.")
    if changed:
        user.save(update_fields=changed)
    return user


# --- tokens ---


@dataclass(frozen=True, slots=True)
class MadeToken:
    """A token's row and its text, which is nowhere else."""

    row: ApiToken
    text: str


@transaction.atomic
def token_create(
    *,
    user: User,
    workspace: Workspace,
    name: str,
    scopes: Sequence[str] = (),
    expires_at: datetime | None = None,
    by: Actor | None = None,
) -> MadeToken:
    """A new API token of a member. The text is given back this once."""
    if not Membership.objects.filter(user=user, workspace=workspace).exists():
        raise Invalid(f"{user} is not a member of {workspace}.")
    if expires_at is not None:
        expires_at = expires_at if timezone.is_aware(expires_at) else timezone.make_aware(expires_at)
        if expires_at <= timezone.now():
            raise Invalid("expiresAt: that moment has passed.")
    unknown = set(scopes) - {"read"}
    if unknown:
        raise Invalid(f"Unknown scopes: {', '.join(sorted(unknown))}. There is: read.")
    text = new_token()
    row = ApiToken.objects.create(
        user=user,
        workspace=workspace,
        name=name,
        digest=digest(text),
        last_four=text[-4:],
        scopes=list(scopes),
        expires_at=expires_at,
    )
    _record_token("token_created", row, user, by)
    return MadeToken(row, text)


def token_create_by(
    *, actor: Actor, name: str, scopes: Sequence[str] = (), expires_at: datetime | None = None
) -> MadeToken:
    """A token for oneself. A read-only token cannot make a stronger one."""
    if actor.scopes and not set(actor.scopes) <= set(scopes):
        raise Forbidden("A token can only make tokens that may no more than itself.")
    return token_create(
        user=actor.user, workspace=actor.workspace, name=name, scopes=scopes, expires_at=expires_at, by=actor
    )


@transaction.atomic
def token_revoke(*, actor: Actor, token_id: UUID) -> ApiToken:
    """Ends a token at once: one's own; admins any of the workspace. Again: no change."""
    return _revoke(access_token(actor, token_id), actor)


def token_revoke_text(*, text: str) -> ApiToken:
    """Ends the token with this text (for the command line)."""
    token = ApiToken.objects.filter(digest=digest(text)).first()
    if token is None:
        raise NotFound("There is no such token.")
    return token_revoke_row(token=token)


@transaction.atomic
def token_revoke_row(*, token: ApiToken) -> ApiToken:
    """Ends this token, whoever's it is (for the admin and for what ends a membership)."""
    return _revoke(token)


def _revoke(token: ApiToken, by: Actor | None = None) -> ApiToken:
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        _record_token("token_revoked", token, token.user, by)
    return token


def _record_token(action: str, token: ApiToken, owner: User, by: Actor | None) -> None:
    record(
        action,
        actor=by,
        workspace_id=token.workspace_id,
        target_type="token",
        target_id=token.pk,
        target_name=f"{token.name} (…{token.last_four})",
        metadata={"owner": str(owner.pk), "scopes": token.scopes, "expiresAt": str(token.expires_at or "")},
    )


# --- tickets ---


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
    return actor_for(row.user, row.workspace.slug, token=row.token, session_key=row.session_key)


def _session_stands(key: str, user: User) -> bool:
    """Neither logged out nor expired, and made with the password of now."""
    session = Session.objects.filter(pk=key, expire_date__gt=timezone.now()).first()
    return session is not None and constant_time_compare(
        session.get_decoded().get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()
    )


# --- provider keys ---


@transaction.atomic
def provider_key_set(*, actor: Actor, provider: str, secret: str, personal: bool = False) -> ProviderKey:
    """Stores a provider's key for the workspace (admins) or for oneself (where the workspace allows it)."""
    _may_change_key(actor, personal)
    secret = secret.strip()
    if not secret or not provider:
        raise Invalid("A provider and its key, please.")
    user = actor.user if personal else None
    key = ProviderKey.objects.filter(workspace=actor.workspace, user=user, provider=provider).first()
    replaced = key is not None
    if key is None:
        key = ProviderKey(workspace=actor.workspace, user=user, provider=provider)
    key.secret, key.last_four, key.created_by = secret, last_four(secret), actor.user
    key.first_used_at = None
    try:
        with transaction.atomic():
            key.save()
    except IntegrityError:  # somebody else stored one in the same moment: theirs is replaced
        ProviderKey.objects.filter(workspace=actor.workspace, user=user, provider=provider).delete()
        key.save(force_insert=True)
    _record_key("key_replaced" if replaced else "key_set", actor, key)
    return key


@transaction.atomic
def provider_key_delete(*, actor: Actor, provider: str, personal: bool = False) -> None:
    _may_change_key(actor, personal)
    user = actor.user if personal else None
    key = (
        ProviderKey.objects.filter(workspace=actor.workspace, user=user, provider=provider)
        .defer("secret")
        .first()
    )
    if key is None or not ProviderKey.objects.filter(pk=key.pk).delete()[0]:
        raise NotFound()
    _record_key("key_removed", actor, key)


def _record_key(action: str, actor: Actor, key: ProviderKey) -> None:
    record(action, actor=actor, **_told_of_key(key))


def _told_of_key(key: ProviderKey) -> dict[str, Any]:
    return {
        "target_type": "provider key",
        "target_id": key.pk,
        "target_name": f"{key.provider} (…{key.last_four})" if key.last_four else key.provider,
        "metadata": {"provider": key.provider, "scope": "person" if key.user_id else "workspace"},
    }


def _may_change_key(actor: Actor, personal: bool) -> None:
    if not personal:
        require_admin(actor)
    elif not actor.can_write or not actor.workspace.allow_personal_keys:
        raise Forbidden("This workspace does not allow personal keys.")


def last_four(secret: str) -> str:
    """What may be shown of a secret; nothing of a short one."""
    return secret[-4:] if len(secret) >= 12 else ""


def provider_key_for(workspace_id: UUID, user_id: UUID | None, provider: str) -> str | None:
    """The stored key for a call: the person's own where the workspace allows it, else the workspace's, else None."""
    # Nobody has the id of nothing: without a person only the workspace's is found.
    rows = _KEYS.rows(workspace_id, user_id or UUID(int=0), provider)
    found = {row.user_id: row for row, _ in rows if row.secret}
    key = found.get(user_id) or found.get(None)
    if key is None:
        return None
    if key.first_used_at is None:
        _used_first(key, user_id)
    return str(key.secret)


@transaction.atomic
def _used_first(key: ProviderKey, user_id: UUID | None) -> None:
    """Once for each secret: the UPDATE decides who of several was first."""
    fresh = ProviderKey.objects.filter(pk=key.pk, first_used_at=None)
    if fresh.update(first_used_at=timezone.now()):
        record("key_first_used", workspace_id=key.workspace_id, user_id=user_id, **_told_of_key(key))


def _keys_for(workspace_id: UUID, user_id: UUID, provider: str) -> QuerySet[ProviderKey]:
    mine = Q(user_id=user_id, workspace__allow_personal_keys=True)
    return ProviderKey.objects.filter(
        Q(user=None) | mine, workspace_id=workspace_id, provider=provider
    ).order_by()


_KEYS = Compiled(_keys_for, "workspace", "user", "provider:text")
