"""Writes about API tokens: made once, shown once, ended at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from .access import Actor, Forbidden, Invalid, NotFound
from .audit import record
from .models import ApiToken, Membership, User, Workspace
from .secrets import digest, new_token
from .selectors import access_token


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


def tokens_end(workspace: Workspace, user: User) -> None:
    """All of a person's in a workspace, in the transaction that ends their membership."""
    for token in ApiToken.objects.filter(workspace=workspace, user=user, revoked_at=None):
        _revoke(token)


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
