"""Who acts, where, and with what rights: `Actor`, and the refusals every app uses.

What a person may not see is `NotFound`, byte for byte like what does not exist; what
they may see but not do is `Forbidden`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from nexus_core.errors import NexusError

from .models import ApiToken, Membership, Role, User, Workspace

READ_ONLY_SCOPE = "read"


class NotFound(NexusError):
    """Not there, or not for this person: one and the same answer."""

    code = "not_found"
    http_status = 404

    def __init__(self, message: str = "Not found.") -> None:
        super().__init__(message)


class Forbidden(NexusError):
    """Seen, but not allowed; the message says what would be needed."""

    code = "forbidden"
    http_status = 403

    def __init__(self, message: str = "You may not do this here.") -> None:
        super().__init__(message)


class Unauthorized(NexusError):
    """No valid credential came with the request."""

    code = "unauthorized"
    http_status = 401

    def __init__(self, message: str = "Log in, or send a valid token.") -> None:
        super().__init__(message)


class Invalid(NexusError):
    """The request is understood but cannot be carried out; the message says why."""

    code = "invalid_request"
    http_status = 422


class TooManyRequests(NexusError):
    """A rate limit of ours; `retry_after` in seconds."""

    code = "too_many_requests"
    http_status = 429
    retryable = True

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Actor:
    """A person in a workspace, with what they may do there.

    `token_id` names the API token that was shown, `session_key` the browser session; at
    most one of them is set. `scopes` narrows a token: empty is everything the person may.
    """

    user: User
    workspace: Workspace
    role: str
    token_id: UUID | None = None
    scopes: tuple[str, ...] = ()
    session_key: str = ""

    @property
    def user_id(self) -> UUID:
        return self.user.pk

    @property
    def workspace_id(self) -> UUID:
        return self.workspace.pk

    @property
    def can_write(self) -> bool:
        return self.role != Role.VIEWER and READ_ONLY_SCOPE not in self.scopes

    @property
    def is_admin(self) -> bool:
        return self.role in (Role.OWNER, Role.ADMIN) and self.can_write

    @property
    def is_owner(self) -> bool:
        return self.role == Role.OWNER and self.can_write


def actor_for(
    user: User, slug: str | None = None, token: ApiToken | None = None, *, session_key: str = ""
) -> Actor:
    """The actor of a person in the workspace `slug`; without a slug in the one they joined first.

    Raises:
        NotFound: they are not a member of `slug`, or there is no such workspace.
        Forbidden: they are in no workspace at all, or their account is switched off.
    """
    if not user.is_active:
        raise Forbidden("This account is switched off.")
    memberships = (
        Membership.objects.select_related("workspace")
        .filter(user=user, workspace__deleted_at=None)
        .order_by("created_at", "id")
    )
    if token is not None:
        memberships = memberships.filter(workspace_id=token.workspace_id)
    if slug:
        memberships = memberships.filter(workspace__slug=slug)
    membership = memberships.first()
    if membership is None:
        raise (
            NotFound()
            if slug
            else Forbidden("You are not a member of any workspace. Ask an admin to add you.")
        )
    return Actor(
        user=user,
        workspace=membership.workspace,
        role=membership.role,
        token_id=token.pk if token is not None else None,
        scopes=_scopes(token.scopes if token is not None else ()),
        session_key=session_key,
    )


def _scopes(value: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(scope) for scope in value)


def require_admin(actor: Actor) -> None:
    if not actor.is_admin:
        raise Forbidden("Only admins and owners of the workspace may do this.")


def require_owner(actor: Actor) -> None:
    if not actor.is_owner:
        raise Forbidden("Only owners of the workspace may do this.")


def require_write(actor: Actor) -> None:
    if not actor.can_write:
        raise Forbidden("Viewers and read-only tokens can read along, but not change anything.")
